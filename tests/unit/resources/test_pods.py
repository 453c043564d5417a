"""Pods: defaults, admission, what a client may set and change, binding and deletion."""

from __future__ import annotations

from typing import Any

import pytest

from controlplane.api import schema
from controlplane.api.errors import ApiError
from controlplane.apiserver.resources import pods
from controlplane.apiserver.resources.podspec import unimplemented
from nodeagent.refuse import refusals
from tests.unit.resources.build import changed, context, create, update

RESOURCE = pods.RESOURCE


def pod(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "web"}, "spec": {"containers": [{"name": "web", "image": "web:1"}], **spec}}


def test_defaults_as_upstream() -> None:
    found = create(RESOURCE, pod()).obj
    assert found["spec"] == {
        "containers": [
            {
                "name": "web",
                "image": "web:1",
                "imagePullPolicy": "IfNotPresent",
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
                "resources": {},
            }
        ],
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "enableServiceLinks": True,
        "serviceAccount": "default",
        "serviceAccountName": "default",
        "priority": 0,
        "preemptionPolicy": "PreemptLowerPriority",
        "tolerations": [
            {"key": f"node.kubernetes.io/{what}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 1}
            for what in ("not-ready", "unreachable")
        ],
    }
    assert found["status"] == {"phase": "Pending", "qosClass": "BestEffort"}


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("web", "Always"),
        ("web:latest", "Always"),
        ("web:1", "IfNotPresent"),
        ("registry:5000/web", "Always"),
        ("registry:5000/web:1", "IfNotPresent"),
        ("web@sha256:" + "0" * 64, "IfNotPresent"),
    ],
)
def test_pull_policy_follows_the_tag(image: str, policy: str) -> None:
    found = create(RESOURCE, changed(pod(), "spec.containers.0.image", image)).obj
    assert found["spec"]["containers"][0]["imagePullPolicy"] == policy


def test_probe_and_env_defaults() -> None:
    container = {
        "name": "web",
        "image": "web:1",
        "readinessProbe": {"httpGet": {"port": 80}},
        "env": [{"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
        "ports": [{"containerPort": 80}],
    }
    found = create(RESOURCE, pod(containers=[container])).obj["spec"]["containers"][0]
    assert found["readinessProbe"] == {
        "httpGet": {"port": 80, "path": "/", "scheme": "HTTP"},
        "timeoutSeconds": 1,
        "periodSeconds": 10,
        "successThreshold": 1,
        "failureThreshold": 3,
    }
    assert found["env"][0]["valueFrom"]["fieldRef"]["apiVersion"] == "v1"
    assert found["ports"] == [{"containerPort": 80, "protocol": "TCP"}]


@pytest.mark.parametrize(
    ("resources", "quality"),
    [
        ({}, "BestEffort"),
        ({"requests": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}, "Burstable"),
    ],
)
def test_quality_of_service(resources: dict[str, Any], quality: str) -> None:
    found = create(RESOURCE, changed(pod(), "spec.containers.0.resources", resources)).obj
    assert found["status"]["qosClass"] == quality


def test_requests_come_from_limits() -> None:
    found = create(RESOURCE, changed(pod(), "spec.containers.0.resources", {"limits": {"cpu": "0.5"}})).obj
    assert found["spec"]["containers"][0]["resources"] == {"limits": {"cpu": "500m"}, "requests": {"cpu": "500m"}}


@pytest.mark.parametrize(
    ("toleration", "added"),
    [
        ({"operator": "Exists"}, 0),
        ({"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}, 1),
        ({"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoSchedule"}, 2),
        ({"key": "other", "operator": "Exists"}, 2),
    ],
)
def test_own_tolerations_of_node_loss_are_kept(toleration: dict[str, Any], added: int) -> None:
    found = create(RESOURCE, pod(tolerations=[toleration])).obj["spec"]["tolerations"]
    assert found[0] == toleration
    assert len(found) == 1 + added


def test_a_named_service_account_must_exist() -> None:
    with pytest.raises(ApiError, match='serviceaccount "robot" not found') as error:
        create(RESOURCE, pod(serviceAccountName="robot"))
    assert error.value.code == 403
    account = {"metadata": {"name": "robot"}, "imagePullSecrets": [{"name": "pull"}]}
    found = create(RESOURCE, pod(serviceAccountName="robot"), context(serviceaccounts=account)).obj["spec"]
    assert (found["serviceAccount"], found["imagePullSecrets"]) == ("robot", [{"name": "pull"}])


def test_priority_classes() -> None:
    assert create(RESOURCE, pod(priorityClassName="system-node-critical")).obj["spec"]["priority"] == 2_000_001_000
    with pytest.raises(ApiError, match="no PriorityClass with name gold was found"):
        create(RESOURCE, pod(priorityClassName="gold"))
    gold = {"metadata": {"name": "gold"}, "value": 7, "preemptionPolicy": "Never"}
    found = create(RESOURCE, pod(priorityClassName="gold"), context(priorityclasses=gold)).obj["spec"]
    assert (found["priority"], found["preemptionPolicy"]) == (7, "Never")


def test_a_client_does_not_set_the_status() -> None:
    found = create(RESOURCE, {**pod(), "status": {"phase": "Running", "podIP": "1.2.3.4"}}).obj
    assert found["status"] == {"phase": "Pending", "qosClass": "BestEffort"}


def test_known_fields_without_a_deed_are_named() -> None:
    spec = {
        "hostNetwork": True,
        "affinity": {"nodeAffinity": {}},
        "volumes": [{"name": "v"}, {"name": "s", "secret": {"secretName": "s"}}],
        "hostUsers": False,
        "securityContext": {"runAsUser": 1},
        "containers": [
            {
                "name": "web",
                "image": "web:1",
                "tty": True,
                "stdin": True,
                "ports": [{"containerPort": 80, "hostPort": 80}],
                "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
            }
        ],
    }
    written = create(RESOURCE, pod(**spec))
    assert [text.partition(":")[0] for text in written.warnings] == [
        "spec.hostNetwork",
        "spec.affinity",
        "spec.volumes[1].secret",
        "spec.hostUsers",
        "spec.securityContext.runAsUser",
        "spec.containers[0].stdin",
        "spec.containers[0].env[0].valueFrom.secretKeyRef",
        "spec.containers[0].ports[0].hostPort",
    ]
    assert written.obj["spec"]["affinity"] == {"nodeAffinity": {}}
    assert create(RESOURCE, pod()).warnings == []


def sample(field: schema.Field) -> Any:
    """A value of a field's type that asks for something."""
    if field.is_list:
        return [sample_of(field.element)]
    return {"key": sample_of(field.element)} if field.is_map else sample_of(field.type)


def sample_of(kind: str) -> Any:
    if kind in schema.SCALARS:
        return {"bool": True, "int32": 7, "int64": 7}.get(kind, "7")
    return {name: sample(inner) for name, inner in list(schema.get(kind).fields.items())[:3]}


@pytest.mark.parametrize("name", schema.get("core.v1.PodSpec").fields)
def test_what_the_agent_refuses_in_a_pod_is_warned_of(name: str) -> None:
    spec = {"containers": [], name: sample(schema.get("core.v1.PodSpec").fields[name])}
    assert set(refusals(spec)) <= {text.partition(": ")[0] for text in unimplemented.warnings(spec)}


@pytest.mark.parametrize("name", schema.get("core.v1.Container").fields)
def test_what_the_agent_refuses_in_a_container_is_warned_of(name: str) -> None:
    container = {"name": "web", name: sample(schema.get("core.v1.Container").fields[name])}
    spec = {"containers": [container]}
    # A field path that doesn't exist is not warned of but refused by validation.
    refused = {path for path in refusals(spec) if not path.endswith("fieldRef.fieldPath")}
    assert refused <= {text.partition(": ")[0] for text in unimplemented.warnings(spec)}


STORED = create(
    RESOURCE, pod(tolerations=[{"key": "a", "operator": "Exists"}], activeDeadlineSeconds=100, nodeName="worker-1")
).obj


@pytest.mark.parametrize(
    ("path", "value", "fields"),
    [
        ("spec.containers.0.image", "web:2", []),
        ("spec.containers.0.image", "", ["spec.containers[0].image"]),
        ("spec.containers.0.image", "--help", ["spec.containers[0].image"]),
        ("spec.containers.0.command", ["sh"], ["spec"]),
        ("spec.containers.0.name", "other", ["spec"]),
        ("spec.containers", [], ["spec.containers"]),
        ("spec.nodeName", "worker-2", ["spec"]),
        ("spec.activeDeadlineSeconds", 50, []),
        ("spec.activeDeadlineSeconds", 200, ["spec.activeDeadlineSeconds"]),
        ("spec.activeDeadlineSeconds", None, ["spec.activeDeadlineSeconds"]),
        ("spec.tolerations", [], ["spec.tolerations"]),
        ("spec.tolerations", [*STORED["spec"]["tolerations"], {"key": "b", "operator": "Exists"}], []),
        ("spec.terminationGracePeriodSeconds", 5, ["spec"]),
        ("metadata.labels", {"a": "b"}, []),
        ("metadata.labels", {"a": "b c"}, ["metadata.labels"]),
        ("metadata.name", "other", ["metadata.name"]),
    ],
)
def test_what_an_update_may_change(path: str, value: Any, fields: list[str]) -> None:
    assert update(RESOURCE, changed(STORED, path, value), STORED).fields == fields


def test_an_update_says_what_it_may_not_change() -> None:
    written = update(RESOURCE, changed(STORED, "spec.containers.0.command", ["sh"]), STORED)
    assert written.message("spec").startswith(
        "Forbidden: pod updates may not change fields other than `spec.containers[*].image`"
    )
    assert written.message("spec").endswith("changed: spec.containers[0].command")


def test_spec_and_status_are_written_apart() -> None:
    new = {**changed(STORED, "spec.containers.0.image", "web:2"), "status": {"phase": "Running"}}
    assert update(RESOURCE, new, STORED).obj["status"] == STORED["status"]
    RESOURCE.strategy.prepare_status_update(new, STORED, context())
    assert new["spec"] == STORED["spec"]
    assert new["status"] == {"phase": "Running"}


def test_status_is_checked() -> None:
    strategy = RESOURCE.strategy
    done = {**STORED, "status": {"phase": "Succeeded"}}
    assert strategy.validate_status({**STORED, "status": {"phase": "Running"}}, STORED) == []
    assert [c.field for c in strategy.validate_status({**STORED, "status": {"phase": "Dancing"}}, STORED)]
    assert [c.field for c in strategy.validate_status({**STORED, "status": {"phase": "Running"}}, done)]


@pytest.mark.parametrize(
    ("obj", "options", "grace"),
    [
        (STORED, {}, 30),
        (STORED, {"gracePeriodSeconds": 5}, 5),
        (STORED, {"gracePeriodSeconds": 0}, 0),
        (STORED, {"gracePeriodSeconds": -1}, 1),
        (changed(STORED, "spec.nodeName", None), {}, 0),
        (changed(STORED, "status.phase", "Failed"), {"gracePeriodSeconds": 5}, 0),
    ],
)
def test_grace(obj: dict[str, Any], options: dict[str, Any], grace: int) -> None:
    assert RESOURCE.strategy.graceful_delete(obj, options, context()) == grace


def binding(**change: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "web", "annotations": {"why": "room"}},
        "target": {"kind": "Node", "name": "worker-2"},
        **change,
    }


def test_binding_sets_the_node_once() -> None:
    found = create(RESOURCE, pod()).obj
    pods.bind(found, binding(), context())
    assert found["spec"]["nodeName"] == "worker-2"
    assert found["metadata"]["annotations"] == {"why": "room"}
    assert found["status"]["conditions"] == [
        {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-11-24T11:00:00Z"}
    ]
    with pytest.raises(ApiError, match='already assigned to node "worker-2"') as error:
        pods.bind(found, binding(), context())
    assert error.value.code == 409


@pytest.mark.parametrize(
    ("change", "bind", "code"),
    [
        ({}, binding(target={"kind": "Pod", "name": "x"}), 422),
        ({}, binding(target={"name": ""}), 422),
        ({}, binding(target={"name": "../x"}), 422),
        ({"deletionTimestamp": "2026-11-24T11:00:00Z"}, binding(), 409),
    ],
)
def test_bindings_that_are_refused(change: dict[str, Any], bind: dict[str, Any], code: int) -> None:
    found = create(RESOURCE, pod()).obj
    found["metadata"].update(change)
    with pytest.raises(ApiError) as error:
        pods.bind(found, bind, context())
    assert error.value.code == code
    assert "nodeName" not in found["spec"]
