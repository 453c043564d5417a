"""Validation of pod specs: one mistake each, and the path that it is answered with (rows 9, 12, 17)."""

from __future__ import annotations

from typing import Any

import pytest

from controlplane.apiserver.resources import pods
from tests.unit.resources.build import create

C = "spec.containers[0]"


def written(container: dict[str, Any] | None = None, **spec: Any) -> Any:
    containers = [{"name": "web", "image": "web:1", **(container or {})}]
    return create(pods.RESOURCE, {"metadata": {"name": "web"}, "spec": {"containers": containers, **spec}})


def env_from(**source: Any) -> dict[str, Any]:
    return {"env": [{"name": "A", "valueFrom": source}]}


def probe(**body: Any) -> dict[str, Any]:
    return {"livenessProbe": body}


@pytest.mark.parametrize(
    ("container", "field", "words"),
    [
        ({"name": ""}, f"{C}.name", "Required value"),
        ({"name": "Web"}, f"{C}.name", 'Invalid value: "Web": a lowercase RFC 1123 label'),
        ({"image": ""}, f"{C}.image", "Required value"),
        ({"image": "--privileged"}, f"{C}.image", 'Invalid value: "--privileged": must be an image reference'),
        ({"image": "a b"}, f"{C}.image", "Invalid value"),
        ({"image": "x\ny"}, f"{C}.image", "Invalid value"),
        ({"image": "$(id)"}, f"{C}.image", "Invalid value"),
        (
            {"imagePullPolicy": "Maybe"},
            f"{C}.imagePullPolicy",
            'Unsupported value: "Maybe": supported values: "Always"',
        ),
        ({"command": ["a\0b"]}, f"{C}.command[0]", "Invalid value"),
        ({"workingDir": "/a\nb"}, f"{C}.workingDir", "Invalid value"),
        ({"ports": [{"containerPort": 0}]}, f"{C}.ports[0].containerPort", "Required value"),
        (
            {"ports": [{"containerPort": 70000}]},
            f"{C}.ports[0].containerPort",
            "Invalid value: 70000: must be between",
        ),
        ({"ports": [{"containerPort": 1, "hostPort": -1}]}, f"{C}.ports[0].hostPort", "Invalid value: -1"),
        ({"ports": [{"containerPort": 1, "name": "HTTP"}]}, f"{C}.ports[0].name", "Invalid value"),
        (
            {"ports": [{"containerPort": 1, "protocol": "ICMP"}]},
            f"{C}.ports[0].protocol",
            'Unsupported value: "ICMP"',
        ),
        ({"ports": [{"containerPort": 1, "hostIP": "x"}]}, f"{C}.ports[0].hostIP", "Invalid value"),
        (
            {"ports": [{"containerPort": 1, "name": "a"}, {"containerPort": 2, "name": "a"}]},
            f"{C}.ports[1].name",
            "Dup",
        ),
        (
            {"ports": [{"containerPort": 1, "hostPort": 80}, {"containerPort": 2, "hostPort": 80}]},
            f"{C}.ports[1].hostPort",
            "Duplicate value",
        ),
        ({"env": [{"name": ""}]}, f"{C}.env[0].name", "Required value"),
        ({"env": [{"name": "A=B"}]}, f"{C}.env[0].name", "Invalid value"),
        ({"env": [{"name": "A", "value": "x\0"}]}, f"{C}.env[0].value", "Invalid value"),
        (env_from(), f"{C}.env[0].valueFrom", 'Invalid value: "": must specify one of: `fieldRef`'),
        (env_from(fieldRef={"fieldPath": "spec.x"}), f"{C}.env[0].valueFrom.fieldRef.fieldPath", "Unsupported value"),
        (env_from(fieldRef={"fieldPath": ""}), f"{C}.env[0].valueFrom.fieldRef.fieldPath", "Required value"),
        (env_from(secretKeyRef={"key": "k"}), f"{C}.env[0].valueFrom.secretKeyRef.name", "Required value"),
        (env_from(secretKeyRef={"name": "s"}), f"{C}.env[0].valueFrom.secretKeyRef.key", "Required value"),
        (
            env_from(secretKeyRef={"name": "s", "key": "k"}, configMapKeyRef={"name": "s", "key": "k"}),
            f"{C}.env[0].valueFrom",
            'Invalid value: "": may not have more than one field specified at a time',
        ),
        (env_from(resourceFieldRef={"resource": "x"}), f"{C}.env[0].valueFrom.resourceFieldRef.resource", "Unsupp"),
        ({"envFrom": [{}]}, f"{C}.envFrom[0]", "Invalid value"),
        (
            {"resources": {"requests": {"cpu": "-1"}}},
            f"{C}.resources.requests.cpu",
            'Invalid value: "-1": must be gr',
        ),
        ({"resources": {"requests": {"gpu": "1"}}}, f"{C}.resources.requests.gpu", "Invalid value"),
        ({"resources": {"limits": {"a.b/c": "0.5"}}}, f"{C}.resources.limits[a.b/c]", "Invalid value"),
        (
            {"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}},
            f"{C}.resources.requests",
            'Invalid value: "2": must be less than or equal to cpu limit of 1',
        ),
        (probe(), f"{C}.livenessProbe", "Required value: must specify a handler type"),
        (probe(exec={}), f"{C}.livenessProbe.exec.command", "Required value"),
        (probe(exec={"command": ["a"]}, tcpSocket={"port": 1}), f"{C}.livenessProbe.tcpSocket", "Forbidden: may not"),
        (probe(httpGet={"port": 0}), f"{C}.livenessProbe.httpGet.port", "Invalid value: 0: must be between 1 and"),
        (probe(httpGet={"port": "no_port"}), f"{C}.livenessProbe.httpGet.port", "Invalid value"),
        (probe(httpGet={"port": 1, "scheme": "FTP"}), f"{C}.livenessProbe.httpGet.scheme", "Unsupported value"),
        (probe(httpGet={"port": 1, "path": "/\r\nX: y"}), f"{C}.livenessProbe.httpGet.path", "Invalid value"),
        (
            probe(httpGet={"port": 1, "httpHeaders": [{"name": "a b", "value": "c"}]}),
            f"{C}.livenessProbe.httpGet.httpHeaders[0].name",
            "Invalid value",
        ),
        (probe(tcpSocket={"port": 1}, periodSeconds=-1), f"{C}.livenessProbe.periodSeconds", "Invalid value: -1"),
        (
            probe(tcpSocket={"port": 1}, successThreshold=2),
            f"{C}.livenessProbe.successThreshold",
            "Invalid value: 2: m",
        ),
        ({"volumeMounts": [{"name": "no", "mountPath": "/x"}]}, f"{C}.volumeMounts[0].name", 'Not found: "no"'),
        ({"securityContext": {"runAsUser": -1}}, f"{C}.securityContext.runAsUser", "Invalid value: -1"),
        (
            {"securityContext": {"privileged": True, "allowPrivilegeEscalation": False}},
            f"{C}.securityContext",
            "Invalid value",
        ),
        ({"lifecycle": {"preStop": {}}}, f"{C}.lifecycle.preStop", "Required value"),
    ],
)
def test_containers(container: dict[str, Any], field: str, words: str) -> None:
    found = written(container)
    assert found.fields[0] == field
    assert found.message(field).startswith(words)


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"containers": []}, "spec.containers"),
        ({"restartPolicy": "Sometimes"}, "spec.restartPolicy"),
        ({"dnsPolicy": "Mine"}, "spec.dnsPolicy"),
        ({"dnsPolicy": "None"}, "spec.dnsConfig.nameservers"),
        ({"terminationGracePeriodSeconds": -1}, "spec.terminationGracePeriodSeconds"),
        ({"activeDeadlineSeconds": 0}, "spec.activeDeadlineSeconds"),
        ({"activeDeadlineSeconds": 2**40}, "spec.activeDeadlineSeconds"),
        ({"nodeName": "../x"}, "spec.nodeName"),
        ({"hostname": "a.b"}, "spec.hostname"),
        ({"subdomain": "A"}, "spec.subdomain"),
        ({"schedulerName": "a b"}, "spec.schedulerName"),
        ({"nodeSelector": {"a b": "c"}}, "spec.nodeSelector"),
        ({"imagePullSecrets": [{}]}, "spec.imagePullSecrets[0].name"),
        ({"tolerations": [{"key": "a b", "operator": "Exists"}]}, "spec.tolerations[0].key"),
        ({"tolerations": [{"value": "x"}]}, "spec.tolerations[0].operator"),
        ({"tolerations": [{"key": "a", "operator": "Like"}]}, "spec.tolerations[0].operator"),
        ({"tolerations": [{"key": "a", "operator": "Exists", "value": "x"}]}, "spec.tolerations[0].operator"),
        ({"tolerations": [{"key": "a", "effect": "Never"}]}, "spec.tolerations[0].effect"),
        ({"tolerations": [{"key": "a", "tolerationSeconds": 1}]}, "spec.tolerations[0].effect"),
        ({"hostAliases": [{"ip": "x"}]}, "spec.hostAliases[0].ip"),
        ({"overhead": {"cpu": "-1"}}, "spec.overhead.cpu"),
        ({"ephemeralContainers": [{"name": "x", "image": "y:1"}]}, "spec.ephemeralContainers"),
        ({"initContainers": [{"name": "web", "image": "y:1"}]}, "spec.containers[0].name"),
        ({"initContainers": [{"name": "i", "image": "y:1", "lifecycle": {}}]}, "spec.initContainers[0].lifecycle"),
        ({"volumes": [{"name": "A"}]}, "spec.volumes[0].name"),
        ({"volumes": [{"name": "a"}, {"name": "a"}]}, "spec.volumes[1].name"),
        ({"volumes": [{"name": "a", "emptyDir": {}, "hostPath": {"path": "/"}}]}, "spec.volumes[0].hostPath"),
        ({"volumes": [{"name": "a", "hostPath": {}}]}, "spec.volumes[0].hostPath.path"),
        ({"volumes": [{"name": "a", "hostPath": {"path": "/a/../b"}}]}, "spec.volumes[0].hostPath.path"),
        ({"volumes": [{"name": "a", "hostPath": {"path": "/", "type": "x"}}]}, "spec.volumes[0].hostPath.type"),
        ({"volumes": [{"name": "a", "configMap": {}}]}, "spec.volumes[0].configMap.name"),
        (
            {"volumes": [{"name": "a", "secret": {"secretName": "s", "defaultMode": 512}}]},
            "spec.volumes[0].secret.defaultMode",
        ),
        (
            {"volumes": [{"name": "a", "configMap": {"name": "c", "items": [{"key": "k", "path": "../x"}]}}]},
            "spec.volumes[0].configMap.items[0].path",
        ),
        ({"volumes": [{"name": "a", "emptyDir": {"sizeLimit": "-1"}}]}, "spec.volumes[0].emptyDir.sizeLimit"),
        (
            {"volumes": [{"name": "a", "persistentVolumeClaim": {}}]},
            "spec.volumes[0].persistentVolumeClaim.claimName",
        ),
        (
            {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {}}}},
            "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms",
        ),
        (
            {"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{}]}}},
            "spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey",
        ),
        (
            {"topologySpreadConstraints": [{"maxSkew": 0, "topologyKey": "a", "whenUnsatisfiable": "DoNotSchedule"}]},
            "spec.topologySpreadConstraints[0].maxSkew",
        ),
    ],
)
def test_specs(spec: dict[str, Any], field: str) -> None:
    assert written(None, **spec).fields == [field]


@pytest.mark.parametrize("path", ["../x", "/abs", "a/../../b", "a\nb"])
def test_a_sub_path_stays_in_its_volume(path: str) -> None:
    found = written({"volumeMounts": [{"name": "v", "mountPath": "/x", "subPath": path}]}, volumes=[{"name": "v"}])
    assert found.fields == [f"{C}.volumeMounts[0].subPath"]


def test_a_full_good_pod_passes() -> None:
    container = {
        "command": ["sh", "-c", "echo $(date) `id`"],
        "args": ["a\nb", "'", '"'],
        "env": [
            {"name": "A", "value": "$(B)\n"},
            {"name": "L", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
        ],
        "ports": [{"containerPort": 80, "name": "http"}, {"containerPort": 53, "protocol": "UDP", "hostPort": 53}],
        "resources": {"requests": {"cpu": "100m", "example.com/gpu": "1"}, "limits": {"example.com/gpu": "1"}},
        "livenessProbe": {"exec": {"command": ["true"]}},
        "volumeMounts": [{"name": "v", "mountPath": "/x", "subPath": "a/b"}],
    }
    found = written(
        container,
        volumes=[{"name": "v", "emptyDir": {}}],
        nodeSelector={"kubernetes.io/hostname": "worker-1"},
        tolerations=[{"operator": "Exists"}],
    )
    assert found.causes == []
    assert found.obj["spec"]["containers"][0]["command"] == container["command"]
    assert found.obj["spec"]["containers"][0]["args"] == container["args"]
