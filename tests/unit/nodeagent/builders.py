"""Short ways to make pods and containers for the agent's unit tests."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from controlplane.api.types import ObjectMeta, PodStatus
from nodeagent.config import AgentConfig
from nodeagent.pods import ApiPod, Pod, decode
from nodeagent.runtime.base import SANDBOX, Container, PodRef, State

WALL = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
UID = "11111111-2222-3333-4444-555555555555"
REF = PodRef(UID, "default", "web")
CONFIG = AgentConfig(
    node_name="worker-1", node_address="10.77.0.11", server="", ca_file="", cert_file="", key_file="",
    serving_cert_file="", serving_key_file="", cpu_milli=1000, memory_bytes=1024**3, disk_bytes=1024**3,
    pod_cidr="10.244.1.0/24", cgroup_parent="/no-such-cgroup",
)  # fmt: skip


class FakeClock:
    """A clock that stands still until told."""

    def __init__(self, at: float = 1000.0) -> None:
        self.at = at

    def now(self) -> datetime:
        return WALL

    def monotonic(self) -> float:
        return self.at


def make_pod(
    *names: str,
    policy: str = "Always",
    status: dict[str, Any] | None = None,
    deleted_grace_s: int | None = None,
    spec: dict[str, Any] | None = None,
    container: dict[str, Any] | None = None,
) -> Pod:
    """A pod with a container for each name (default: `c`)."""
    body: dict[str, Any] = {
        "restartPolicy": policy,
        "nodeName": "worker-1",
        "containers": [{"name": n, "image": "busybox", **(container or {})} for n in names or ("c",)],
        **(spec or {}),
    }
    meta = ObjectMeta(name="web", namespace="default", uid=UID, resource_version="7")
    if deleted_grace_s is not None:
        meta.deletion_timestamp = WALL
        meta.deletion_grace_period_seconds = deleted_grace_s
    return decode(ApiPod(metadata=meta, spec=body, status=msgspec.convert(status or {}, PodStatus)))


def make_container(name: str = "c", attempt: int = 0, state: State = State.RUNNING, **fields: Any) -> Container:
    """A container of that pod; its id tells its name and attempt."""
    defaults: dict[str, Any] = {
        "id": f"{name}-{attempt}",
        "name": f"k8s_{name}_{attempt}",
        "pod": REF,
        "container": name,
        "attempt": attempt,
        "state": state,
        "spec_hash": make_pod(name).spec.containers[0].spec_hash if name != SANDBOX else "",
        "boot_id": "boot",
        "image": "busybox",
    }
    if state is State.RUNNING:
        defaults |= {"started": 900.0, "started_at": WALL, "pid": 4711}
    if state is State.EXITED:
        defaults |= {"started": 900.0, "ended": 990.0, "exit_code": 1, "started_at": WALL, "finished_at": WALL}
    return Container(**{**defaults, **fields})


def make_sandbox(attempt: int = 0, state: State = State.RUNNING, **fields: Any) -> Container:
    return make_container(SANDBOX, attempt, state, **{"ip": "10.244.1.5", **fields})
