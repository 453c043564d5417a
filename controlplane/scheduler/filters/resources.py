"""Nodes with room for what the pod requests: cpu, memory, ephemeral storage, one of `pods`, any extended resource.

Exact integers, so that a node is never over-committed by a rounding. After plugins/noderesources/fit.go.
"""

from __future__ import annotations

import numpy as np

from controlplane.scheduler.demand import CPU, EPHEMERAL_STORAGE, MEMORY, PODS, Demand
from controlplane.scheduler.refusal import Refusal
from controlplane.scheduler.table import Mask, NodeTable


def mask(demand: Demand, table: NodeTable) -> Mask:
    passing = np.ones(len(table), np.bool_)
    for resource, needed in demand.requests.items():
        column = table.resources.get(resource)
        if column is None:
            return np.zeros(len(table), np.bool_)
        passing &= table.allocatable[:, column] - table.used[:, column] >= needed
    return passing


def explain(demand: Demand, table: NodeTable, row: int) -> list[Refusal]:
    found = []
    for resource, needed in demand.requests.items():
        free = table.free(row, resource)
        if free >= needed:
            continue
        if resource == PODS:
            has = table.facts[row].allocatable.get(PODS, 0)
            found.append(Refusal("Too many pods", f"pods: all {has} are taken"))
        else:
            detail = f"{resource}: needs {shown(resource, needed)}, {shown(resource, max(free, 0))} free"
            found.append(Refusal(f"Insufficient {resource}", detail))
    return found


def shown(resource: str, value: int) -> str:
    """An amount as people write it: 500m, 2 (cores), 256Mi, 3."""
    if resource == CPU:
        return f"{value // 1000}" if value % 1000 == 0 else f"{value}m"
    if resource in (MEMORY, EPHEMERAL_STORAGE) or resource.startswith("hugepages-"):
        for suffix, size in (("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)):
            if value and value % size == 0:
                return f"{value // size}{suffix}"
        return f"{value / (1 << 20):.1f}Mi" if value >= 1 << 20 else str(value)
    return str(value)
