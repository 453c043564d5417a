"""OpenAPI: whole, consistent, and with what kubectl looks for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from controlplane.apiserver.openapi import OpenApi
from controlplane.apiserver.resources import ALL

API = OpenApi(ALL, "v1.37.0")
PATHS = API.paths


def document(path: str) -> dict[str, Any]:
    raw = API.document(path)
    assert raw
    found: dict[str, Any] = json.loads(raw)
    return found


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"].rpartition("/")[2]} if "$ref" in value else set()
        return own.union(*(references(item) for item in value.values()))
    return set().union(*(references(item) for item in value)) if isinstance(value, list) else set()


@pytest.mark.parametrize("path", PATHS)
def test_every_reference_is_there(path: str) -> None:
    found = document(path)
    assert references(found) <= found["components"]["schemas"].keys()


def test_the_index_names_every_document_with_its_hash() -> None:
    index = json.loads(API.index)["paths"]
    assert set(index) == set(PATHS) == {"api/v1", "apis/coordination.k8s.io/v1", "apis/discovery.k8s.io/v1"}
    assert index["api/v1"]["serverRelativeURL"] == f"/openapi/v3/api/v1?hash={API.etag('api/v1')}"
    assert API.document("apis/nothing/v1") is None


@pytest.mark.parametrize("resource", ALL, ids=lambda resource: resource.plural)
def test_kubectl_finds_its_patch_parameters_and_the_schema(resource: Any) -> None:
    prefix = f"apis/{resource.group}/v1" if resource.group else "api/v1"
    found = document(prefix)
    gvk = {"group": resource.group, "kind": resource.kind, "version": "v1"}
    patches = [
        item["patch"]
        for item in found["paths"].values()
        if item.get("patch", {}).get("x-kubernetes-group-version-kind") == gvk
    ]
    assert patches
    assert {"fieldValidation", "dryRun"} <= {parameter["name"] for parameter in patches[0]["parameters"]}
    schemas = found["components"]["schemas"].values()
    assert any(gvk in body.get("x-kubernetes-group-version-kind", ()) for body in schemas)


def test_fields_have_types_and_merge_keys() -> None:
    schemas = document("api/v1")["components"]["schemas"]
    spec = schemas["io.k8s.api.core.v1.PodSpec"]
    containers = spec["properties"]["containers"]
    assert containers["items"] == {"allOf": [{"$ref": "#/components/schemas/io.k8s.api.core.v1.Container"}]}
    assert containers["x-kubernetes-patch-merge-key"] == "name"
    assert containers["x-kubernetes-patch-strategy"] == "merge"
    assert containers["x-kubernetes-list-map-keys"] == ["name"]
    assert spec["required"] == ["containers"]
    assert spec["properties"]["restartPolicy"] == {"type": "string", "enum": ["Always", "OnFailure", "Never"]}
    assert spec["properties"]["nodeSelector"]["additionalProperties"] == {"type": "string"}
    assert spec["properties"]["nodeSelector"]["x-kubernetes-map-type"] == "atomic"
    assert schemas["io.k8s.api.core.v1.ServicePort"]["properties"]["protocol"]["default"] == "TCP"
    assert "emptyDir" in schemas["io.k8s.api.core.v1.Volume"]["properties"]


def test_operation_ids_are_unique() -> None:
    for path in PATHS:
        ids = [
            operation["operationId"]
            for item in document(path)["paths"].values()
            for name, operation in item.items()
            if name != "parameters"
        ]
        assert len(ids) == len(set(ids))


def test_version_two_is_just_enough() -> None:
    assert json.loads(API.v2)["swagger"] == "2.0"
    assert API.v2_protobuf == b"\n\x032.0\x12\x15\n\nKubernetes\x12\x07v1.37.0B\x00J\x00"
