"""Strict decoding: types, unknown fields with their paths, canonical values."""

from __future__ import annotations

from typing import Any

import pytest

from controlplane.api import decoding, schema
from controlplane.api.errors import ApiError


def pod(**container: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "c", **container}]},
    }


def test_unknown_fields_are_removed_and_named() -> None:
    obj = pod(imagge="x", livenessProbe={"httpGet": {"port": 1, "pth": "/"}})
    obj["spec"]["replicas"] = 1
    obj["metadata"]["lables"] = {}
    assert decoding.decode("core.v1.Pod", obj) == [
        "metadata.lables",
        "spec.containers[0].imagge",
        "spec.containers[0].livenessProbe.httpGet.pth",
        "spec.replicas",
    ]
    assert obj == pod(livenessProbe={"httpGet": {"port": 1}})


def test_the_strict_error_reads_as_upstream() -> None:
    error = decoding.strict_error(["spec.a", "spec.b[0].c"])
    assert error.code == 400
    assert error.message == 'strict decoding error: unknown field "spec.a", unknown field "spec.b[0].c"'


def test_values_become_canonical_and_nulls_vanish() -> None:
    obj = pod(
        resources={"requests": {"cpu": 0.5, "memory": "1024Mi"}, "limits": None},
        command=["a", None],
        env=[{"name": "A", "value": None}],
    )
    obj["metadata"]["creationTimestamp"] = None
    obj["metadata"]["labels"] = {"a": None}
    obj["spec"]["tolerations"] = None
    assert decoding.decode("core.v1.Pod", obj) == []
    container = obj["spec"]["containers"][0]
    assert container["resources"] == {"requests": {"cpu": "500m", "memory": "1Gi"}}
    assert container["command"] == ["a", ""]
    assert container["env"] == [{"name": "A"}]
    assert obj["metadata"] == {"name": "p", "labels": {"a": ""}}
    assert "tolerations" not in obj["spec"]


@pytest.mark.parametrize(
    ("container", "words"),
    [
        ({"image": 1}, "cannot unmarshal number into Go struct field Container.spec.containers.image of type string"),
        (
            {"stdin": "yes"},
            "cannot unmarshal string into Go struct field Container.spec.containers.stdin of type bool",
        ),
        ({"ports": [{"containerPort": "80"}]}, "ContainerPort.spec.containers.ports.containerPort of type int32"),
        ({"ports": [{"containerPort": 1.5}]}, "cannot unmarshal number 1.5 into Go"),
        ({"ports": [{"containerPort": 2**31}]}, "of type int32"),
        ({"command": "sh"}, "of type []string"),
        ({"command": [["sh"]]}, "cannot unmarshal array into"),
        ({"env": {"A": "b"}}, "cannot unmarshal object into"),
        ({"resources": {"requests": {"cpu": True}}}, "of type resource.Quantity"),
        ({"resources": []}, "of type ResourceRequirements"),
    ],
)
def test_a_wrong_type_is_a_400(container: dict[str, Any], words: str) -> None:
    with pytest.raises(ApiError) as error:
        decoding.decode("core.v1.Pod", pod(**container))
    assert error.value.code == 400
    assert error.value.message.startswith('Pod in version "v1" cannot be handled as a Pod: json: ')
    assert words in error.value.message


@pytest.mark.parametrize(
    ("container", "field"),
    [
        ({"resources": {"requests": {"cpu": "one"}}}, "spec.containers[0].resources.requests.cpu"),
        ({"resources": {"limits": {"memory": "1e400"}}}, "spec.containers[0].resources.limits.memory"),
        ({"resources": {"limits": {"memory": "1\nGi"}}}, "spec.containers[0].resources.limits.memory"),
    ],
)
def test_a_malformed_quantity_is_a_422_with_its_path(container: dict[str, Any], field: str) -> None:
    with pytest.raises(ApiError) as error:
        decoding.decode("core.v1.Pod", pod(**container))
    assert error.value.code == 422
    assert [cause["field"] for cause in error.value.details["causes"]] == [field]


def test_bytes_must_be_base64() -> None:
    good = {"metadata": {"name": "s"}, "data": {"a": "aGk=\n"}}
    decoding.decode("core.v1.Secret", good)
    assert good["data"] == {"a": "aGk="}
    with pytest.raises(ApiError) as error:
        decoding.decode("core.v1.Secret", {"metadata": {"name": "s"}, "data": {"a": "not base64!"}})
    assert error.value.details["causes"][0]["field"] == "data.a"


@pytest.mark.parametrize("value", [[], "x", 1, None])
def test_what_is_no_object_is_a_400(value: Any) -> None:
    with pytest.raises(ApiError) as error:
        decoding.decode("core.v1.Pod", value)
    assert error.value.code == 400


def test_free_json_passes_untouched() -> None:
    obj = {"metadata": {"name": "c"}, "data": {"any": [1, None, {"thing": True}]}, "revision": 1}
    assert decoding.decode("apps.v1.ControllerRevision", obj) == []
    assert obj["data"] == {"any": [1, None, {"thing": True}]}


@pytest.mark.parametrize("name", schema.names())
def test_every_type_compiles(name: str) -> None:
    known = schema.get(name)
    obj: dict[str, Any] = {"unheard": 1}
    assert decoding.decode(name, obj) == ["unheard"]
    assert obj == {}
    for field in known.fields.values():
        assert field.element in schema.SCALARS | schema.ANYTHING | {"[]string"} or schema.get(field.element)
