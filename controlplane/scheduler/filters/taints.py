"""Nodes without a NoSchedule or NoExecute taint that the pod doesn't tolerate. After plugins/tainttoleration."""

from __future__ import annotations

import numpy as np

from controlplane.scheduler.demand import Demand
from controlplane.scheduler.filters.node_ready import STATE_TAINTS
from controlplane.scheduler.refusal import Refusal
from controlplane.scheduler.table import Mask, NodeTable, TaintFact


def mask(demand: Demand, table: NodeTable) -> Mask:
    refused = [column for column, taint in enumerate(table.taints) if refuses(demand, taint)]
    if not refused:
        return np.ones(len(table), np.bool_)
    passing: Mask = np.logical_not(table.tainted[:, refused].any(axis=1))
    return passing


def explain(demand: Demand, table: NodeTable, row: int) -> list[Refusal]:
    return [
        Refusal(
            f"node(s) had untolerated taint {{{taint.key}: {taint.value}}}",
            f"taint {taint.key}{'=' + taint.value if taint.value else ''}:{taint.effect} is not tolerated",
        )
        for taint in table.facts[row].taints
        if refuses(demand, taint)
    ]


def refuses(demand: Demand, taint: TaintFact) -> bool:
    """Whether this taint alone keeps the pod away."""
    if taint.effect not in ("NoSchedule", "NoExecute"):
        return False
    if taint.key in STATE_TAINTS and taint.effect == "NoSchedule":
        return False
    whole = taint.as_taint()
    return not any(toleration.tolerates(whole) for toleration in demand.tolerations)
