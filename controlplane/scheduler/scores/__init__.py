"""The scores: each rates every node from 0 to 100 for one pod; the weighted sum decides among nodes that pass.

A score is a pure function from (demand, table) to a vector over all rows. Weights are upstream's (spreading counts as
PodTopologySpread). A new score is one new file and one entry here. After pkg/scheduler/framework/plugins.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from controlplane.scheduler.demand import Demand
from controlplane.scheduler.scores import balanced_allocation, least_allocated, spread_by_controller, taint_preference
from controlplane.scheduler.table import NodeTable, Vector

BEST = 100.0


@dataclass(frozen=True)
class Score:
    """One score: its name, its weight, its vector."""

    name: str
    weight: int
    rate: Callable[[Demand, NodeTable], Vector]


ALL = (
    Score("taint-preference", 3, taint_preference.rate),
    Score("spread-by-controller", 2, spread_by_controller.rate),
    Score("least-allocated", 1, least_allocated.rate),
    Score("balanced-allocation", 1, balanced_allocation.rate),
)
