"""Prefers nodes that run fewer pods of the same controller, so that one machine's death hurts least.

What upstream's PodTopologySpread does by default for pods of one controller, over host names.
"""

from __future__ import annotations

import numpy as np

from controlplane.scheduler.demand import Demand
from controlplane.scheduler.table import NodeTable, Vector


def rate(demand: Demand, table: NodeTable) -> Vector:
    counts = np.zeros(len(table), np.float64)
    for node, number in table.controllers.get(demand.controller_uid, {}).items():
        row = table.row(node)
        if row is not None:
            counts[row] = number
    most = counts.max(initial=0.0)
    return np.full(len(table), 100.0) if most == 0 else (1.0 - counts / most) * 100.0
