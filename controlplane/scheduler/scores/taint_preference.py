"""Prefers nodes with fewer PreferNoSchedule taints that the pod doesn't tolerate. After plugins/tainttoleration."""

from __future__ import annotations

import numpy as np

from controlplane.scheduler.demand import Demand
from controlplane.scheduler.table import NodeTable, Vector


def rate(demand: Demand, table: NodeTable) -> Vector:
    disliked = [
        column
        for column, taint in enumerate(table.taints)
        if taint.effect == "PreferNoSchedule" and not any(t.tolerates(taint.as_taint()) for t in demand.tolerations)
    ]
    counts = table.tainted[:, disliked].sum(axis=1)
    most = counts.max(initial=0)
    return np.full(len(table), 100.0) if most == 0 else (1.0 - counts / most) * 100.0
