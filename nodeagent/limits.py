"""A container's resources → cgroup values. Pure.

Follows pkg/kubelet/cm/helpers_linux.go (shares, quota) and pkg/kubelet/qos/policy.go (oom_score_adj).
"""

from __future__ import annotations

from controlplane.api import quantity
from controlplane.api.types import ResourceRequirements
from nodeagent.pods import PodSpec
from nodeagent.runtime.base import Limits

_SHARES_MIN = 2
_SHARES_MAX = 262144
_QUOTA_PERIOD_US = 100_000
_QUOTA_MIN_US = 1000


def limits(resources: ResourceRequirements, qos: str, node_memory_bytes: int) -> Limits:
    """Requests become weights, limits become caps; a limit alone counts as the request, as upstream's defaults do."""
    wanted, capped = resources.requests or {}, resources.limits or {}
    cpu = wanted.get("cpu", capped.get("cpu"))
    memory = wanted.get("memory", capped.get("memory"))
    quota = capped.get("cpu")
    memory_limit = capped.get("memory")
    return Limits(
        cpu_shares=_SHARES_MIN if cpu is None else _shares(quantity.milli(cpu)),
        cpu_quota_us=None if quota is None else _quota_us(quantity.milli(quota)),
        memory_bytes=None if memory_limit is None else quantity.to_bytes(memory_limit),
        oom_score_adj=_oom_score_adj(qos, 0 if memory is None else quantity.to_bytes(memory), node_memory_bytes),
    )


def qos_class(spec: PodSpec) -> str:
    """Guaranteed, Burstable or BestEffort (pkg/apis/core/v1/helper/qos/qos.go)."""
    every_guaranteed, any_set = True, False
    for container in spec.containers:
        wanted, capped = container.resources.requests or {}, container.resources.limits or {}
        for name in ("cpu", "memory"):
            any_set = any_set or name in wanted or name in capped
            same = name in capped and wanted.get(name, capped[name]) == capped[name]
            every_guaranteed = every_guaranteed and same
    if not any_set:
        return "BestEffort"
    return "Guaranteed" if every_guaranteed else "Burstable"


def _shares(cpu_milli: int) -> int:
    return min(_SHARES_MAX, max(_SHARES_MIN, cpu_milli * 1024 // 1000))


def _quota_us(cpu_milli: int) -> int | None:
    if cpu_milli == 0:
        return None
    return max(_QUOTA_MIN_US, cpu_milli * _QUOTA_PERIOD_US // 1000)


def _oom_score_adj(qos: str, requested_bytes: int, node_memory_bytes: int) -> int:
    if qos == "Guaranteed":
        return -997
    if qos == "BestEffort" or node_memory_bytes <= 0:
        return 1000
    return min(999, max(3, 1000 - 1000 * requested_bytes // node_memory_bytes))
