"""Discovery in both forms, OpenAPI, versions and trailing slashes."""

from __future__ import annotations

from tests.integration.apiserver.support import Api

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"


def test_classic(api: Api) -> None:
    assert api.ok("GET", "/api")["versions"] == ["v1"]
    groups = api.ok("GET", "/apis")
    assert [group["name"] for group in groups["groups"]] == ["coordination.k8s.io", "discovery.k8s.io"]
    assert groups["groups"][0]["preferredVersion"]["groupVersion"] == "coordination.k8s.io/v1"
    assert api.ok("GET", "/apis/discovery.k8s.io")["kind"] == "APIGroup"
    core = api.ok("GET", "/api/v1")
    assert (core["kind"], core["groupVersion"]) == ("APIResourceList", "v1")
    listed = {entry["name"]: entry for entry in core["resources"]}
    assert listed["pods"] == {
        "name": "pods", "singularName": "pod", "namespaced": True, "kind": "Pod", "shortNames": ["po"],
        "categories": ["all"],
        "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
    }  # fmt: skip
    assert listed["pods/eviction"]["group"] == "policy"
    assert listed["pods/binding"]["kind"] == "Binding"
    assert listed["replicationcontrollers/scale"]["kind"] == "Scale"
    assert listed["pods/log"]["verbs"] == ["get"]
    assert "deletecollection" not in listed["namespaces"]["verbs"]


def test_aggregated(api: Api) -> None:
    response = api.call("GET", "/apis", headers={"Accept": AGGREGATED})
    assert response.headers["Content-Type"] == "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    body = response.json()
    assert body["kind"] == "APIGroupDiscoveryList"
    assert [item["metadata"]["name"] for item in body["items"]] == ["coordination.k8s.io", "discovery.k8s.io"]
    core = api.ok("GET", "/api", headers={"Accept": AGGREGATED})["items"][0]["versions"][0]
    pods = next(entry for entry in core["resources"] if entry["resource"] == "pods")
    assert pods["scope"] == "Namespaced"
    assert {entry["subresource"] for entry in pods["subresources"]} >= {"status", "log", "binding", "eviction"}


def test_trailing_slashes_and_version(api: Api) -> None:
    assert api.ok("GET", "/version/")["gitVersion"].startswith("v1.37")
    assert api.ok("GET", "/api/")["kind"] == "APIVersions"
    assert api.ok("GET", "/api/v1/namespaces/")["kind"] == "NamespaceList"


def test_openapi(api: Api) -> None:
    index = api.ok("GET", "/openapi/v3")
    assert "api/v1" in index["paths"]
    link = index["paths"]["apis/discovery.k8s.io/v1"]["serverRelativeURL"]
    assert api.ok("GET", link)["openapi"].startswith("3.")


def test_head_and_request_ids(api: Api) -> None:
    response = api.session.head("/api/v1/namespaces/default")
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["Audit-Id"]
