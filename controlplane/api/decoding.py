"""Strict decoding: makes a parsed JSON object fit its published type, in place.

Called for every body that a client sends. Each type is compiled once to a closure that walks a dict: fields of
the wrong type are a 400 with upstream's words, malformed quantities a 422 with the field's path, nulls vanish,
quantities and times are written the one canonical way, and unknown fields are removed and reported with their
paths (the caller answers with 400, with a warning or not at all, as `fieldValidation` asks). The walk carries
paths as linked pairs, so that a good object costs no string work. After `sigs.k8s.io/json` and the generated
decoders of `k8s.io/api`.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable
from functools import cache
from typing import Any, Final

from controlplane.api import causes, quantity, schema, times
from controlplane.api.errors import ApiError, Cause

Obj = dict[str, Any]
Path = tuple[Any, Any] | None
"""A linked path: (parent, name or index); None is the top."""


class Report:
    """What a walk found besides the object itself."""

    __slots__ = ("invalid", "unknown")

    def __init__(self) -> None:
        self.unknown: list[str] = []
        self.invalid: list[Cause] = []


class Mismatch(Exception):
    """A value of the wrong JSON type."""

    def __init__(self, value: Any, at: Path, wanted: str, owner: str = "") -> None:
        super().__init__()
        self.value, self.at, self.wanted, self.owner = value, at, wanted, owner

    def text(self) -> str:
        """Upstream's words (Go's JSON decoder names the struct, then the path without indices)."""
        path = ".".join(part for part in _parts(self.at) if isinstance(part, str))
        struct = self.owner.rpartition(".")[2]
        where = f"{struct}.{path}" if struct and path else path or struct
        return f"json: cannot unmarshal {_json_type(self.value)} into Go struct field {where} of type {self.wanted}"


Check = Callable[[Any, Path, Report], Any]
"""Takes a value that is not None, its path, the report; returns the value to keep."""


def decode(type_name: str, obj: Any, kind: str = "") -> list[str]:
    """Makes `obj` fit its type, in place; returns the paths of what the type doesn't know, now removed.

    Raises: ApiError 400 when a value is of the wrong JSON type, 422 when a quantity is malformed.
    """
    shown = kind or type_name.rpartition(".")[2]
    version = type_name.split(".")[1]
    report = Report()
    try:
        if type(obj) is not dict:
            raise Mismatch(obj, None, shown)
        _check_struct(type_name)(obj, None, report)
    except Mismatch as mismatch:
        raise ApiError.bad_request(
            f'{shown} in version "{version}" cannot be handled as a {shown}: {mismatch.text()}'
        ) from None
    if report.invalid:
        metadata = obj.get("metadata") or {}
        raise ApiError.invalid(shown, str(metadata.get("name", "")), report.invalid)
    return report.unknown


def strict_error(unknown: list[str]) -> ApiError:
    """The answer to `fieldValidation=Strict` when there are unknown fields."""
    return ApiError.bad_request(f"strict decoding error: {', '.join(field_warnings(unknown))}")


def field_warnings(unknown: list[str]) -> list[str]:
    """The texts of `Warning:` headers for unknown fields."""
    return [f'unknown field "{path}"' for path in unknown]


def _parts(at: Path) -> list[Any]:
    parts: list[Any] = []
    while at is not None:
        parts.append(at[1])
        at = at[0]
    return parts[::-1]


def path_text(at: Path) -> str:
    """A linked path as text: `spec.containers[0].image`."""
    text = ""
    for part in _parts(at):
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


def _json_type(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number" if isinstance(value, int) else f"number {value}"
    if isinstance(value, str):
        return "string"
    return "object" if isinstance(value, dict) else "array"


def _string(value: Any, at: Path, _report: Report) -> Any:
    if type(value) is not str:
        raise Mismatch(value, at, "string")
    return value


def _bool(value: Any, at: Path, _report: Report) -> Any:
    if type(value) is not bool:
        raise Mismatch(value, at, "bool")
    return value


def _int32(value: Any, at: Path, _report: Report) -> Any:
    if type(value) is not int or not -0x80000000 <= value <= 0x7FFFFFFF:
        raise Mismatch(value, at, "int32")
    return value


def _int64(value: Any, at: Path, _report: Report) -> Any:
    if type(value) is not int:
        raise Mismatch(value, at, "int64")
    return value


def _float64(value: Any, at: Path, _report: Report) -> Any:
    if type(value) not in (int, float):
        raise Mismatch(value, at, "float64")
    return value


def _bytes(value: Any, at: Path, report: Report) -> Any:
    if type(value) is not str:
        raise Mismatch(value, at, "[]uint8")
    try:
        data = binascii.a2b_base64(value.replace("\n", "").replace("\r", ""), strict_mode=True)
    except (ValueError, binascii.Error):
        report.invalid.append(causes.invalid(path_text(at), value[:60], "illegal base64 data"))
        return value
    return binascii.b2a_base64(data, newline=False).decode()


def _quantity(value: Any, at: Path, report: Report) -> Any:
    if type(value) not in (str, int, float):
        raise Mismatch(value, at, "resource.Quantity")
    try:
        return quantity.canonical(value if type(value) is str else str(value))
    except quantity.QuantityError as error:
        report.invalid.append(causes.invalid(path_text(at), value, str(error)))
        return value


def _int_or_string(value: Any, at: Path, report: Report) -> Any:
    if type(value) is not str:
        return _int32(value, at, report)
    return value


def _time_with(canonical: Callable[[str], str]) -> Check:
    def check(value: Any, at: Path, report: Report) -> Any:
        if type(value) is not str:
            raise Mismatch(value, at, "v1.Time")
        try:
            return canonical(value)
        except ValueError as error:
            report.invalid.append(causes.invalid(path_text(at), value[:60], str(error)[:200]))
            return value

    return check


def _anything(value: Any, _at: Path, _report: Report) -> Any:
    return value


_SCALARS: Final[dict[str, Check]] = {
    "string": _string,
    "bool": _bool,
    "int32": _int32,
    "int64": _int64,
    "float64": _float64,
    "bytes": _bytes,
    "Quantity": _quantity,
    "IntOrString": _int_or_string,
    "Time": _time_with(times.canonical),
    "MicroTime": _time_with(times.canonical_micro),
    "meta.v1.Duration": _string,
}
_ZERO: Final[dict[str, Any]] = {"string": "", "bool": False, "int32": 0, "int64": 0, "bytes": "", "Quantity": "0"}


@cache
def _check(type_name: str) -> Check:
    """The compiled check of any type expression."""
    if type_name in _SCALARS:
        return _SCALARS[type_name]
    if type_name in schema.ANYTHING:
        return _anything
    if type_name.startswith("[]"):
        return _check_list(type_name[2:])
    if type_name.startswith("map[string]"):
        return _check_map(type_name[11:])
    return _check_struct(type_name)


def _check_list(element: str) -> Check:
    plain = element == "string"
    later: list[Check] = []

    def check(value: Any, at: Path, report: Report) -> Any:
        if type(value) is not list:
            raise Mismatch(value, at, f"[]{element}")
        if not later:
            later.append(_check(element))
        inner = later[0]
        for index, item in enumerate(value):
            if plain and type(item) is str:
                continue
            if item is None:
                value[index] = _ZERO[element] if element in _ZERO else inner({}, (at, index), report)
            else:
                value[index] = inner(item, (at, index), report)
        return value

    return check


def _check_map(element: str) -> Check:
    plain = element == "string"
    later: list[Check] = []

    def check(value: Any, at: Path, report: Report) -> Any:
        if type(value) is not dict:
            raise Mismatch(value, at, f"map[string]{element}")
        if not later:
            later.append(_check(element))
        inner = later[0]
        for key, item in value.items():
            if plain and type(item) is str:
                continue
            if item is None:
                value[key] = _ZERO[element] if element in _ZERO else inner({}, (at, key), report)
            else:
                value[key] = inner(item, (at, key), report)
        return value

    return check


@cache
def _check_struct(type_name: str) -> Check:
    """Compiles a struct: a table from JSON name to check; types that refer to themselves resolve later."""
    described = schema.get(type_name)
    strings = frozenset(name for name, field in described.fields.items() if field.type == "string")
    pending = {name: field.type for name, field in described.fields.items() if name not in strings}
    if described.is_object:
        strings |= {"apiVersion", "kind"}
    checks: dict[str, Check] = {}

    def check(value: Any, at: Path, report: Report) -> Any:
        if type(value) is not dict:
            raise Mismatch(value, at, type_name.rpartition(".")[2], type_name)
        gone: list[str] | None = None
        for key, item in value.items():
            if type(item) is str and key in strings:
                continue
            inner = checks.get(key)
            if inner is None and key in pending:
                inner = checks[key] = _check(pending[key])
            if item is None and (inner is not None or key in strings):
                gone = [*gone, key] if gone else [key]
            elif inner is not None:
                try:
                    kept = inner(item, (at, key), report)
                except Mismatch as mismatch:
                    mismatch.owner = mismatch.owner or type_name
                    raise
                if kept is not item:
                    value[key] = kept
            elif key in strings:
                raise Mismatch(item, (at, key), "string", type_name)
            else:
                report.unknown.append(path_text((at, key)))
                gone = [*gone, key] if gone else [key]
        if gone:
            for key in gone:
                del value[key]
        return value

    return check
