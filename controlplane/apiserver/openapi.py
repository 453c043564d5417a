"""OpenAPI: what clients read to check, merge and explain objects, made from the schema and the registry.

Version 3 has one document for each served group-version (kubectl's apply, create and explain read it), found
through an index whose links carry a hash of the content. Version 2 is a near-empty document that lets kubectl 1.20
work. Documents are made when first asked for and kept as bytes. Names of schemas, extensions and operations are
upstream's (`k8s.io/kube-openapi`), so that clients find what they look for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from functools import cached_property
from typing import Any, Final

import msgspec

from controlplane.api import schema
from controlplane.apiserver.registry import Resource

Obj = dict[str, Any]

META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1."
REF: Final = "#/components/schemas/"
GVK: Final = "x-kubernetes-group-version-kind"
STRATEGIC: Final = "application/strategic-merge-patch+json"
PATCH_TYPES: Final = ("application/json-patch+json", "application/merge-patch+json", STRATEGIC)
_GROUP_OF: Final = {name: group for group, name in schema.GROUPS.items()}

_SCALARS: Final[dict[str, Obj]] = {
    "string": {"type": "string"},
    "bool": {"type": "boolean"},
    "int32": {"type": "integer", "format": "int32"},
    "int64": {"type": "integer", "format": "int64"},
    "float64": {"type": "number", "format": "double"},
    "bytes": {"type": "string", "format": "byte"},
}
_NAMED: Final[dict[str, tuple[str, Obj]]] = {
    "Time": (META + "Time", {"type": "string", "format": "date-time"}),
    "MicroTime": (META + "MicroTime", {"type": "string", "format": "date-time"}),
    "FieldsV1": (META + "FieldsV1", {"type": "object"}),
    "meta.v1.Duration": (META + "Duration", {"type": "string"}),
    "RawExtension": ("io.k8s.apimachinery.pkg.runtime.RawExtension", {"type": "object"}),
    "Quantity": (
        "io.k8s.apimachinery.pkg.api.resource.Quantity",
        {"oneOf": [{"type": "string"}, {"type": "number"}]},
    ),
    "IntOrString": (
        "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
        {"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]},
    ),
}


def component(type_name: str) -> str:
    """The name of a type among a document's schemas."""
    if type_name in _NAMED:
        return _NAMED[type_name][0]
    group, version, kind = type_name.split(".")
    return f"{META}{kind}" if group == "meta" else f"io.k8s.api.{group}.{version}.{kind}"


def type_schema(type_name: str) -> tuple[Obj, set[str]]:
    """A struct's JSON schema, and the types that it refers to."""
    if type_name in _NAMED:
        return dict(_NAMED[type_name][1]), set()
    if type_name in schema.ANYTHING:
        return {"x-kubernetes-preserve-unknown-fields": True}, set()
    described = schema.get(type_name)
    used: set[str] = set()
    properties: Obj = {}
    if described.is_object:
        properties["apiVersion"] = {"type": "string", "description": "The versioned schema of this object."}
        properties["kind"] = {"type": "string", "description": "The REST resource that this object stands for."}
    for name, field in described.fields.items():
        properties[name] = _property(field, used)
    body: Obj = {"type": "object", "properties": properties}
    required = [name for name, field in described.fields.items() if not field.optional and not field.omitempty]
    if required:
        body["required"] = sorted(required)
    if described.is_object:
        body[GVK] = [_gvk_of(type_name)]
    return body, used


def _gvk_of(type_name: str) -> Obj:
    group, version, kind = type_name.split(".")
    group = "" if group == "meta" else _GROUP_OF.get(group, group)
    return {"group": group, "kind": kind, "version": version}


def _property(field: schema.Field, used: set[str]) -> Obj:
    body: Obj
    if field.is_list:
        body = {"type": "array", "items": _reference(field.element, used)}
    elif field.is_map:
        value = {"type": "array", "items": {"type": "string"}} if field.element == "[]string" else None
        body = {"type": "object", "additionalProperties": value or _reference(field.element, used)}
    else:
        body = _reference(field.type, used)
    if field.enum and not field.is_list:
        body["enum"] = [item for item in field.enum if item or not field.optional]
    if field.default is not None and not field.default.startswith("ref("):
        body["default"] = json.loads(field.default)
    if field.list_type:
        body["x-kubernetes-map-type" if field.is_map else "x-kubernetes-list-type"] = field.list_type
    if field.list_map_keys:
        body["x-kubernetes-list-map-keys"] = list(field.list_map_keys)
    if field.patch_strategy:
        body["x-kubernetes-patch-strategy"] = field.patch_strategy
    if field.patch_merge_key:
        body["x-kubernetes-patch-merge-key"] = field.patch_merge_key
    return body


def _reference(type_name: str, used: set[str]) -> Obj:
    if type_name in _SCALARS:
        return dict(_SCALARS[type_name])
    used.add(type_name)
    return {"allOf": [{"$ref": REF + component(type_name)}]}


def components(roots: Iterable[str]) -> Obj:
    """The schemas of these types and of everything that they refer to."""
    pending, done = set(roots), {}
    while pending:
        type_name = pending.pop()
        body, used = type_schema(type_name)
        done[type_name] = body
        pending |= used - done.keys()
    return {component(name): done[name] for name in sorted(done)}


def _parameter(name: str, kind: str = "string", place: str = "query") -> Obj:
    body: Obj = {"name": name, "in": place, "schema": {"type": kind, "uniqueItems": True}}
    if place == "path":
        body["required"] = True
    return body


_WRITE: Final = [_parameter(name) for name in ("dryRun", "fieldManager", "fieldValidation")]
_DELETE: Final = [
    _parameter("dryRun"),
    _parameter("gracePeriodSeconds", "integer"),
    _parameter("orphanDependents", "boolean"),
    _parameter("propagationPolicy"),
]
_LIST: Final = [
    _parameter("allowWatchBookmarks", "boolean"),
    _parameter("continue"),
    _parameter("fieldSelector"),
    _parameter("labelSelector"),
    _parameter("limit", "integer"),
    _parameter("resourceVersion"),
    _parameter("resourceVersionMatch"),
    _parameter("sendInitialEvents", "boolean"),
    _parameter("timeoutSeconds", "integer"),
    _parameter("watch", "boolean"),
]


def _content(type_name: str, *media_types: str) -> Obj:
    reference = {"$ref": REF + component(type_name)}
    return {media_type: {"schema": reference} for media_type in media_types or ("application/json",)}


def _operation(resource: Resource, action: str, answer: str, parameters: list[Obj], body: Obj | None = None) -> Obj:
    scope = "Namespaced" if resource.namespaced else ""
    group = (resource.group.removesuffix(".k8s.io") or "core").capitalize()
    operation: Obj = {
        "operationId": f"{action}{group}{resource.version.capitalize()}{scope}{resource.kind}",
        "parameters": parameters,
        "responses": {
            "200": {"description": "OK", "content": _content(answer)},
            "401": {"description": "Unauthorized"},
        },
        GVK: {"group": resource.group, "kind": resource.kind, "version": resource.version},
        "x-kubernetes-action": action,
    }
    if body is not None:
        operation["requestBody"] = {"content": body}
    return operation


def resource_paths(resource: Resource) -> Obj:
    """The paths of a resource's collection, of its objects and of their status."""
    prefix = f"/apis/{resource.group}/{resource.version}" if resource.group else f"/api/{resource.version}"
    inner = "/namespaces/{namespace}" if resource.namespaced else ""
    shared = [_parameter("pretty")]
    if resource.namespaced:
        shared = [_parameter("namespace", place="path"), *shared]
    whole, listed, status = resource.schema, f"{resource.schema}List", "meta.v1.Status"
    body = _content(whole, "application/json", "application/yaml", "application/vnd.kubernetes.protobuf")
    patch = _content("meta.v1.Patch", *PATCH_TYPES)
    patch_parameters = [*_WRITE, _parameter("force", "boolean")]
    collection: Obj = {
        "parameters": shared,
        "get": _operation(resource, "list", listed, _LIST),
        "post": _operation(resource, "create", whole, _WRITE, body),
    }
    if "deletecollection" in resource.verbs:
        collection["delete"] = _operation(resource, "deletecollection", status, [*_DELETE, *_LIST])
    one: Obj = {
        "parameters": [_parameter("name", place="path"), *shared],
        "get": _operation(resource, "read", whole, []),
        "put": _operation(resource, "replace", whole, _WRITE, body),
        "patch": _operation(resource, "patch", whole, patch_parameters, patch),
        "delete": _operation(resource, "delete", status, _DELETE, _content("meta.v1.DeleteOptions")),
    }
    base = f"{prefix}{inner}/{resource.plural}"
    paths: Obj = {base: collection, f"{base}/{{name}}": one}
    if resource.namespaced:
        everywhere = _operation(resource, "list", listed, _LIST)
        everywhere["operationId"] += "ForAllNamespaces"
        paths[f"{prefix}/{resource.plural}"] = {"parameters": [_parameter("pretty")], "get": everywhere}
    if "status" in resource.subresources:
        paths[f"{base}/{{name}}/status"] = {
            name: {**value, "operationId": f"{value['operationId']}Status"} if name != "parameters" else value
            for name, value in one.items()
            if name != "delete"
        }
    return paths


class OpenApi:
    """The served documents, as bytes, made on demand."""

    def __init__(self, resources: Iterable[Resource], version: str) -> None:
        self._version = version
        self._groups: dict[str, list[Resource]] = {}
        for resource in resources:
            prefix = f"apis/{resource.group}" if resource.group else "api"
            self._groups.setdefault(f"{prefix}/{resource.version}", []).append(resource)
        self._documents: dict[str, bytes] = {}

    @property
    def paths(self) -> tuple[str, ...]:
        """The group-versions that have a document, as `api/v1`."""
        return tuple(self._groups)

    def document(self, path: str) -> bytes | None:
        """The version 3 document of `api/v1` or `apis/GROUP/VERSION`; None where there is none."""
        if path not in self._groups:
            return None
        if path not in self._documents:
            self._documents[path] = self._make(self._groups[path])
        return self._documents[path]

    def etag(self, path: str) -> str:
        """The hash that the index carries for a document."""
        document = self.document(path) or b""
        return hashlib.sha256(document).hexdigest()[:32].upper()

    @cached_property
    def index(self) -> bytes:
        """The answer to /openapi/v3."""
        links = {path: {"serverRelativeURL": f"/openapi/v3/{path}?hash={self.etag(path)}"} for path in self._groups}
        return msgspec.json.encode({"paths": links})

    def _make(self, resources: list[Resource]) -> bytes:
        paths: Obj = {}
        roots = {"meta.v1.Status", "meta.v1.DeleteOptions"}
        for resource in resources:
            paths.update(resource_paths(resource))
            roots |= {resource.schema, f"{resource.schema}List"}
            if resource.scale is not None:
                roots.add("autoscaling.v1.Scale")
        schemas = components(roots)
        schemas[f"{META}Patch"] = {"type": "object"}
        for kind in ("DeleteOptions", "Status"):
            first = resources[0]
            schemas[f"{META}{kind}"][GVK] = [{"group": first.group, "kind": kind, "version": first.version}]
        return msgspec.json.encode(
            {
                "openapi": "3.0.0",
                "info": {"title": "Kubernetes", "version": self._version},
                "paths": paths,
                "components": {"schemas": schemas},
            }
        )

    @cached_property
    def v2(self) -> bytes:
        """The answer to /openapi/v2 as JSON."""
        return msgspec.json.encode(
            {
                "swagger": "2.0",
                "info": {"title": "Kubernetes", "version": self._version},
                "paths": {},
                "definitions": {},
            }
        )

    @cached_property
    def v2_protobuf(self) -> bytes:
        """The answer to /openapi/v2 as gnostic's protobuf (openapiv2/OpenAPIv2.proto)."""
        info = _protobuf_field(1, b"Kubernetes") + _protobuf_field(2, self._version.encode())
        return b"".join(
            (_protobuf_field(1, b"2.0"), _protobuf_field(2, info), _protobuf_field(8, b""), _protobuf_field(9, b""))
        )


def _protobuf_field(number: int, data: bytes) -> bytes:
    """One length-delimited field; every length here is below 128."""
    return bytes((number << 3 | 2, len(data))) + data
