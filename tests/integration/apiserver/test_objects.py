"""Objects: create, update, patch, status, generations, conflicts."""

from __future__ import annotations

import threading

import pytest

from tests.integration.apiserver.support import (
    JSON_PATCH,
    MERGE,
    STRATEGIC,
    Api,
    config_map,
    controller,
    pod,
)
from tests.support.waiting import eventually


def test_create_fills_in_what_is_the_servers(api: Api) -> None:
    made = api.ok("POST", "pods", pod())
    meta = made["metadata"]
    assert meta["uid"]
    assert meta["creationTimestamp"].endswith("Z")
    assert meta["generation"] == 1
    assert int(meta["resourceVersion"]) > 0
    assert made["status"]["phase"] == "Pending"
    assert api.ok("GET", "pods/p") == made


def test_what_a_client_says_of_itself_is_ignored(api: Api) -> None:
    """Bad input 18."""
    given = pod()
    given["metadata"] |= {
        "uid": "mine", "resourceVersion": "7", "generation": 9, "creationTimestamp": "2001-01-01T00:00:00Z",
        "deletionTimestamp": "2001-01-01T00:00:00Z",
    }  # fmt: skip
    given["status"] = {"phase": "Succeeded"}
    made = api.ok("POST", "pods", given)
    assert made["metadata"]["uid"] != "mine"
    assert made["metadata"]["resourceVersion"] != "7"
    assert made["metadata"]["generation"] == 1
    assert not made["metadata"]["creationTimestamp"].startswith("2001")
    assert "deletionTimestamp" not in made["metadata"]
    assert made["status"]["phase"] == "Pending"


def test_a_name_is_taken_once(api: Api) -> None:
    api.ok("POST", "configmaps", config_map())
    body = api.refused(409, "AlreadyExists", "POST", "configmaps", config_map())
    assert body["message"] == 'configmaps "c" already exists'


def test_generate_name(api: Api) -> None:
    names = {api.ok("POST", "configmaps", {"metadata": {"generateName": "x-"}})["metadata"]["name"] for _ in range(5)}
    assert len(names) == 5
    assert all(name.startswith("x-") and len(name) == 7 for name in names)


def test_update_with_a_stale_revision_conflicts(api: Api) -> None:
    made = api.ok("POST", "configmaps", config_map(a="1"))
    newer = api.ok("PUT", "configmaps/c", {**made, "data": {"a": "2"}})
    assert int(newer["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])
    body = api.refused(409, "Conflict", "PUT", "configmaps/c", {**made, "data": {"a": "3"}})
    assert body["message"].startswith('Operation cannot be fulfilled on configmaps "c": the object has been modified')
    made["metadata"].pop("resourceVersion")
    assert api.ok("PUT", "configmaps/c", {**made, "data": {"a": "4"}})["data"] == {"a": "4"}


def test_a_change_of_nothing_is_no_write(api: Api) -> None:
    made = api.ok("POST", "configmaps", config_map(a="1"))
    assert api.ok("PUT", "configmaps/c", made) == made
    assert api.ok("PATCH", "configmaps/c", {"data": {"a": "1"}}, MERGE) == made


def test_put_needs_the_same_name_and_an_object(api: Api) -> None:
    api.refused(404, "NotFound", "PUT", "configmaps/c", config_map())
    api.ok("POST", "configmaps", config_map())
    api.refused(400, "BadRequest", "PUT", "configmaps/c", config_map("other"))
    other_uid = config_map()
    other_uid["metadata"]["uid"] = "another"
    api.refused(409, "Conflict", "PUT", "configmaps/c", other_uid)


def test_namespace_of_object_and_path_must_agree(api: Api) -> None:
    given = config_map()
    given["metadata"]["namespace"] = "default"
    body = api.refused(400, "BadRequest", "POST", "configmaps", given)
    assert "does not match the namespace sent on the request" in body["message"]


def test_spec_and_status_are_apart(api: Api) -> None:
    made = api.ok("POST", "replicationcontrollers", controller(replicas=2))
    changed = api.ok(
        "PATCH", "replicationcontrollers/rc", {"spec": {"replicas": 3}, "status": {"replicas": 9}}, MERGE
    )
    assert changed["metadata"]["generation"] == made["metadata"]["generation"] + 1
    assert changed["status"]["replicas"] == 0
    status = {"spec": {"replicas": 7}, "status": {"replicas": 1, "observedGeneration": 2}}
    seen = api.ok("PATCH", "replicationcontrollers/rc/status", status, MERGE)
    assert seen["spec"]["replicas"] == 3
    assert seen["status"]["replicas"] == 1
    assert seen["metadata"]["generation"] == changed["metadata"]["generation"]
    assert api.ok("GET", "replicationcontrollers/rc/status") == seen
    seen["status"]["replicas"] = 2
    assert api.ok("PUT", "replicationcontrollers/rc/status", seen)["status"]["replicas"] == 2


def test_three_patches(api: Api) -> None:
    given = pod()
    given["spec"]["containers"].append({"name": "side", "image": "a"})
    api.ok("POST", "pods", given)
    merged = api.ok("PATCH", "pods/p", {"metadata": {"labels": {"app": None, "x": "1"}}}, MERGE)
    assert merged["metadata"]["labels"] == {"x": "1"}
    image = {"spec": {"containers": [{"name": "side", "image": "b"}]}}
    strategic = api.ok("PATCH", "pods/p", image, STRATEGIC)
    assert [c["image"] for c in strategic["spec"]["containers"]] == ["busybox", "b"]
    operations = [
        {"op": "test", "path": "/metadata/labels/x", "value": "1"},
        {"op": "replace", "path": "/metadata/labels/x", "value": "2"},
    ]
    assert api.ok("PATCH", "pods/p", operations, JSON_PATCH)["metadata"]["labels"] == {"x": "2"}
    assert api.call("PATCH", "pods/p", operations, JSON_PATCH).status_code in (400, 409, 422)


def test_a_patch_that_makes_it_invalid_changes_nothing(api: Api) -> None:
    """Bad input 7."""
    made = api.ok("POST", "replicationcontrollers", controller())
    body = api.refused(422, "Invalid", "PATCH", "replicationcontrollers/rc", {"spec": {"replicas": -1}}, MERGE)
    assert body["details"]["causes"][0]["field"] == "spec.replicas"
    assert api.ok("GET", "replicationcontrollers/rc") == made


def test_a_patch_with_a_stale_revision_conflicts(api: Api) -> None:
    made = api.ok("POST", "configmaps", config_map(a="1"))
    api.ok("PATCH", "configmaps/c", {"data": {"a": "2"}}, MERGE)
    stale = {"metadata": {"resourceVersion": made["metadata"]["resourceVersion"]}, "data": {"a": "3"}}
    api.refused(409, "Conflict", "PATCH", "configmaps/c", stale, MERGE)


def test_patches_at_once_all_count(api: Api) -> None:
    api.ok("POST", "configmaps", config_map())
    threads = [
        threading.Thread(target=api.ok, args=("PATCH", "configmaps/c", {"data": {f"k{n}": "v"}}, MERGE))
        for n in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(api.ok("GET", "configmaps/c")["data"]) == 12


def test_server_side_apply_is_refused_clearly(api: Api) -> None:
    body = api.refused(
        415, "UnsupportedMediaType", "PATCH", "configmaps/c?fieldManager=x", {}, "application/apply-patch+yaml"
    )
    assert "application/strategic-merge-patch+json" in body["message"]


@pytest.mark.parametrize("verb", ["create", "update", "patch", "delete"])
def test_dry_run_leaves_nothing(api: Api, verb: str) -> None:
    everything = {"dryRun": "All"}
    if verb == "create":
        assert api.ok("POST", "configmaps", config_map(), params=everything)["metadata"]["uid"]
        api.refused(404, "NotFound", "GET", "configmaps/c")
        return
    made = api.ok("POST", "configmaps", config_map(a="1"))
    match verb:
        case "update":
            assert api.ok("PUT", "configmaps/c", config_map(a="2"), params=everything)["data"] == {"a": "2"}
        case "patch":
            assert api.ok("PATCH", "configmaps/c", {"data": {"a": "2"}}, MERGE, params=everything)["data"] == {
                "a": "2"
            }
        case _:
            api.ok("DELETE", "configmaps/c", params=everything)
    assert api.ok("GET", "configmaps/c") == made
    api.refused(400, "BadRequest", "POST", "configmaps", config_map("d"), params={"dryRun": "Some"})


def test_unknown_fields(api: Api) -> None:
    given = pod()
    given["spec"]["colour"] = "red"
    body = api.refused(400, "BadRequest", "POST", "pods", given, params={"fieldValidation": "Strict"})
    assert body["message"].endswith('strict decoding error: unknown field "spec.colour"')
    assert body["message"].startswith('Pod in version "v1" cannot be handled as a Pod')
    warned = api.call("POST", "pods", given, params={"fieldValidation": "Warn"})
    assert warned.headers["Warning"] == '299 - "unknown field \\"spec.colour\\""'
    assert "colour" not in warned.json()["spec"]
    given["metadata"]["name"] = "q"
    assert "Warning" not in api.call("POST", "pods", given, params={"fieldValidation": "Ignore"}).headers
    given["metadata"]["name"] = "r"
    assert "Warning" in api.call("POST", "pods", given).headers


def test_kind_and_version_must_be_the_paths(api: Api) -> None:
    api.refused(400, "BadRequest", "POST", "pods", {**pod(), "kind": "Secret"})
    api.refused(400, "BadRequest", "POST", "pods", {**pod(), "apiVersion": "v2"})


def test_scale(api: Api) -> None:
    api.ok("POST", "replicationcontrollers", controller(replicas=2))
    scale = api.ok("GET", "replicationcontrollers/rc/scale")
    assert scale["kind"] == "Scale"
    assert scale["spec"] == {"replicas": 2}
    assert scale["status"] == {"replicas": 0, "selector": "app=rc"}
    assert (
        api.ok("PATCH", "replicationcontrollers/rc/scale", {"spec": {"replicas": 4}}, MERGE)["spec"]["replicas"] == 4
    )
    api.refused(409, "Conflict", "PUT", "replicationcontrollers/rc/scale", {**scale, "spec": {"replicas": 5}})
    current = api.ok("GET", "replicationcontrollers/rc/scale")
    current["spec"]["replicas"] = 5
    without_type = api.session.put(
        api.path("replicationcontrollers", "rc", "scale"), json=current, headers={"Content-Type": None}
    )
    assert without_type.json()["spec"]["replicas"] == 5
    assert api.ok("GET", "replicationcontrollers/rc")["spec"]["replicas"] == 5
    api.refused(422, "Invalid", "PATCH", "replicationcontrollers/rc/scale", {"spec": {"replicas": -1}}, MERGE)


def test_binding_once(api: Api) -> None:
    api.ok("POST", "pods", pod())
    binding = {
        "kind": "Binding",
        "apiVersion": "v1",
        "metadata": {"name": "p"},
        "target": {"kind": "Node", "name": "n1"},
    }
    assert api.ok("POST", "pods/p/binding", binding)["status"] == "Success"
    bound = api.ok("GET", "pods/p")
    assert bound["spec"]["nodeName"] == "n1"
    assert [c["status"] for c in bound["status"]["conditions"] if c["type"] == "PodScheduled"] == ["True"]
    body = api.refused(409, "Conflict", "POST", "pods/p/binding", binding)
    assert 'already assigned to node "n1"' in body["message"]
    api.refused(404, "NotFound", "POST", "pods/q/binding", {**binding, "metadata": {}})
    api.ok("POST", "pods", pod("r"))
    wrong = {**binding, "metadata": {"name": "r", "uid": "another"}}
    api.refused(409, "Conflict", "POST", "pods/r/binding", wrong)


def test_a_stale_leader_is_refused(api: Api) -> None:
    first = api.ok("POST", "/kubelab/terms/test")["term"]
    second = api.ok("POST", "/kubelab/terms/test")["term"]
    assert second == first + 1
    header = {"Kubelab-Term": f"test={first}"}
    api.refused(409, "StaleTerm", "POST", "configmaps", config_map(), headers=dict(header))
    api.ok("POST", "configmaps", config_map(), headers={"Kubelab-Term": f"test={second}"})
    api.refused(409, "StaleTerm", "PATCH", "configmaps/c", {"data": {"a": "1"}}, MERGE, headers=dict(header))
    api.refused(409, "StaleTerm", "DELETE", "configmaps/c", headers=dict(header))
    api.refused(400, "BadRequest", "POST", "configmaps", config_map("d"), headers={"Kubelab-Term": "test"})


def test_claims_are_exclusive(api: Api) -> None:
    def service(name: str, **spec: object) -> dict[str, object]:
        return {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}], **spec}}

    one = api.ok("POST", "services", service("a", type="NodePort"))
    ip, port = one["spec"]["clusterIP"], one["spec"]["ports"][0]["nodePort"]
    assert 30000 <= port <= 32767
    body = api.refused(422, "Invalid", "POST", "services", service("b", clusterIP=ip))
    assert "clusterIP" in body["details"]["causes"][0]["field"]
    taken = {"metadata": {"name": "b"}, "spec": {"type": "NodePort", "ports": [{"port": 80, "nodePort": port}]}}
    api.refused(422, "Invalid", "POST", "services", taken)
    api.ok("DELETE", "services/a")
    assert api.ok("POST", "services", service("b", clusterIP=ip))["spec"]["clusterIP"] == ip


def test_the_basics_come_back(api: Api) -> None:
    service = "/api/v1/namespaces/default/services/kubernetes"
    endpoints = "/api/v1/namespaces/default/endpoints/kubernetes"
    api.ok("DELETE", service)
    api.ok("PATCH", endpoints, {"subsets": None}, MERGE)
    eventually(
        "both are there", lambda: api.call("GET", service).ok and "subsets" in api.ok("GET", endpoints), timeout_s=20
    )
    assert api.ok("GET", service)["spec"]["clusterIP"] == "10.96.0.1"
    assert api.ok("GET", endpoints)["subsets"][0]["addresses"] == [{"ip": "10.77.0.10"}]
