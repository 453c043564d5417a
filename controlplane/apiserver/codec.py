"""Request bodies: from bytes and a Content-Type to an object that fits its type.

The order is fixed: media type, syntax, apiVersion and kind, then fields. Unknown fields are errors, warnings or
nothing, as the client's `fieldValidation` says (default Warn); they are never stored. Bodies without a Content-Type
are JSON, as some of kubectl's are.

Follows apiserver/pkg/endpoints/handlers/create.go and its field validation.
"""

from __future__ import annotations

from typing import Any

from controlplane.api import decoding, protobuf, yamljson
from controlplane.api.errors import ApiError
from controlplane.apiserver.call import Call
from controlplane.apiserver.negotiate import JSON, PROTOBUF, YAML
from controlplane.apiserver.registry import Obj

YAML_TYPES = frozenset({YAML, "application/x-yaml", "text/yaml", "text/x-yaml"})
ACCEPTED = f"{JSON}, {YAML}, {PROTOBUF}"


def media_type(call: Call) -> str:
    return call.headers.get("content-type", "").partition(";")[0].strip().lower()


def parse(call: Call) -> Any:
    """The body as plain values.

    Raises: ApiError 415 for a media type that isn't served, 400 for broken syntax.
    """
    match media_type(call):
        case "" | "application/json" | "text/json":
            return yamljson.load_json(call.body)
        case kind if kind == PROTOBUF:
            return protobuf.decode(call.body)
        case kind if kind in YAML_TYPES:
            return yamljson.load_yaml(call.body)
        case kind:
            raise ApiError.unsupported_media(
                "the body of the request was in an unknown format - accepted media types include: "
                f"{ACCEPTED}; it was {kind[:100]}"
            )


def read_object(call: Call, api_version: str, kind: str, schema: str) -> Obj:
    """The body as an object of that kind, checked against its schema.

    Raises: ApiError 400, 415, 422.
    """
    body = parse(call)
    return checked(call, body, api_version, kind, schema)


def checked(call: Call, body: Any, api_version: str, kind: str, schema: str) -> Obj:
    """`body` as an object of that kind; it is changed in place.

    Raises: ApiError 400 when it is of another kind or out of form, 422 for malformed quantities.
    """
    if type(body) is not dict:
        raise ApiError.bad_request(
            f'{kind} in version "{api_version}" cannot be handled as a {kind}: it is no object'
        )
    given_version, given_kind = body.get("apiVersion", api_version), body.get("kind", kind)
    if given_version != api_version or given_kind != kind:
        if given_kind == kind:
            raise ApiError.bad_request(
                f"the API version in the data ({given_version}) does not match the expected API version "
                f"({api_version})"
            )
        raise ApiError.bad_request(
            f'the object provided is unrecognized (must be of type {kind}): "{given_kind}" in version '
            f'"{given_version}"'
        )
    unknown = decoding.decode(schema, body, kind)
    if unknown:
        report_unknown(call, unknown, api_version, kind)
    metadata = body.setdefault("metadata", {})
    obj = {"kind": kind, "apiVersion": api_version, "metadata": metadata}
    obj.update((name, value) for name, value in body.items() if name not in obj)
    return obj


def report_unknown(call: Call, unknown: list[str], api_version: str, kind: str) -> None:
    """Answers unknown fields as the client asked for.

    Raises: ApiError 400 for Strict.
    """
    match call.text("fieldValidation", "Warn"):
        case "Ignore":
            return
        case "Warn":
            call.warnings += decoding.field_warnings(unknown)
        case "Strict":
            error = decoding.strict_error(unknown)
            version = api_version.rpartition("/")[2]
            raise ApiError.bad_request(
                f'{kind} in version "{version}" cannot be handled as a {kind}: {error.message}'
            )
        case value:
            raise ApiError.bad_request(
                f'Invalid value: "{value}": fieldValidation: supported values: "Ignore", "Strict", "Warn"'
            )
