"""Prefers nodes whose cpu and memory would be used in like shares. After noderesources/balanced_allocation.go."""

from __future__ import annotations

from controlplane.scheduler.demand import Demand
from controlplane.scheduler.scores.least_allocated import used_shares
from controlplane.scheduler.table import NodeTable, Vector


def rate(demand: Demand, table: NodeTable) -> Vector:
    shares = used_shares(demand, table)
    balance: Vector = (1.0 - abs(shares[:, 0] - shares[:, 1]) / 2.0) * 100.0
    return balance
