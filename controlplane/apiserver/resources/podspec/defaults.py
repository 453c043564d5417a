"""Defaults of pod specs, in pods and in templates.

Idempotent, and the same for a template and for the pod made from it, but for what upstream only sets on pods
(requests from limits, enableServiceLinks). After `pkg/apis/core/v1/defaults.go`.
"""

from __future__ import annotations

from typing import Any, Final

Obj = dict[str, Any]

DEFAULT_MODE: Final = 0o644
GRACE_PERIOD_S: Final = 30
CONTAINER_LISTS: Final = ("initContainers", "containers", "ephemeralContainers")
HANDLERS: Final = ("postStart", "preStop")
PROBES: Final = ("livenessProbe", "readinessProbe", "startupProbe")


def pod(obj: Obj) -> None:
    """Defaults of a whole pod."""
    spec = obj.setdefault("spec", {})
    template_spec(spec)
    spec.setdefault("enableServiceLinks", True)
    for kind in ("initContainers", "containers"):
        for container in spec.get(kind) or ():
            _requests_from_limits(container)


def template_spec(spec: Obj) -> None:
    """Defaults of a pod spec, also inside a template."""
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("terminationGracePeriodSeconds", GRACE_PERIOD_S)
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("schedulerName", "default-scheduler")
    spec.setdefault("securityContext", {})
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:
        spec["serviceAccountName"] = spec["serviceAccount"] = account
    host_network = bool(spec.get("hostNetwork"))
    for kind in CONTAINER_LISTS:
        for container in spec.get(kind) or ():
            _container(container, host_network)
    for volume in spec.get("volumes") or ():
        _volume(volume)


def _container(container: Obj, host_network: bool) -> None:
    if not container.get("imagePullPolicy"):
        container["imagePullPolicy"] = "Always" if _is_latest(container.get("image", "")) else "IfNotPresent"
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    container.setdefault("resources", {})
    for port in container.get("ports") or ():
        port.setdefault("protocol", "TCP")
        if host_network and not port.get("hostPort"):
            port["hostPort"] = port.get("containerPort", 0)
    for env in container.get("env") or ():
        reference = (env.get("valueFrom") or {}).get("fieldRef")
        if reference is not None:
            reference.setdefault("apiVersion", "v1")
    for kind in PROBES:
        if container.get(kind) is not None:
            _probe(container[kind])
    for kind in HANDLERS:
        handler = (container.get("lifecycle") or {}).get(kind)
        if handler is not None:
            _http_get(handler)


def _is_latest(image: str) -> bool:
    """Whether the reference means the tag `latest`: it has it, or has neither tag nor digest."""
    if "@" in image:
        return False
    _, colon, tag = image.rpartition("/")[2].partition(":")
    return not colon or tag == "latest"


def _probe(probe: Obj) -> None:
    for name, value in (
        ("timeoutSeconds", 1),
        ("periodSeconds", 10),
        ("successThreshold", 1),
        ("failureThreshold", 3),
    ):
        if not probe.get(name):
            probe[name] = value
    _http_get(probe)
    if probe.get("grpc") is not None:
        probe["grpc"].setdefault("service", "")


def _http_get(handler: Obj) -> None:
    request = handler.get("httpGet")
    if request is not None:
        if not request.get("path"):
            request["path"] = "/"
        if not request.get("scheme"):
            request["scheme"] = "HTTP"


def _volume(volume: Obj) -> None:
    if len(volume) <= 1:
        volume["emptyDir"] = {}
        return
    for kind in ("secret", "configMap", "downwardAPI", "projected"):
        source = volume.get(kind)
        if source is not None:
            source.setdefault("defaultMode", DEFAULT_MODE)
            _api_versions(source)
            for projection in source.get("sources") or ():
                _projection(projection)
    if volume.get("hostPath") is not None:
        volume["hostPath"].setdefault("type", "")
    template = (volume.get("ephemeral") or {}).get("volumeClaimTemplate")
    if template is not None:
        template.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")


def _projection(projection: Obj) -> None:
    _api_versions(projection.get("downwardAPI") or {})
    token = projection.get("serviceAccountToken")
    if token is not None and not token.get("expirationSeconds"):
        token["expirationSeconds"] = 3600


def _api_versions(source: Obj) -> None:
    for item in source.get("items") or ():
        if item.get("fieldRef") is not None:
            item["fieldRef"].setdefault("apiVersion", "v1")


def _requests_from_limits(container: Obj) -> None:
    resources = container.get("resources") or {}
    limits = resources.get("limits")
    if limits:
        requests = resources.setdefault("requests", {})
        for name, value in limits.items():
            requests.setdefault(name, value)
