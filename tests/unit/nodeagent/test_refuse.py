"""Fields that the agent can't honour are named; defaults and what others handle pass."""

from __future__ import annotations

from typing import Any

import pytest

from nodeagent.refuse import refusals

C = "spec.containers[0]"


def spec(container: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    return {"containers": [{"name": "c", "image": "busybox", **(container or {})}], **fields}


DEFAULTED = spec(
    {
        "resources": {"requests": {"cpu": "1", "ephemeral-storage": "1Gi"}, "limits": {"memory": "1Gi"}},
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "imagePullPolicy": "Always",
        "securityContext": {},
        "stdin": False,
        "volumeMounts": [{"name": "v", "mountPath": "/x", "readOnly": True, "mountPropagation": "None"}],
        "env": [{"name": "A", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.labels['a']"}}}],
    },
    restartPolicy="Always",
    dnsPolicy="ClusterFirst",
    securityContext={},
    schedulerName="default-scheduler",
    enableServiceLinks=True,
    tolerations=[{"key": "a"}],
    serviceAccountName="default",
    hostNetwork=False,
    initContainers=[],
    volumes=[{"name": "v", "emptyDir": {}}],
)


def test_a_pod_with_defaults_is_honoured() -> None:
    assert refusals(DEFAULTED) == ()


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (spec(hostNetwork=True), "spec.hostNetwork"),
        (spec(hostPID=True), "spec.hostPID"),
        (spec(initContainers=[{"name": "i"}]), "spec.initContainers"),
        (spec(ephemeralContainers=[{"name": "i"}]), "spec.ephemeralContainers"),
        (spec(securityContext={"fsGroup": 0}), "spec.securityContext.fsGroup"),
        (spec(readinessGates=[{"conditionType": "x"}]), "spec.readinessGates"),
        (spec(activeDeadlineSeconds=5), "spec.activeDeadlineSeconds"),
        (spec(dnsPolicy="None"), "spec.dnsPolicy"),
        (spec(hostUsers=False), "spec.hostUsers"),
        (spec(os={"name": "windows"}), "spec.os"),
        (spec(somethingOfTomorrow="x"), "spec.somethingOfTomorrow"),
        (spec(volumes=[{"name": "v", "hostPath": {"path": "/"}}]), "spec.volumes[0].hostPath"),
        (spec(volumes=[{"name": "v", "emptyDir": {"sizeLimit": "1Gi"}}]), "spec.volumes[0].emptyDir.sizeLimit"),
        (spec({"envFrom": [{"secretRef": {"name": "s"}}]}), f"{C}.envFrom"),
        (spec({"securityContext": {"privileged": True}}), f"{C}.securityContext.privileged"),
        (spec({"securityContext": {"runAsUser": 0}}), f"{C}.securityContext.runAsUser"),
        (spec({"lifecycle": {"preStop": {"exec": {}}}}), f"{C}.lifecycle"),
        (spec({"stdin": True}), f"{C}.stdin"),
        (spec({"ports": [{"containerPort": 80, "hostPort": 80}]}), f"{C}.ports[0].hostPort"),
        (spec({"volumeMounts": [{"name": "v", "subPath": "x"}]}), f"{C}.volumeMounts[0].subPath"),
        (spec({"volumeMounts": [{"name": "v", "mountPath": "/a:rshared"}]}), f"{C}.volumeMounts[0].mountPath"),
        (spec({"terminationMessagePath": "/dev/log:rshared"}), f"{C}.terminationMessagePath"),
        (spec({"livenessProbe": {"grpc": {"port": 1}}}), f"{C}.livenessProbe.grpc"),
        (spec({"resources": {"limits": {"nvidia.com/gpu": "1"}}}), f"{C}.resources.limits[nvidia.com/gpu]"),
        (spec({"resources": {"claims": [{"name": "x"}]}}), f"{C}.resources.claims"),
        (
            spec({"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}),
            f"{C}.env[0].valueFrom.secretKeyRef",
        ),
        (
            spec({"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "status.phase"}}}]}),
            f"{C}.env[0].valueFrom.fieldRef.fieldPath",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_it_names_the_field(given: dict[str, Any], named: str) -> None:
    assert refusals(given) == (named,)
