"""This node as the API shows it: the object to register and its status. Pure; `node.py` sends it.

Follows pkg/kubelet/nodestatus/setters.go and pkg/kubelet/kubelet_node_status.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from controlplane.api.types import Condition, NodeStatus
from nodeagent.config import AgentConfig
from nodeagent.host import Room
from nodeagent.report import condition_body
from nodeagent.runtime.base import Image

KUBELET_VERSION = "v1.37.0+kubelab"
CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
WORKER = "node-role.kubernetes.io/worker"
_MEMORY_MIN_BYTES = 100 * 1024 * 1024
_MEMORY_MIN_FRACTION = 0.05
_DISK_MIN_FRACTION = 0.10
_DISK_MIN_BYTES = 1024**3
_INODES_MIN_FRACTION = 0.05
_PIDS_MIN_FRACTION = 0.05
_IMAGES_SHOWN = 50

Body = dict[str, Any]


@dataclass(frozen=True)
class Facts:
    """What the status is made of, besides the configuration."""

    room: Room
    runtime_error: str
    """Why the runtime doesn't answer; "" when it does."""
    runtime_version: str
    boot_id: str
    machine_id: str
    kernel_version: str
    os_image: str
    images: tuple[Image, ...] = ()


def node_body(config: AgentConfig) -> Body:
    """The Node to create."""
    spec: Body = {"podCIDR": config.pod_cidr, "podCIDRs": [config.pod_cidr]}
    if config.control_plane:
        spec["taints"] = [{"key": CONTROL_PLANE, "effect": "NoSchedule"}]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": config.node_name, "labels": labels(config)},
        "spec": spec,
    }


def labels(config: AgentConfig) -> dict[str, str]:
    return {
        "kubernetes.io/hostname": config.node_name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        CONTROL_PLANE if config.control_plane else WORKER: "",
    }


def status_body(config: AgentConfig, facts: Facts, old: NodeStatus | None, now: datetime) -> Body:
    """The whole status; transition times are kept where a condition stays as it is in `old`."""
    now = now.replace(microsecond=0)
    known = {c.type: c for c in (old.conditions if old else None) or ()}
    conditions = []
    for condition in _conditions(config, facts):
        before = known.get(condition.type)
        same = before is not None and before.status == condition.status
        condition.last_transition_time = before.last_transition_time if before is not None and same else now
        condition.last_heartbeat_time = now
        conditions.append(condition_body(condition))
    amounts = {
        "cpu": f"{config.cpu_milli}m" if config.cpu_milli % 1000 else str(config.cpu_milli // 1000),
        "memory": f"{config.memory_bytes // 1024}Ki",
        "ephemeral-storage": f"{config.disk_bytes // 1024}Ki",
        "pods": str(config.max_pods),
    }
    return {
        "capacity": amounts,
        "allocatable": amounts,
        "addresses": [
            {"type": "InternalIP", "address": config.node_address},
            {"type": "Hostname", "address": config.node_name},
        ],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": config.listen_port}},
        "conditions": conditions,
        "nodeInfo": {
            "machineID": facts.machine_id,
            "systemUUID": facts.machine_id,
            "bootID": facts.boot_id,
            "kernelVersion": facts.kernel_version,
            "osImage": facts.os_image,
            "containerRuntimeVersion": facts.runtime_version,
            "kubeletVersion": KUBELET_VERSION,
            "kubeProxyVersion": "",
            "operatingSystem": "linux",
            "architecture": "amd64",
        },
        "images": _images(facts.images),
    }


def _images(images: Iterable[Image]) -> list[Body]:
    largest = sorted(images, key=lambda i: (-i.size_bytes, i.name))[:_IMAGES_SHOWN]
    return [{"names": [i.name], "sizeBytes": i.size_bytes} for i in largest]


def _conditions(config: AgentConfig, facts: Facts) -> list[Condition]:
    room = facts.room
    memory_min = min(_MEMORY_MIN_BYTES, config.memory_bytes * _MEMORY_MIN_FRACTION)
    disk = room.disk_fraction < _DISK_MIN_FRACTION and room.disk_bytes < _DISK_MIN_BYTES
    disk = disk or room.inode_fraction < _INODES_MIN_FRACTION
    ready = Condition(
        type="Ready", status="True", reason="KubeletReady", message="the node agent is posting ready status"
    )
    if facts.runtime_error:
        message = f"the container runtime does not answer: {facts.runtime_error}"
        ready = Condition(type="Ready", status="False", reason="KubeletNotReady", message=message)
    return [
        _pressure("MemoryPressure", room.memory_bytes < memory_min, "Memory", "memory available"),
        _pressure("DiskPressure", disk, "Disk", "disk space"),
        _pressure("PIDPressure", room.process_fraction < _PIDS_MIN_FRACTION, "PID", "process ids available"),
        ready,
    ]


def _pressure(type: str, pressed: bool, word: str, what: str) -> Condition:
    verb = "Insufficient" if pressed else "Sufficient"
    has = "has insufficient" if pressed else "has sufficient"
    if word == "Disk":
        verb, has = (
            ("HasDiskPressure", "has disk pressure") if pressed else ("HasNoDiskPressure", "has no disk pressure")
        )
        return Condition(type=type, status=str(pressed), reason=f"Kubelet{verb}", message=f"kubelet {has}")
    return Condition(
        type=type, status=str(pressed), reason=f"KubeletHas{verb}{word}", message=f"kubelet {has} {what}"
    )


def without_times(status: Mapping[str, Any]) -> Body:
    """The status without the times that change by themselves: what decides whether to send it."""
    quiet = dict(status)
    quiet["conditions"] = [
        {key: value for key, value in c.items() if key not in ("lastHeartbeatTime", "lastTransitionTime")}
        for c in status["conditions"]
    ]
    return quiet
