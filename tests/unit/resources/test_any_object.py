"""Whatever fits the schema: the server's steps end in an object or in an ApiError, never in anything else.

And what was accepted once is accepted again: an update with the stored object changes nothing and is refused nothing.
"""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controlplane.api import schema
from controlplane.api.errors import ApiError
from controlplane.apiserver.registry import Resource
from controlplane.apiserver.resources import ALL
from tests.unit.resources.build import context, create, row, update

WORDS = st.sampled_from(
    [
        "",
        "a",
        "web",
        "x.y/z",
        "A b",
        "../x",
        "1",
        "None",
        "ClusterIP",
        "Always",
        "Exists",
        "TCP",
        "10.96.0.7",
        "\0",
        "é",
    ]
)
SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "string": WORDS,
    "bool": st.booleans(),
    "int32": st.sampled_from([0, 1, -1, 80, 30080, 2**31 - 1]),
    "int64": st.sampled_from([0, 1, -1, 30, 2**63 - 1]),
    "float64": st.floats(allow_nan=False, allow_infinity=False),
    "bytes": st.sampled_from(["", "YQ==", "!"]),
    "Quantity": st.sampled_from(["1", "100m", "1Gi", "-1", "x", 1, 0.5]),
    "IntOrString": st.sampled_from([80, "http", "", 0, -1]),
    "Time": st.sampled_from(["2026-11-24T11:00:00Z", "now"]),
    "MicroTime": st.sampled_from(["2026-11-24T11:00:00.000001Z", "now"]),
    "meta.v1.Duration": st.just("1s"),
}


@cache
def values(kind: str, depth: int) -> st.SearchStrategy[Any]:
    if kind.startswith("[]"):
        return st.lists(values(kind[2:], depth), max_size=2)
    if kind.startswith("map[string]"):
        return st.dictionaries(WORDS, values(kind[11:], depth), max_size=2)
    if kind in SCALARS:
        return st.none() | SCALARS[kind]
    if kind in schema.ANYTHING:
        return st.sampled_from([{}, {"a": 1}])
    if depth == 0:
        return st.just({})
    fields = schema.get(kind).fields
    return st.lists(st.sampled_from(sorted(fields)), max_size=5, unique=True).flatmap(
        lambda chosen: st.fixed_dictionaries({name: values(fields[name].type, depth - 1) for name in chosen})
    )


def objects(resource: Resource) -> st.SearchStrategy[Any]:
    fields = schema.get(resource.schema).fields
    return st.fixed_dictionaries({name: values(field.type, 6) for name, field in fields.items()})


CONTAINERS = [{"name": "web", "image": "web:1"}]
REPAIRS: dict[str, dict[str, Any]] = {
    "pods": {"containers": CONTAINERS, "restartPolicy": "Always", "dnsPolicy": "Default"},
    "services": {"ports": [{"port": 80}], "type": "NodePort"},
    "replicationcontrollers": {
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": CONTAINERS}},
        "selector": {"app": "web"},
        "replicas": 2,
    },
}
"""What makes an object of a demanding kind acceptable more often."""


def repaired(resource: Resource, obj: dict[str, Any], keep: list[str]) -> dict[str, Any]:
    """The object with the demanded parts put right, and few others."""
    repair = REPAIRS.get(resource.plural)
    if repair is None:
        return obj
    spec = {name: value for name, value in (obj.get("spec") or {}).items() if name in keep}
    return {"metadata": {}, "spec": {**spec, **copy.deepcopy(repair)}}


@pytest.mark.parametrize("resource", ALL, ids=lambda resource: resource.plural)
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_every_object_is_taken_or_refused(resource: Resource, data: st.DataObject) -> None:
    obj = data.draw(objects(resource))
    if data.draw(st.booleans()):
        obj = repaired(
            resource, obj, data.draw(st.lists(st.sampled_from(sorted(obj.get("spec") or {"": 1})), max_size=2))
        )
    obj["metadata"] = {**(obj.get("metadata") or {}), "name": "web", "namespace": "default"}
    if not resource.namespaced:
        del obj["metadata"]["namespace"]
    refused, written = 0, None
    try:
        written = create(resource, {name: value for name, value in obj.items() if value is not None})
    except ApiError as error:
        refused = error.code
    assert refused in (0, 400, 403, 422)
    if written is None:
        return
    row(resource, written.obj, wide=True)
    assert all(isinstance(getter(written.obj), str) for getter in resource.selectable.values())
    resource.strategy.graceful_delete(written.obj, {}, context())
    if written.causes:
        return
    again = update(resource, copy.deepcopy(written.obj), written.obj)
    assert again.obj == written.obj
    assert again.causes == []
