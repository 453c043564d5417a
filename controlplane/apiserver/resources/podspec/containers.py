"""Validation of containers: names, images, ports, environment, mounts and security settings.

Called by `validation` for every list of containers. After `pkg/apis/core/validation/validation.go`
(`validateContainers`, `ValidateEnv`, `ValidateVolumeMounts`).
"""

from __future__ import annotations

from typing import Any, Final

from controlplane.api import names
from controlplane.api.causes import duplicate, each, forbidden, invalid, not_found, not_supported, required
from controlplane.api.errors import Cause
from controlplane.apiserver.resources.podspec import handlers, requirements

Obj = dict[str, Any]

PULL_POLICIES: Final = ("Always", "IfNotPresent", "Never")
PROTOCOLS: Final = ("SCTP", "TCP", "UDP")
MESSAGE_POLICIES: Final = ("FallbackToLogsOnError", "File")
ENV_SOURCES: Final = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")
ENV_FIELDS: Final = (
    "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
    "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs",
)  # fmt: skip
ENV_RESOURCES: Final = (
    "limits.cpu", "limits.ephemeral-storage", "limits.memory",
    "requests.cpu", "requests.ephemeral-storage", "requests.memory",
)  # fmt: skip


def validate(spec: Obj, at: str) -> list[Cause]:
    """All that is wrong with a pod spec's containers, and between them."""
    causes: list[Cause] = []
    seen: set[str] = set()
    volumes = {volume.get("name", "") for volume in spec.get("volumes") or ()}
    if not spec.get("containers"):
        causes.append(required(f"{at}.containers"))
    for kind in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(kind) or ()):
            where = f"{at}.{kind}[{index}]"
            causes += _container(container, where, volumes, bool(spec.get("hostNetwork")))
            name = container.get("name", "")
            if name in seen:
                causes.append(duplicate(f"{where}.name", name))
            seen.add(name)
            if kind == "initContainers":
                causes += _init_only(container, where)
            elif container.get("restartPolicy"):
                causes += _restart_policy(container, where)
    causes += _host_ports(spec, at)
    return causes


def _container(container: Obj, at: str, volumes: set[str], host_network: bool) -> list[Cause]:
    causes: list[Cause] = []
    name = container.get("name", "")
    causes += each(f"{at}.name", name, names.dns_label(name)) if name else [required(f"{at}.name")]
    image = container.get("image", "")
    causes += each(f"{at}.image", image, names.image(image)) if image else [required(f"{at}.image")]
    policy = container.get("imagePullPolicy", "")
    if policy not in PULL_POLICIES:
        causes.append(not_supported(f"{at}.imagePullPolicy", policy, PULL_POLICIES))
    policy = container.get("terminationMessagePolicy", "File")
    if policy not in MESSAGE_POLICIES:
        causes.append(not_supported(f"{at}.terminationMessagePolicy", policy, MESSAGE_POLICIES))
    for kind in ("command", "args"):
        for index, word in enumerate(container.get(kind) or ()):
            if "\0" in word:
                causes.append(invalid(f"{at}.{kind}[{index}]", word, "must not contain NUL"))
    for kind in ("workingDir", "terminationMessagePath"):
        causes += each(f"{at}.{kind}", container.get(kind, ""), names.plain_text(container.get(kind, "")))
    causes += _ports(container.get("ports") or (), f"{at}.ports", host_network)
    causes += _env(container.get("env") or (), f"{at}.env")
    causes += _env_from(container.get("envFrom") or (), f"{at}.envFrom")
    causes += _mounts(container.get("volumeMounts") or (), f"{at}.volumeMounts", volumes)
    causes += requirements.validate(container.get("resources") or {}, f"{at}.resources")
    causes += handlers.probes(container, at)
    causes += handlers.lifecycle(container.get("lifecycle") or {}, f"{at}.lifecycle")
    causes += security_context(container.get("securityContext") or {}, f"{at}.securityContext")
    return causes


def _restart_policy(container: Obj, at: str) -> list[Cause]:
    policy = container["restartPolicy"]
    if policy not in ("Always", "Never", "OnFailure"):
        return [not_supported(f"{at}.restartPolicy", policy, ("Always", "Never", "OnFailure"))]
    return []


def _init_only(container: Obj, at: str) -> list[Cause]:
    """An ordinary init container has no probes and no hooks; a sidecar (restartPolicy Always) may."""
    if container.get("restartPolicy") == "Always":
        return []
    causes = [
        forbidden(f"{at}.{kind}", "may not be set for init containers without restartPolicy=Always")
        for kind in ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe")
        if container.get(kind) is not None
    ]
    return causes + (_restart_policy(container, at) if container.get("restartPolicy") else [])


def _ports(ports: Any, at: str, host_network: bool) -> list[Cause]:
    causes: list[Cause] = []
    seen: set[str] = set()
    for index, port in enumerate(ports):
        where = f"{at}[{index}]"
        name = port.get("name", "")
        if name:
            causes += each(f"{where}.name", name, names.port_name(name))
            if name in seen:
                causes.append(duplicate(f"{where}.name", name))
            seen.add(name)
        number, host = port.get("containerPort", 0), port.get("hostPort", 0)
        if number == 0:
            causes.append(required(f"{where}.containerPort"))
        else:
            causes += each(f"{where}.containerPort", number, names.port(number))
        if host:
            causes += each(f"{where}.hostPort", host, names.port(host))
            if host_network and host != number:
                causes.append(
                    invalid(f"{where}.hostPort", host, "must match `containerPort` when `hostNetwork` is true")
                )
        if port.get("hostIP"):
            causes += each(f"{where}.hostIP", port["hostIP"], names.ip(port["hostIP"]))
        if port.get("protocol", "TCP") not in PROTOCOLS:
            causes.append(not_supported(f"{where}.protocol", port["protocol"], PROTOCOLS))
    return causes


def _host_ports(spec: Obj, at: str) -> list[Cause]:
    causes: list[Cause] = []
    seen: set[str] = set()
    for index, container in enumerate(spec.get("containers") or ()):
        for number, port in enumerate(container.get("ports") or ()):
            if port.get("hostPort"):
                claimed = f"{port.get('protocol', 'TCP')}/{port.get('hostIP', '')}/{port['hostPort']}"
                if claimed in seen:
                    causes.append(duplicate(f"{at}.containers[{index}].ports[{number}].hostPort", claimed))
                seen.add(claimed)
    return causes


def _env(env: Any, at: str) -> list[Cause]:
    causes: list[Cause] = []
    for index, item in enumerate(env):
        where = f"{at}[{index}]"
        name = item.get("name", "")
        causes += each(f"{where}.name", name, names.env_name(name)) if name else [required(f"{where}.name")]
        if "\0" in item.get("value", ""):
            causes.append(invalid(f"{where}.value", item["value"], "must not contain NUL"))
        source = item.get("valueFrom")
        if source is not None:
            causes += _env_source(source, bool(item.get("value")), f"{where}.valueFrom")
    return causes


def _env_source(source: Obj, has_value: bool, at: str) -> list[Cause]:
    present = [name for name in ENV_SOURCES if source.get(name) is not None]
    if not present:
        known = ", ".join(f"`{name}`" for name in ENV_SOURCES[:-1]) + f" or `{ENV_SOURCES[-1]}`"
        return [invalid(at, "", f"must specify one of: {known}")]
    if has_value:
        return [invalid(at, "", "may not be specified when `value` is not empty")]
    if len(present) > 1:
        return [invalid(at, "", "may not have more than one field specified at a time")]
    kind, body, where = present[0], source[present[0]], f"{at}.{present[0]}"
    if kind == "fieldRef":
        return _field_ref(body, where)
    if kind == "resourceFieldRef":
        resource = body.get("resource", "")
        if not resource:
            return [required(f"{where}.resource")]
        known_resource = resource in ENV_RESOURCES or ".hugepages-" in resource
        return [] if known_resource else [not_supported(f"{where}.resource", resource, ENV_RESOURCES)]
    key = body.get("key", "")
    causes = each(f"{where}.key", key, names.config_key(key)) if key else [required(f"{where}.key")]
    return [] if kind == "fileKeyRef" and key else _reference_name(body, where) + causes


def _field_ref(body: Obj, at: str) -> list[Cause]:
    path = body.get("fieldPath", "")
    if not path:
        return [required(f"{at}.fieldPath")]
    holder, bracket, key = path.partition("['")
    if bracket and holder in ("metadata.labels", "metadata.annotations") and key.endswith("']"):
        return each(f"{at}.fieldPath", path, names.qualified_name(key[:-2].lower()))
    return [] if path in ENV_FIELDS else [not_supported(f"{at}.fieldPath", path, ENV_FIELDS)]


def _reference_name(body: Obj, at: str) -> list[Cause]:
    name = body.get("name", "")
    return each(f"{at}.name", name, names.dns_subdomain(name)) if name else [required(f"{at}.name")]


def _env_from(sources: Any, at: str) -> list[Cause]:
    causes: list[Cause] = []
    for index, item in enumerate(sources):
        where = f"{at}[{index}]"
        if item.get("prefix"):
            causes += each(f"{where}.prefix", item["prefix"], names.env_name(item["prefix"]))
        present = [name for name in ("configMapRef", "secretRef") if item.get(name) is not None]
        if not present:
            causes.append(invalid(where, "", "must specify one of: `configMapRef` or `secretRef`"))
        elif len(present) > 1:
            causes.append(invalid(where, "", "may not have more than one field specified at a time"))
        else:
            causes += _reference_name(item[present[0]], f"{where}.{present[0]}")
    return causes


def _mounts(mounts: Any, at: str, volumes: set[str]) -> list[Cause]:
    causes: list[Cause] = []
    seen: set[str] = set()
    for index, mount in enumerate(mounts):
        where = f"{at}[{index}]"
        name, path = mount.get("name", ""), mount.get("mountPath", "")
        if not name:
            causes.append(required(f"{where}.name"))
        elif name not in volumes:
            causes.append(not_found(f"{where}.name", name))
        if not path:
            causes.append(required(f"{where}.mountPath"))
        else:
            causes += each(f"{where}.mountPath", path, names.plain_text(path))
            if path in seen:
                causes.append(invalid(f"{where}.mountPath", path, "must be unique"))
            seen.add(path)
        for kind in ("subPath", "subPathExpr"):
            if mount.get(kind):
                causes += each(f"{where}.{kind}", mount[kind], names.relative_path(mount[kind]))
        if mount.get("subPath") and mount.get("subPathExpr"):
            causes.append(
                invalid(
                    f"{where}.subPathExpr", mount["subPathExpr"], "subPathExpr and subPath are mutually exclusive"
                )
            )
    return causes


def security_context(context: Obj, at: str) -> list[Cause]:
    """Checks the parts that a container's and a pod's security context share."""
    causes = [
        invalid(f"{at}.{name}", context[name], "must be between 0 and 2147483647, inclusive")
        for name in ("runAsUser", "runAsGroup", "fsGroup")
        if context.get(name) is not None and not 0 <= context[name] <= 0x7FFFFFFF
    ]
    if context.get("privileged") and context.get("allowPrivilegeEscalation") is False:
        causes.append(invalid(at, context, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"))
    return causes
