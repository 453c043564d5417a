"""The pod fields that we keep as stored but don't act on yet, each named in a `Warning:`.

Whoever implements one removes it here. What touches data, isolation or health is refused by the node agent on
top (CreateContainerConfigError); this list is what a person hears at once.
"""

from __future__ import annotations

from typing import Any, Final

Obj = dict[str, Any]

POD: Final = (
    "affinity", "dnsConfig", "ephemeralContainers", "evictionResponders", "hostAliases", "hostIPC", "hostNetwork",
    "hostPID", "hostnameOverride", "imagePullSecrets", "initContainers", "os", "overhead", "preemptionPolicy",
    "priorityClassName", "readinessGates", "resourceClaims", "resources", "runtimeClassName", "schedulingGates",
    "schedulingGroup", "securityContext", "setHostnameAsFQDN", "shareProcessNamespace", "subdomain",
    "topologySpreadConstraints", "volumes",
)  # fmt: skip
CONTAINER: Final = (
    "envFrom", "lifecycle", "resizePolicy", "restartPolicy", "restartPolicyRules", "securityContext",
    "startupProbe", "stdin", "stdinOnce", "tty", "volumeDevices", "volumeMounts",
)  # fmt: skip
ENV_SOURCES: Final = ("configMapKeyRef", "fileKeyRef", "resourceFieldRef", "secretKeyRef")
HONOURED: Final = {"preemptionPolicy": "PreemptLowerPriority"}
"""Values that ask for what we do anyway."""


def warnings(spec: Obj, at: str = "spec") -> list[str]:
    """One text for each field in use that we don't implement."""
    found = [f"{at}.{name}" for name in POD if spec.get(name) and spec[name] != HONOURED.get(name)]
    if spec.get("hostUsers") is False:
        found.append(f"{at}.hostUsers")
    if spec.get("dnsPolicy") in ("None", "ClusterFirstWithHostNet"):
        found.append(f"{at}.dnsPolicy")
    if spec.get("automountServiceAccountToken"):
        found.append(f"{at}.automountServiceAccountToken")
    for index, container in enumerate(spec.get("containers") or ()):
        found += _container(container, f"{at}.containers[{index}]")
    return [f"{path}: kubelab keeps this field as stored but does not implement it yet" for path in found]


def _container(container: Obj, at: str) -> list[str]:
    found = [f"{at}.{name}" for name in CONTAINER if container.get(name)]
    if container.get("terminationMessagePolicy", "File") != "File":
        found.append(f"{at}.terminationMessagePolicy")
    for kind in ("livenessProbe", "readinessProbe"):
        if (container.get(kind) or {}).get("grpc") is not None:
            found.append(f"{at}.{kind}.grpc")
    for index, env in enumerate(container.get("env") or ()):
        source = env.get("valueFrom") or {}
        found += [f"{at}.env[{index}].valueFrom.{name}" for name in ENV_SOURCES if source.get(name) is not None]
    return found
