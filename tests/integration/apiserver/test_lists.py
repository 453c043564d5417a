"""Lists: selectors, pages, revisions, tables, metadata only."""

from __future__ import annotations

import pytest

from tests.integration.apiserver.support import TABLE, Api, config_map, pod


@pytest.fixture
def three(api: Api) -> Api:
    for name, tier in (("a", "front"), ("b", "back"), ("c", "back")):
        api.ok("POST", "pods", pod(name, labels={"app": name, "tier": tier}))
    api.ok("POST", "pods/b/binding", {"target": {"kind": "Node", "name": "n1"}})
    return api


def names(answer: dict[str, list[dict[str, dict[str, str]]]]) -> list[str]:
    return [item["metadata"]["name"] for item in answer["items"]]


SELECTORS = [
    ({"labelSelector": "tier=back"}, ["b", "c"]),
    ({"labelSelector": "tier in (back,front),app!=c"}, ["a", "b"]),
    ({"labelSelector": "!tier"}, []),
    ({"labelSelector": "tier notin (back)"}, ["a"]),
    ({"fieldSelector": "metadata.name=a"}, ["a"]),
    ({"fieldSelector": "spec.nodeName=n1"}, ["b"]),
    ({"fieldSelector": "spec.nodeName="}, ["a", "c"]),
    ({"fieldSelector": "spec.nodeName!=n1,status.phase=Pending"}, ["a", "c"]),
    ({"fieldSelector": "spec.nodeName=", "labelSelector": "tier=back"}, ["c"]),
]


@pytest.mark.parametrize(("parameters", "expected"), SELECTORS, ids=[str(c[0]) for c in SELECTORS])
def test_selectors(three: Api, parameters: dict[str, str], expected: list[str]) -> None:
    assert names(three.ok("GET", "pods", params=parameters)) == expected


@pytest.mark.parametrize(
    "parameters",
    [
        {"labelSelector": "a=b=c"},
        {"labelSelector": "a in (b"},
        {"labelSelector": "-=x"},
        {"fieldSelector": "metadata.name"},
        {"fieldSelector": "spec.colour=red"},
        {"limit": "many"},
        {"limit": "-1"},
        {"continue": "nonsense"},
        {"resourceVersion": "abc"},
        {"watch": "true", "labelSelector": "a=b=c"},
        {"watch": "true", "timeoutSeconds": "x"},
        {"watch": "true", "allowWatchBookmarks": "perhaps"},
    ],
    ids=str,
)
def test_broken_parameters_are_400(api: Api, parameters: dict[str, str]) -> None:
    """Bad input 10."""
    api.refused(400, "BadRequest", "GET", "pods", params=parameters)


def test_pages_show_one_revision(three: Api) -> None:
    first = three.ok("GET", "pods", params={"limit": "2"})
    assert names(first) == ["a", "b"]
    assert first["metadata"]["remainingItemCount"] == 1
    three.ok("POST", "pods", pod("bb"))
    three.ok("DELETE", "pods/c")
    second = three.ok("GET", "pods", params={"limit": "2", "continue": first["metadata"]["continue"]})
    assert names(second) == ["c"]
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    assert "continue" not in second["metadata"]


def test_resource_version_match(three: Api) -> None:
    now = three.ok("GET", "pods")["metadata"]["resourceVersion"]
    assert names(three.ok("GET", "pods", params={"resourceVersion": "0"})) == ["a", "b", "c"]
    newer = {"resourceVersion": now, "resourceVersionMatch": "NotOlderThan"}
    assert names(three.ok("GET", "pods", params=newer)) == ["a", "b", "c"]
    three.refused(410, "Expired", "GET", "pods", params={"resourceVersion": "1", "resourceVersionMatch": "Exact"})
    three.refused(422, "Invalid", "GET", "pods", params={"resourceVersionMatch": "Exact"})
    three.refused(504, "Timeout", "GET", "pods", params={"resourceVersion": "99999999"})


def test_list_envelope_and_namespaces(three: Api) -> None:
    listed = three.ok("GET", "pods")
    assert (listed["kind"], listed["apiVersion"]) == ("PodList", "v1")
    assert listed["items"][0] == three.ok("GET", "pods/a")
    everywhere = three.ok("GET", "/api/v1/pods")
    assert {three.namespace} <= {item["metadata"]["namespace"] for item in everywhere["items"]}
    assert three.ok("GET", "/api/v1/namespaces/nowhere/pods")["items"] == []


def test_a_reader_sees_its_own_writes(api: Api) -> None:
    for number in range(30):
        api.ok("POST", "configmaps", config_map(f"c{number}"))
        assert len(api.ok("GET", "configmaps")["items"]) == number + 1


def test_table(three: Api) -> None:
    table = three.ok("GET", "pods", headers={"Accept": TABLE})
    assert (table["kind"], table["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    assert [c["name"] for c in table["columnDefinitions"]][:5] == ["Name", "Ready", "Status", "Restarts", "Age"]
    assert table["columnDefinitions"][0]["format"] == "name"
    row = table["rows"][0]
    assert row["cells"][:3] == ["a", "0/1", "Pending"]
    assert row["object"]["kind"] == "PartialObjectMetadata"
    whole = three.ok("GET", "pods/a", headers={"Accept": TABLE}, params={"includeObject": "Object"})
    assert whole["rows"][0]["object"] == three.ok("GET", "pods/a")
    none = three.ok("GET", "pods", headers={"Accept": TABLE}, params={"includeObject": "None"})
    assert "object" not in none["rows"][0]
    assert three.ok("GET", "configmaps", headers={"Accept": TABLE})["rows"] == []


def test_metadata_only(three: Api) -> None:
    accept = {"Accept": "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"}
    listed = three.ok("GET", "pods", headers=accept)
    assert listed["kind"] == "PartialObjectMetadataList"
    assert set(listed["items"][0]) == {"kind", "apiVersion", "metadata"}
