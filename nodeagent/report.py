"""A pod's status as a patch of `pods/status`, and nothing at all when the API has it already.

The patch is a strategic one, so that conditions of others (readiness gates, disruption targets) stay; it names the
pod's uid, so that it never lands on a namesake. Required fields are always there, though the structs leave defaults
out: the Python client refuses a container status without `ready`. Called by `agent.py`.

Follows pkg/kubelet/status/status_manager.go and pkg/util/pod/pod.go (PatchPodStatus).
"""

from __future__ import annotations

from typing import Any

import msgspec

from controlplane.api import types
from controlplane.api.types import PodStatus
from nodeagent.pods import Pod

Patch = dict[str, Any]


def status_patch(pod: Pod, new: PodStatus) -> Patch | None:
    """The patch that makes the API's status of this pod `new`; None when nothing differs."""
    old = pod.status
    status: Patch = {}
    for name in ("phase", "reason", "message", "hostIP", "podIP", "qosClass"):
        before, after = _value(old, name), _value(new, name)
        if before != after and (after or before):
            status[name] = after or None
    if old.start_time is None and new.start_time is not None:
        status["startTime"] = new.start_time
    if _addresses(old) != _addresses(new):
        gone = [{"$patch": "delete", "ip": ip} for ip in _addresses(old) if ip not in _addresses(new)]
        status["podIPs"] = [*({"ip": ip} for ip in _addresses(new)), *gone]
    if old.host_ip != new.host_ip:
        status["hostIPs"] = [{"ip": new.host_ip}]
    conditions = _changed_conditions(old, new)
    if conditions:
        status["conditions"] = conditions
    if (old.container_statuses or []) != (new.container_statuses or []):
        status["containerStatuses"] = [container_status(s) for s in new.container_statuses or ()]
    if not status:
        return None
    return {"metadata": {"uid": pod.uid}, "status": status}


_ATTRIBUTES = {
    "phase": "phase",
    "reason": "reason",
    "message": "message",
    "hostIP": "host_ip",
    "podIP": "pod_ip",
    "qosClass": "qos_class",
}


def _value(status: PodStatus, name: str) -> str:
    return str(getattr(status, _ATTRIBUTES[name]))


def _addresses(status: PodStatus) -> list[str]:
    return [ip.ip for ip in status.pod_ips or ()]


def _changed_conditions(old: PodStatus, new: PodStatus) -> list[Patch]:
    before = {c.type: c for c in old.conditions or ()}
    changed = []
    for condition in new.conditions or ():
        known = before.get(condition.type)
        if known is None or _said(known) != _said(condition):
            changed.append(condition_body(condition))
    return changed


def _said(condition: types.Condition) -> tuple[str, str, str]:
    return (condition.status, condition.reason, condition.message)


def condition_body(condition: types.Condition) -> Patch:
    """A condition for a strategic patch: an empty reason or message removes the old one."""
    body: Patch = {
        "type": condition.type,
        "status": condition.status,
        "reason": condition.reason or None,
        "message": condition.message or None,
        "lastTransitionTime": condition.last_transition_time,
    }
    if condition.last_heartbeat_time is not None:
        body["lastHeartbeatTime"] = condition.last_heartbeat_time
    return body


def container_status(status: types.ContainerStatus) -> Patch:
    """A container status with every field that clients require."""
    body: Patch = msgspec.to_builtins(status)
    for name, default in (("ready", False), ("restartCount", 0), ("image", ""), ("imageID", "")):
        body.setdefault(name, default)
    body.setdefault("state", {})
    body.setdefault("lastState", {})
    return body
