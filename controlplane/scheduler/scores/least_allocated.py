"""Prefers nodes that have the larger share of cpu and memory left. After noderesources/least_allocated.go."""

from __future__ import annotations

import numpy as np

from controlplane.scheduler.demand import Demand
from controlplane.scheduler.table import NodeTable, Vector


def rate(demand: Demand, table: NodeTable) -> Vector:
    share: Vector = 1.0 - used_shares(demand, table)
    mean: Vector = share.mean(axis=1) * 100.0
    return mean


def used_shares(demand: Demand, table: NodeTable) -> Vector:
    """Rows × (cpu, memory): the share in use with this pod there, between 0 and 1; 1 where a node has nothing."""
    wanted = table.scored_used + np.array([demand.scored_cpu_milli, demand.scored_memory_bytes], np.int64)
    has = table.allocatable[:, :2]
    shares: Vector = np.clip(np.where(has > 0, wanted / np.maximum(has, 1), 1.0), 0.0, 1.0)
    return shares
