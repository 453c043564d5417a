"""Bad input over HTTP: a clear Status, the right code, and a server that goes on."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.integration.apiserver.support import JSON_PATCH, MERGE, Api, config_map, controller, pod
from tests.support.server import RunningServer


@pytest.fixture(autouse=True)
def still_there(server: RunningServer) -> Any:
    yield
    assert server.session("admin").get("/readyz").status_code == 200


def test_a_body_over_3_mib_is_413(api: Api) -> None:
    """Row 5: before it is parsed (it isn't even JSON)."""
    api.refused(413, "RequestEntityTooLarge", "POST", "configmaps", b"x" * (3 * 1024 * 1024 + 1))
    chunks = (b"x" * 65536 for _ in range(60))
    response = api.session.post(api.path("configmaps"), data=chunks, headers={"Content-Type": "application/json"})
    assert response.status_code == 413
    assert response.json()["kind"] == "Status"


def test_an_object_over_the_limit_is_413(api: Api) -> None:
    """Row 5: the object itself. (A config map's own limit is lower.)"""
    big = pod()
    big["metadata"]["annotations"] = {"small": "x"}
    big["spec"]["containers"][0]["env"] = [{"name": f"E{n}", "value": "x" * 10000} for n in range(170)]
    api.refused(413, "RequestEntityTooLarge", "POST", "pods", big)


BODIES = {
    "10,000 levels": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "10,000 lists": b"[" * 10_000 + b"]" * 10_000,
    "NaN": b'{"metadata":{"name":"x"},"spec":{"replicas":NaN}}',
    "infinite": b'{"metadata":{"name":"x"},"spec":{"replicas":1e400}}',
    "duplicate keys": b'{"metadata":{"name":"x"},"data":{"a":"1","a":"2"}}',
    "invalid UTF-8": b'{"metadata":{"name":"\xff\xfe"}}',
    "half a surrogate": b'{"metadata":{"name":"x"},"data":{"a":"\\ud800"}}',
    "cut off": b'{"metadata":{"name":"x"',
    "no object": b"[1,2,3]",
    "empty": b"",
    "text": b"hello",
    "name is a number": b'{"metadata":{"name":5}}',
    "labels are a list": b'{"metadata":{"name":"x","labels":[]}}',
    "data of numbers": b'{"metadata":{"name":"x"},"data":{"a":1}}',
    "metadata is text": b'{"metadata":"x"}',
}


@pytest.mark.parametrize("case", BODIES)
def test_broken_bodies_are_400(api: Api, case: str) -> None:
    """Row 6."""
    api.refused(400, "BadRequest", "POST", "configmaps", BODIES[case])


YAMLS = {
    "bomb": "a: &a [x,x,x,x,x,x,x,x,x]\n"
    + "".join(
        f"{c}: &{c} [*{p},*{p},*{p},*{p},*{p},*{p},*{p},*{p},*{p}]\n"
        for p, c in zip("abcdefgh", "bcdefghi", strict=True)
    ),
    "python object": "!!python/object/apply:os.system ['echo']",
    "tag": "metadata: !foo {name: x}",
}


@pytest.mark.parametrize("case", YAMLS)
def test_hostile_yaml_is_400(api: Api, case: str) -> None:
    """Row 6."""
    begun = time.monotonic()
    api.refused(400, "BadRequest", "POST", "configmaps", YAMLS[case], "application/yaml")
    assert time.monotonic() - begun < 5


def test_yaml_is_understood(api: Api) -> None:
    made = api.ok("POST", "configmaps", "metadata:\n  name: y\ndata:\n  a: b\n", "application/yaml")
    assert made["data"] == {"a": "b"}


def test_too_many_operations_are_413(api: Api) -> None:
    """Row 7."""
    api.ok("POST", "configmaps", config_map())
    operations = [{"op": "test", "path": "/metadata/name", "value": "c"}] * 10_001
    api.refused(413, "RequestEntityTooLarge", "PATCH", "configmaps/c", operations, JSON_PATCH)


@pytest.mark.parametrize(
    "patch",
    [
        [{"op": "explode", "path": "/data"}],
        [{"op": "add"}],
        [{"op": "add", "path": "data", "value": 1}],
        [{"op": "remove", "path": "/no/such"}],
        [{"op": "add", "path": "/data/-1/~2", "value": "x"}],
        ["x"],
        {"op": "add"},
    ],
    ids=str,
)
def test_broken_json_patches(api: Api, patch: object) -> None:
    api.ok("POST", "configmaps", config_map(a="1"))
    response = api.call("PATCH", "configmaps/c", patch, JSON_PATCH)
    assert response.status_code in (400, 422), response.text
    assert response.json()["kind"] == "Status"


def test_wrong_media_type_is_415(api: Api) -> None:
    """Row 8."""
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        api.refused(415, "UnsupportedMediaType", "POST", "configmaps", config_map(), kind)
    api.ok("POST", "configmaps", config_map())
    api.refused(415, "UnsupportedMediaType", "PATCH", "configmaps/c", {}, "application/json")
    api.refused(406, "NotAcceptable", "GET", "configmaps", headers={"Accept": "text/html"})


PATHS_404 = [
    "/no/such/path", "/api/v2/pods", "/apis/no.such.group/v1/things", "/api/v1/nothings",
    "/api/v1/namespaces/a/nodes",
    "/api/v1/namespaces/default/pods/x/nothing", "/api/v1//pods", "/api/v1/namespaces/default/pods/..%2Fx/log/y",
    "/api/v1/namespaces/default/pods/%00/x/y", "/static/x", "/api/v1/watch/pods",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS_404)
def test_unknown_paths_are_404_as_a_status(api: Api, path: str) -> None:
    """Row 8."""
    api.refused(404, "NotFound", "GET", path)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/version"), ("PUT", "/api/v1/pods"), ("PATCH", "/api/v1/namespaces"), ("POST", "/api/v1/pods"),
        ("DELETE", "/apis"), ("POST", "pods/p"), ("GET", "pods/p/binding"), ("DELETE", "pods/p/status"),
        ("PROPFIND", "pods"),
    ],
)  # fmt: skip
def test_wrong_methods_are_405(api: Api, method: str, path: str) -> None:
    """Row 8."""
    api.refused(405, "MethodNotAllowed", method, path, {})


BAD_NAMES = ["UPPER", "a b", "../x", 'a"b', "a\nb", "a\0b", "-a", "a..b", "ü", "a" * 254, "%2e%2e", "a/b"]


@pytest.mark.parametrize("name", BAD_NAMES, ids=repr)
def test_names_out_of_form_are_422(api: Api, name: str) -> None:
    """Row 9."""
    body = api.refused(422, "Invalid", "POST", "configmaps", config_map(name))
    assert body["details"]["causes"][0]["field"] == "metadata.name"


def container(**fields: Any) -> dict[str, Any]:
    return pod(containers=[{"name": "main", "image": "busybox", **fields}])


FIELDS = {
    "label value": ({**pod(), "metadata": {"name": "p", "labels": {"a": "b c"}}}, "metadata.labels"),
    "label key": ({**pod(), "metadata": {"name": "p", "labels": {"a/b/c": "x"}}}, "metadata.labels"),
    "annotation key": ({**pod(), "metadata": {"name": "p", "annotations": {"a b": "x"}}}, "metadata.annotations"),
    "port": (container(ports=[{"containerPort": 70000}]), "spec.containers[0].ports[0].containerPort"),
    "host port": (container(ports=[{"containerPort": 1, "hostPort": -1}]), "spec.containers[0].ports[0].hostPort"),
    "image": (container(image="a b"), "spec.containers[0].image"),
    "image like an option": (container(image="--privileged"), "spec.containers[0].image"),
    "no image": (container(image=""), "spec.containers[0].image"),
    "env name": (container(env=[{"name": "A=B", "value": ""}]), "spec.containers[0].env[0].name"),
    "container name": (pod(containers=[{"name": "A_B", "image": "x"}]), "spec.containers[0].name"),
    "negative cpu": (container(resources={"limits": {"cpu": "-1"}}), "spec.containers[0].resources.limits"),
    "no containers": (pod(containers=[]), "spec.containers"),
    "huge grace": (pod(terminationGracePeriodSeconds=-1), "spec.terminationGracePeriodSeconds"),
}


@pytest.mark.parametrize("case", FIELDS)
def test_fields_out_of_form_are_422_with_their_path(api: Api, case: str) -> None:
    """Rows 9, 16, 17."""
    given, field = FIELDS[case]
    body = api.refused(422, "Invalid", "POST", "pods", given)
    assert any(cause["field"].startswith(field) for cause in body["details"]["causes"]), body["message"]
    api.refused(404, "NotFound", "GET", "pods/p")


def test_malformed_quantity(api: Api) -> None:
    """Row 9, 17."""
    response = api.call("POST", "pods", container(resources={"requests": {"memory": "lots"}}))
    assert response.status_code in (400, 422), response.text


def test_replicas_beyond_reason(api: Api) -> None:
    """Row 17."""
    for replicas, code in ((-1, 422), (10**9, 422), (2**40, 400)):
        assert api.call("POST", "replicationcontrollers", controller(replicas=replicas)).status_code == code
    api.ok("POST", "replicationcontrollers", controller())
    api.refused(422, "Invalid", "PATCH", "replicationcontrollers/rc/scale", {"spec": {"replicas": 10**9}}, MERGE)
    assert api.ok("GET", "replicationcontrollers/rc")["spec"]["replicas"] == 1


def test_a_service_out_of_range_is_422(api: Api) -> None:
    """Row 16."""
    for spec, field in (
        ({"clusterIP": "10.96.0.1"}, "spec.clusterIP"),
        ({"clusterIP": "192.168.0.1"}, "spec.clusterIP"),
        ({"clusterIP": "x"}, "spec.clusterIP"),
        ({"type": "NodePort", "ports": [{"port": 80, "nodePort": 80}]}, "spec.ports[0].nodePort"),
    ):
        body = api.refused(
            422, "Invalid", "POST", "services", {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}], **spec}}
        )
        assert any(field.split(".")[1][:5] in cause["field"] for cause in body["details"]["causes"]), body["message"]


def test_names_in_paths_never_reach_elsewhere(api: Api) -> None:
    for name in ("..%2f..%2fnodes", "%2e%2e", "a%0Ab", "a%00b", "%22", "UPPER"):
        api.refused(404, "NotFound", "GET", f"configmaps/{name}")


def test_headers_without_end(server: RunningServer) -> None:
    response = server.session("admin").get("/version", headers={"X-Long": "x" * 70_000})
    assert response.status_code == 431


def test_merge_patch_of_other_shapes(api: Api) -> None:
    api.ok("POST", "configmaps", config_map(a="1"))
    for patch in ([1], "x", 5, None):
        assert api.call("PATCH", "configmaps/c", json.dumps(patch), MERGE).status_code == 400
    api.refused(400, "BadRequest", "PATCH", "configmaps/c", {"data": {"a": {"b": 1}}}, MERGE)
    api.refused(400, "BadRequest", "PATCH", "configmaps/c", {"metadata": {"name": "d"}}, MERGE)
    assert api.ok("GET", "configmaps/c")["data"] == {"a": "1"}


def test_truncated_protobuf(api: Api) -> None:
    for body in (b"", b"k8s\0", b"k8s\0\xff\xff\xff\xff", b"xyz"):
        response = api.call("POST", "configmaps", body, "application/vnd.kubernetes.protobuf")
        assert response.status_code == 400, response.text
