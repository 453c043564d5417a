"""Metadata, the same for every kind."""

from __future__ import annotations

from typing import Any

import pytest

from controlplane.api import names, objectmeta


def fields(metadata: dict[str, Any], namespaced: bool = True) -> list[str]:
    return [cause.field for cause in objectmeta.validate({"metadata": metadata}, namespaced, names.dns_subdomain)]


GOOD = {
    "name": "web",
    "namespace": "default",
    "labels": {"app": "web", "example.com/tier": ""},
    "annotations": {"Example.com/Note": "anything at all\n"},
    "finalizers": ["example.com/keep"],
    "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u", "controller": True}],
}
OWNER = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u"}


def test_good_metadata_passes() -> None:
    assert fields(GOOD) == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "metadata.name"),
        ({"name": "Web"}, "metadata.name"),
        ({"name": "a/../b"}, "metadata.name"),
        ({"namespace": ""}, "metadata.namespace"),
        ({"namespace": "a.b"}, "metadata.namespace"),
        ({"generateName": "A"}, "metadata.generateName"),
        ({"labels": {"a b": "c"}}, "metadata.labels"),
        ({"labels": {"a": "b c"}}, "metadata.labels"),
        ({"labels": {"a": "b\n"}}, "metadata.labels"),
        ({"annotations": {"a b": "c"}}, "metadata.annotations"),
        ({"annotations": {"a": "x" * (256 * 1024)}}, "metadata.annotations"),
        ({"finalizers": ["plain"]}, "metadata.finalizers[0]"),
        ({"finalizers": ["orphan", "foregroundDeletion"]}, "metadata.finalizers"),
        ({"ownerReferences": [{**OWNER, "uid": ""}]}, "metadata.ownerReferences[0].uid"),
        ({"ownerReferences": [{**OWNER, "apiVersion": ""}]}, "metadata.ownerReferences[0].apiVersion"),
        ({"ownerReferences": [{**OWNER, "controller": True}] * 2}, "metadata.ownerReferences"),
        ({"ownerReferences": [{**OWNER, "kind": "Event"}]}, "metadata.ownerReferences[0]"),
        ({"generation": -1}, "metadata.generation"),
    ],
)
def test_each_mistake_names_its_field(change: dict[str, Any], field: str) -> None:
    assert set(fields({**GOOD, **change})) == {field}


def test_cluster_scoped_kinds_have_no_namespace() -> None:
    assert fields(GOOD, namespaced=False) == ["metadata.namespace"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "other"}, "metadata.name"),
        ({"uid": "other"}, "metadata.uid"),
        ({"creationTimestamp": "2020-01-01T00:00:00Z"}, "metadata.creationTimestamp"),
        ({"labels": {"a b": ""}}, "metadata.labels"),
    ],
)
def test_an_update_keeps_the_identity(change: dict[str, Any], field: str) -> None:
    old = {"metadata": {**GOOD, "uid": "u1", "creationTimestamp": "2026-11-24T11:00:00Z"}}
    new = {"metadata": {**old["metadata"], **change}}
    assert [c.field for c in objectmeta.validate_update(new, old, True, names.dns_subdomain)] == [field]
    assert objectmeta.validate_update(old, old, True, names.dns_subdomain) == []


def test_no_new_finalizers_on_what_is_being_deleted() -> None:
    old = {"metadata": {**GOOD, "deletionTimestamp": "2026-11-24T11:00:00Z"}}
    new = {"metadata": {**old["metadata"], "finalizers": ["example.com/keep", "example.com/more"]}}
    gone = {"metadata": {**old["metadata"], "finalizers": []}}
    assert [c.field for c in objectmeta.validate_update(new, old, True, names.dns_subdomain)] == [
        "metadata.finalizers"
    ]
    assert objectmeta.validate_update(gone, old, True, names.dns_subdomain) == []
