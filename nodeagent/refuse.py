"""Which fields of a pod's spec this agent can't honour: it refuses to start such a pod and names them.

A field is honoured, or it has no bearing on what the agent does (scheduling, names in DNS, credentials for pulls), or
it is refused: there is no fourth way, so a field that upstream invents tomorrow is refused until somebody has thought
about it. Default values ask for nothing and pass. Pure; called for every pod that is decoded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

Spec = Mapping[str, Any]

_POD_HONOURED = frozenset(
    {"containers", "restartPolicy", "terminationGracePeriodSeconds", "nodeName", "hostname", "hostAliases", "volumes",
     "shareProcessNamespace"}
)  # fmt: skip
_POD_NO_BEARING = frozenset(
    {"affinity", "nodeSelector", "tolerations", "schedulerName", "schedulingGates", "schedulingGroup", "priority",
     "priorityClassName", "preemptionPolicy", "topologySpreadConstraints", "overhead", "serviceAccount",
     "serviceAccountName", "imagePullSecrets", "enableServiceLinks", "subdomain", "evictionResponders"}
)  # fmt: skip
_POD_VALUES: Mapping[str, frozenset[Any]] = {
    "dnsPolicy": frozenset({"ClusterFirst", "ClusterFirstWithHostNet", "Default"}),
    "hostUsers": frozenset({True}),
    "automountServiceAccountToken": frozenset({False}),
}
_CONTAINER_HONOURED = frozenset(
    {"name", "image", "command", "args", "workingDir", "ports", "env", "resources", "volumeMounts", "livenessProbe",
     "readinessProbe", "startupProbe", "imagePullPolicy", "tty", "terminationMessagePath", "terminationMessagePolicy",
     "resizePolicy"}
)  # fmt: skip
_RESOURCES = {"requests": frozenset({"cpu", "memory", "ephemeral-storage"}), "limits": frozenset({"cpu", "memory"})}
_DOWNWARD = frozenset(
    {"metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
     "status.podIP", "status.podIPs", "status.hostIP", "status.hostIPs"}
)  # fmt: skip
_PROBE = frozenset(
    {"exec", "httpGet", "tcpSocket", "initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold",
     "failureThreshold", "terminationGracePeriodSeconds"}
)  # fmt: skip


def refusals(spec: Spec) -> tuple[str, ...]:
    """The paths of the fields that can't be honoured, in the order of the spec; empty when the pod can run."""
    return tuple(_pod(spec))


def _asks(value: object) -> bool:
    """Whether a value asks for anything: nulls, empty collections, false and "" do not."""
    return value not in (None, "", [], {}) and value is not False


def _pod(spec: Spec) -> Iterator[str]:
    for field, value in spec.items():
        if field in _POD_HONOURED or field in _POD_NO_BEARING or value is None:
            continue
        if field in _POD_VALUES:
            if value not in _POD_VALUES[field]:
                yield f"spec.{field}"
        elif field == "os":
            if value.get("name") != "linux":
                yield "spec.os"
        elif field == "securityContext":
            yield from (f"spec.securityContext.{key}" for key, inner in value.items() if _asks(inner))
        elif _asks(value):
            yield f"spec.{field}"
    for index, volume in enumerate(spec.get("volumes") or ()):
        yield from _volume(volume, f"spec.volumes[{index}]")
    for index, container in enumerate(spec.get("containers") or ()):
        yield from _container(container, f"spec.containers[{index}]")


def _volume(volume: Spec, path: str) -> Iterator[str]:
    for source, value in volume.items():
        if source == "emptyDir":
            limit = value and value.get("sizeLimit") and value.get("medium") != "Memory"
            if limit:
                yield f"{path}.emptyDir.sizeLimit"
            if value and value.get("medium") not in (None, "", "Memory"):
                yield f"{path}.emptyDir.medium"
        elif source != "name" and value is not None:
            yield f"{path}.{source}"


def _container(container: Spec, path: str) -> Iterator[str]:
    for field, value in container.items():
        if field == "securityContext":
            yield from (f"{path}.securityContext.{key}" for key, inner in (value or {}).items() if _asks(inner))
        elif field not in _CONTAINER_HONOURED and _asks(value):
            yield f"{path}.{field}"
    if _parts(container.get("terminationMessagePath")):
        yield f"{path}.terminationMessagePath"
    inner: tuple[tuple[str, Callable[[Spec, str], Iterator[str]]], ...] = (
        ("ports", _port),
        ("env", _env),
        ("volumeMounts", _mount),
    )
    for field, check in inner:
        for index, value in enumerate(container.get(field) or ()):
            yield from check(value, f"{path}.{field}[{index}]")
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        for key, value in (container.get(probe) or {}).items():
            if key not in _PROBE and _asks(value):
                yield f"{path}.{probe}.{key}"
    for kind, amounts in (container.get("resources") or {}).items():
        if kind not in _RESOURCES:
            if _asks(amounts):
                yield f"{path}.resources.{kind}"
        else:
            yield from (f"{path}.resources.{kind}[{name}]" for name in amounts or () if name not in _RESOURCES[kind])


def _parts(path: str | None) -> bool:
    """Whether a path would be read as source, target and options of a mount; upstream forbids the colon, too."""
    return ":" in (path or "")


def _port(port: Spec, path: str) -> Iterator[str]:
    if port.get("hostPort"):
        yield f"{path}.hostPort"


def _env(env: Spec, path: str) -> Iterator[str]:
    for source, value in (env.get("valueFrom") or {}).items():
        if value is None:
            continue
        if source != "fieldRef":
            yield f"{path}.valueFrom.{source}"
            continue
        field = value.get("fieldPath", "")
        if field not in _DOWNWARD and not field.startswith(("metadata.labels['", "metadata.annotations['")):
            yield f"{path}.valueFrom.fieldRef.fieldPath"


def _mount(mount: Spec, path: str) -> Iterator[str]:
    if _parts(mount.get("mountPath")):
        yield f"{path}.mountPath"
    for field, value in mount.items():
        if field in ("name", "mountPath", "readOnly") or not _asks(value):
            continue
        if field == "mountPropagation" and value == "None":
            continue
        yield f"{path}.{field}"
