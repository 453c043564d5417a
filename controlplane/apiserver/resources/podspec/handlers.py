"""Validation of probes and life-cycle hooks. After `validateProbe` and `validateHandler` upstream."""

from __future__ import annotations

from typing import Any, Final

from controlplane.api import names
from controlplane.api.causes import each, forbidden, invalid, not_supported, required
from controlplane.api.errors import Cause

Obj = dict[str, Any]

PROBES: Final = ("livenessProbe", "readinessProbe", "startupProbe")
HANDLERS: Final = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")
COUNTS: Final = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")


def probes(container: Obj, at: str) -> list[Cause]:
    """All that is wrong with a container's probes."""
    causes: list[Cause] = []
    for kind in PROBES:
        probe = container.get(kind)
        if probe is None:
            continue
        where = f"{at}.{kind}"
        causes += handler(probe, where)
        for name in COUNTS:
            if probe.get(name, 0) < 0:
                causes.append(invalid(f"{where}.{name}", probe[name], "must be greater than or equal to 0"))
        if kind != "readinessProbe" and probe.get("successThreshold", 1) != 1:
            causes.append(invalid(f"{where}.successThreshold", probe["successThreshold"], "must be 1"))
        grace = probe.get("terminationGracePeriodSeconds")
        if grace is not None and kind == "readinessProbe":
            causes.append(
                invalid(f"{where}.terminationGracePeriodSeconds", grace, "must not be set for readinessProbes")
            )
        elif grace is not None and grace <= 0:
            causes.append(invalid(f"{where}.terminationGracePeriodSeconds", grace, "must be greater than 0"))
    return causes


def lifecycle(hooks: Obj, at: str) -> list[Cause]:
    """All that is wrong with postStart and preStop."""
    causes: list[Cause] = []
    for kind in ("postStart", "preStop"):
        if hooks.get(kind) is not None:
            causes += handler(hooks[kind], f"{at}.{kind}")
    return causes


def handler(body: Obj, at: str) -> list[Cause]:
    """Exactly one way to act, and that one complete."""
    present = [kind for kind in HANDLERS if body.get(kind) is not None]
    if not present:
        return [required(at, "must specify a handler type")]
    if len(present) > 1:
        return [forbidden(f"{at}.{present[1]}", "may not specify more than 1 handler type")]
    kind, action, where = present[0], body[present[0]], f"{at}.{present[0]}"
    if kind == "exec":
        return _exec(action, where)
    if kind == "httpGet":
        return _http_get(action, where)
    if kind == "sleep":
        seconds = action.get("seconds", 0)
        return [] if seconds >= 0 else [invalid(f"{where}.seconds", seconds, "must be greater than or equal to 0")]
    return _port(action.get("port"), f"{where}.port")


def _exec(action: Obj, at: str) -> list[Cause]:
    command = action.get("command") or ()
    causes = [] if command else [required(f"{at}.command")]
    for index, word in enumerate(command):
        if "\0" in word:
            causes.append(invalid(f"{at}.command[{index}]", word, "must not contain NUL"))
    return causes


def _http_get(action: Obj, at: str) -> list[Cause]:
    path = action.get("path", "")
    causes = each(f"{at}.path", path, names.plain_text(path)) if path else [required(f"{at}.path")]
    causes += _port(action.get("port"), f"{at}.port")
    if action.get("scheme", "HTTP") not in ("HTTP", "HTTPS"):
        causes.append(not_supported(f"{at}.scheme", action["scheme"], ("HTTP", "HTTPS")))
    for index, header in enumerate(action.get("httpHeaders") or ()):
        name = header.get("name", "")
        causes += each(f"{at}.httpHeaders[{index}].name", name, names.http_header(name))
        causes += each(
            f"{at}.httpHeaders[{index}].value", header.get("value", ""), names.plain_text(header.get("value", ""))
        )
    if action.get("host"):
        causes += each(f"{at}.host", action["host"], names.plain_text(action["host"]))
    return causes


def _port(port: Any, at: str) -> list[Cause]:
    if isinstance(port, str):
        return each(at, port, names.port_name(port))
    return each(at, port or 0, names.port(port or 0))
