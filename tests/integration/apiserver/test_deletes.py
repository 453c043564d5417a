"""Deletion: at once, gracefully, by policy, with finalizers and preconditions; and how namespaces end."""

from __future__ import annotations

import pytest

from tests.integration.apiserver.support import MERGE, Api, config_map, pod


def bind(api: Api, name: str = "p") -> None:
    api.ok("POST", f"pods/{name}/binding", {"target": {"kind": "Node", "name": "n1"}})


def test_at_once(api: Api) -> None:
    made = api.ok("POST", "configmaps", config_map())
    body = api.ok("DELETE", "configmaps/c")
    assert body["status"] == "Success"
    assert body["details"] == {"name": "c", "kind": "configmaps", "uid": made["metadata"]["uid"]}
    api.refused(404, "NotFound", "GET", "configmaps/c")
    api.refused(404, "NotFound", "DELETE", "configmaps/c")


def test_an_unbound_pod_goes_at_once(api: Api) -> None:
    api.ok("POST", "pods", pod())
    assert api.ok("DELETE", "pods/p")["kind"] == "Pod"
    api.refused(404, "NotFound", "GET", "pods/p")


def test_a_bound_pod_waits_for_its_agent(api: Api) -> None:
    api.ok("POST", "pods", pod(terminationGracePeriodSeconds=7))
    bind(api)
    marked = api.ok("DELETE", "pods/p")["metadata"]
    assert marked["deletionTimestamp"]
    assert marked["deletionGracePeriodSeconds"] == 7
    again = api.ok("DELETE", "pods/p")["metadata"]
    assert again["deletionTimestamp"] == marked["deletionTimestamp"]
    shorter = api.ok("DELETE", "pods/p", {"gracePeriodSeconds": 2})["metadata"]
    assert shorter["deletionGracePeriodSeconds"] == 2
    longer = api.ok("DELETE", "pods/p", {"gracePeriodSeconds": 60})["metadata"]
    assert longer["deletionGracePeriodSeconds"] == 2
    api.ok("PATCH", "pods/p/status", {"status": {"phase": "Failed"}}, MERGE)
    api.ok("DELETE", "pods/p", params={"gracePeriodSeconds": "0"})
    api.refused(404, "NotFound", "GET", "pods/p")


def test_preconditions(api: Api) -> None:
    made = api.ok("POST", "configmaps", config_map())
    for wrong in ({"uid": "another"}, {"resourceVersion": "1"}):
        api.refused(409, "Conflict", "DELETE", "configmaps/c", {"preconditions": wrong})
    right = {"uid": made["metadata"]["uid"], "resourceVersion": made["metadata"]["resourceVersion"]}
    api.ok("DELETE", "configmaps/c", {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": right})


def test_a_finalizer_holds(api: Api) -> None:
    held = config_map()
    held["metadata"]["finalizers"] = ["kubelab.io/test"]
    api.ok("POST", "configmaps", held)
    marked = api.ok("DELETE", "configmaps/c")
    assert marked["metadata"]["deletionTimestamp"]
    more = {"metadata": {"finalizers": ["kubelab.io/test", "kubelab.io/more"]}}
    api.refused(422, "Invalid", "PATCH", "configmaps/c", more, MERGE)
    api.ok("PATCH", "configmaps/c", {"metadata": {"finalizers": None}}, MERGE)
    api.refused(404, "NotFound", "GET", "configmaps/c")


@pytest.mark.parametrize(("policy", "finalizer"), [("Foreground", "foregroundDeletion"), ("Orphan", "orphan")])
def test_policies_leave_work_to_the_collector(api: Api, policy: str, finalizer: str) -> None:
    api.ok("POST", "configmaps", config_map())
    marked = api.ok("DELETE", "configmaps/c", {"propagationPolicy": policy})["metadata"]
    assert marked["finalizers"] == [finalizer]
    assert marked["deletionTimestamp"]


def test_background_takes_the_collectors_finalizers_away(api: Api) -> None:
    api.ok("POST", "configmaps", config_map())
    api.ok("DELETE", "configmaps/c", {"propagationPolicy": "Foreground"})
    api.ok("DELETE", "configmaps/c", params={"propagationPolicy": "Background"})
    api.refused(404, "NotFound", "GET", "configmaps/c")


def test_wrong_options(api: Api) -> None:
    api.ok("POST", "configmaps", config_map())
    api.refused(422, "Invalid", "DELETE", "configmaps/c", {"propagationPolicy": "Sometimes"})
    both = {"propagationPolicy": "Orphan", "orphanDependents": True}
    api.refused(422, "Invalid", "DELETE", "configmaps/c", both)
    api.refused(400, "BadRequest", "DELETE", "configmaps/c", config_map())
    api.refused(400, "BadRequest", "DELETE", "configmaps/c", params={"gracePeriodSeconds": "soon"})
    api.refused(400, "BadRequest", "DELETE", "configmaps/c", [])


def test_collections(api: Api) -> None:
    for name in ("a", "b", "c"):
        given = config_map(name)
        given["metadata"]["labels"] = {"keep": str(name == "c").lower()}
        api.ok("POST", "configmaps", given)
    gone = api.ok("DELETE", "configmaps", params={"labelSelector": "keep=false"})
    assert [item["metadata"]["name"] for item in gone["items"]] == ["a", "b"]
    assert [item["metadata"]["name"] for item in api.ok("GET", "configmaps")["items"]] == ["c"]
    api.refused(405, "MethodNotAllowed", "DELETE", "/api/v1/configmaps")
    api.refused(405, "MethodNotAllowed", "DELETE", "/api/v1/namespaces")


def test_eviction_is_a_deletion(api: Api) -> None:
    api.ok("POST", "pods", pod())
    eviction = {"kind": "Eviction", "apiVersion": "policy/v1", "metadata": {"name": "p"}}
    assert api.ok("POST", "pods/p/eviction", eviction)["status"] == "Success"
    api.refused(404, "NotFound", "GET", "pods/p")
    api.refused(404, "NotFound", "POST", "pods/p/eviction", eviction)


def test_a_namespace_ends_in_two_steps(api: Api) -> None:
    path = f"/api/v1/namespaces/{api.namespace}"
    ending = api.ok("DELETE", path)
    assert ending["status"]["phase"] == "Terminating"
    assert ending["metadata"]["deletionTimestamp"]
    assert ending["spec"]["finalizers"] == ["kubernetes"]
    body = api.refused(403, "Forbidden", "POST", "configmaps", config_map())
    assert "because it is being terminated" in body["message"]
    assert body["details"]["causes"][0]["reason"] == "NamespaceTerminating"
    ending["spec"]["finalizers"] = []
    api.ok("PUT", f"{path}/finalize", ending)
    api.refused(404, "NotFound", "GET", path)
    body = api.refused(404, "NotFound", "POST", "configmaps", config_map())
    assert body["message"] == f'namespaces "{api.namespace}" not found'


@pytest.mark.parametrize("name", ["default", "kube-system", "kube-public", "kube-node-lease"])
def test_some_namespaces_stay(api: Api, name: str) -> None:
    api.refused(403, "Forbidden", "DELETE", f"/api/v1/namespaces/{name}")
    assert api.ok("GET", f"/api/v1/namespaces/{name}")["status"]["phase"] == "Active"
