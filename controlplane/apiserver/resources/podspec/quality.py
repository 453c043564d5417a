"""A pod's QoS class. After `pkg/apis/core/helper/qos/qos.go`."""

from __future__ import annotations

from typing import Any

from controlplane.api import quantity

Obj = dict[str, Any]
COMPUTE = ("cpu", "memory")


def qos_class(spec: Obj) -> str:
    """Guaranteed, Burstable or BestEffort, from the containers' requests and limits."""
    requests: dict[str, int] = {}
    limits: dict[str, int] = {}
    guaranteed = True
    for container in [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]:
        resources = container.get("resources") or {}
        _add(requests, resources.get("requests"))
        limited = _add(limits, resources.get("limits"))
        guaranteed = guaranteed and limited == set(COMPUTE)
    if not requests and not limits:
        return "BestEffort"
    return "Guaranteed" if guaranteed and requests == limits else "Burstable"


def _add(total: dict[str, int], resources: Obj | None) -> set[str]:
    named: set[str] = set()
    for name in COMPUTE:
        amount = quantity.milli((resources or {}).get(name, "0"))
        if amount > 0:
            total[name] = total.get(name, 0) + amount
            named.add(name)
    return named
