"""Request bodies in Kubernetes' protobuf envelope, decoded to the same plain objects as JSON.

kubectl's own `create` commands and helm send these, and a 415 is not retried. The envelope is `k8s\\0` and an
`Unknown` message: {1: {1: apiVersion, 2: kind}, 2: raw}. Field numbers come from the schema. Zero values of plain
fields are left out, as Go's JSON encoder would; those of pointers are kept. What is cut off, nested beyond reason
or not UTF-8 is a 400. After `k8s.io/apimachinery/pkg/runtime/serializer/protobuf`.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from controlplane.api import schema, times, yamljson
from controlplane.api.errors import ApiError

MAGIC: Final = b"k8s\0"
MEDIA_TYPE: Final = "application/vnd.kubernetes.protobuf"
DEPTH_LIMIT: Final = 100
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

POINTERS: Final = frozenset(
    (
        "activeDeadlineSeconds", "allocateLoadBalancerNodePorts", "allowPrivilegeEscalation", "allowVolumeExpansion",
        "attachRequired", "automountServiceAccountToken", "backoffLimit", "blockOwnerDeletion", "completions",
        "controller", "defaultMode", "deletionGracePeriodSeconds", "enableServiceLinks", "expirationSeconds",
        "failedJobsHistoryLimit", "fsGroup", "gracePeriodSeconds", "hostUsers", "immutable", "minReplicas", "mode",
        "optional", "orphanDependents", "parallelism", "partition", "podInfoOnMount", "priority", "privileged",
        "progressDeadlineSeconds", "readOnlyRootFilesystem", "ready",
        "replicas", "revisionHistoryLimit", "runAsGroup",
        "runAsNonRoot", "runAsUser", "serving", "setHostnameAsFQDN", "shareProcessNamespace",
        "startingDeadlineSeconds", "successfulJobsHistoryLimit", "suspend", "terminating",
        "terminationGracePeriodSeconds", "tolerationSeconds", "ttlSecondsAfterFinished",
    )
)  # fmt: skip
"""Fields that are pointers upstream, where a zero is a value (the schema doesn't tell them apart)."""

Value = int | bytes
"""A field as it stands on the wire: a number, or bytes."""


def decode(body: bytes) -> dict[str, Any]:
    """The object in a body, with apiVersion and kind. Raises: ApiError 400."""
    if not body.startswith(MAGIC):
        raise _bad("the body does not begin with the protobuf envelope's magic bytes")
    envelope = dict(_fields(body[len(MAGIC) :]))
    meta, raw = envelope.get(1, b""), envelope.get(2, b"")
    if not isinstance(meta, bytes) or not isinstance(raw, bytes):
        raise _bad("the envelope is malformed")
    type_meta = dict(_fields(meta))
    api_version, kind = (_text(type_meta.get(number, b"")) for number in (1, 2))
    name = schema.name_of(api_version, kind)
    try:
        value = _message(name, raw, 0)
    except schema.SchemaError:
        raise ApiError.bad_request(
            f'no kind "{kind[:100]}" is registered for version "{api_version[:100]}"'
        ) from None
    return {"apiVersion": api_version, "kind": kind, **value}


def _bad(why: str) -> ApiError:
    return ApiError.bad_request(f"the protobuf body can't be decoded: {why}")


def _fields(data: bytes) -> Iterator[tuple[int, Value]]:
    """All fields of a message: (number, value), in order."""
    position, end = 0, len(data)
    while position < end:
        tag, position = _varint(data, position)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, position = _varint(data, position)
            yield number, value
            continue
        if wire == 2:
            size, position = _varint(data, position)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise _bad(f"wire type {wire} is not in use")
        if size > end - position or number == 0:
            raise _bad("it ends in the middle of a field")
        yield number, data[position : position + size]
        position += size


def _varint(data: bytes, position: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        if position >= len(data) or shift > 63:
            raise _bad("a number is cut off or too long")
        byte = data[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result & 0xFFFFFFFFFFFFFFFF, position
        shift += 7


def _signed(value: Value) -> int:
    if isinstance(value, bytes):
        raise _bad("a number is not a number")
    return value - (1 << 64) if value >= 1 << 63 else value


def _bytes(value: Value) -> bytes:
    if isinstance(value, int):
        raise _bad("a number stands where bytes should be")
    return value


def _text(value: Value) -> str:
    try:
        return _bytes(value).decode()
    except UnicodeDecodeError as error:
        raise _bad("a string is not UTF-8") from error


def _message(type_name: str, data: bytes, depth: int) -> dict[str, Any]:
    """A struct as the JSON object that it stands for."""
    if depth > DEPTH_LIMIT:
        raise _bad("messages are nested too deeply")
    described = schema.get(type_name)
    result: dict[str, Any] = {}
    for number, value in _fields(data):
        field = described.by_number.get(number)
        if field is None:
            continue
        if not field.name:
            result.update(_message(field.type, _bytes(value), depth + 1))
        elif field.is_list:
            result.setdefault(field.name, []).extend(_items(field.element, value, depth))
        elif field.is_map:
            key, item = _entry(field.element, _bytes(value), depth)
            result.setdefault(field.name, {})[key] = item
        else:
            decoded = _value(field.type, value, depth)
            if decoded is not None and (decoded or decoded == {} or field.name in POINTERS):
                result[field.name] = decoded
    return result


def _items(element: str, value: Value, depth: int) -> list[Any]:
    """One item of a repeated field, or several when numbers are packed."""
    if isinstance(value, bytes) and element in ("int32", "int64", "bool"):
        numbers, position = [], 0
        while position < len(value):
            number, position = _varint(value, position)
            numbers.append(_value(element, number, depth))
        return numbers
    return [_value(element, value, depth)]


def _entry(element: str, data: bytes, depth: int) -> tuple[str, Any]:
    pair = dict(_fields(data))
    if element == "[]string":
        return _text(pair.get(1, b"")), [
            _text(item) for number, item in _fields(_bytes(pair.get(2, b""))) if number == 1
        ]
    empty: Value = 0 if element in ("int32", "int64", "bool") else b""
    return _text(pair.get(1, b"")), _value(element, pair.get(2, empty), depth)


def _value(kind: str, value: Value, depth: int) -> Any:
    """One value of any type; None stands for Go's zero time."""
    if kind == "string":
        return _text(value)
    if kind in ("int32", "int64"):
        return _signed(value)
    if kind == "bool":
        return _signed(value) != 0
    if kind == "bytes":
        return base64.b64encode(_bytes(value)).decode()
    if kind == "float64":
        return _double(_bytes(value))
    if kind in _SPECIAL:
        return _SPECIAL[kind](_bytes(value))
    if kind in schema.ANYTHING:
        return _one_of(kind, _bytes(value), depth)
    return _message(kind, _bytes(value), depth + 1)


def _double(data: bytes) -> float:
    if len(data) != 8:
        raise _bad("a number is cut off")
    return float(struct.unpack("<d", data)[0])


def _quantity(data: bytes) -> str:
    return _text(dict(_fields(data)).get(1, b"0"))


def _int_or_string(data: bytes) -> int | str:
    fields = dict(_fields(data))
    if fields.get(1, 0) == 1:
        return _text(fields.get(3, b""))
    return _signed(fields.get(2, 0))


def _moment(data: bytes) -> datetime | None:
    fields = dict(_fields(data))
    seconds, nanos = _signed(fields.get(1, 0)), _signed(fields.get(2, 0))
    if seconds == 0 and nanos == 0:
        return None
    try:
        return _EPOCH + timedelta(seconds=seconds, microseconds=nanos // 1000)
    except OverflowError as error:
        raise _bad("a time is out of range") from error


def _time(data: bytes) -> str | None:
    moment = _moment(data)
    return None if moment is None else times.time(moment)


def _micro_time(data: bytes) -> str | None:
    moment = _moment(data)
    return None if moment is None else times.micro_time(moment)


def _raw(data: bytes) -> Any:
    """A JSON value that travels as bytes inside a message."""
    raw = _bytes(dict(_fields(data)).get(1, b""))
    return yamljson.load_json(raw) if raw else None


def _duration(data: bytes) -> str:
    return f"{_signed(dict(_fields(data)).get(1, 0)) / 1e9:g}s"


def _one_of(kind: str, data: bytes, depth: int) -> Any:
    """A union that JSON writes as its only value (a schema, or a bool, or a list)."""
    described = schema.get(kind)
    result: Any = None
    items: list[Any] = []
    for number, value in _fields(data):
        field = described.by_number.get(number)
        if field is None:
            continue
        if field.is_list:
            items += _items(field.element, value, depth + 1)
        else:
            result = _value(field.type, value, depth + 1)
    return items or result


_SPECIAL: Final = {
    "Quantity": _quantity,
    "IntOrString": _int_or_string,
    "Time": _time,
    "MicroTime": _micro_time,
    "RawExtension": _raw,
    "FieldsV1": _raw,
    "apiextensions.v1.JSON": _raw,
    "meta.v1.Duration": _duration,
}
