"""Nodes that are ready and take pods: Ready is True, and nobody has cordoned them.

Upstream leaves this to the taints that the node controller adds a moment later; looking at the condition itself
closes that gap, and gives the better words. A pod that tolerates the taint which stands for the state passes, as
upstream.
After plugins/nodeunschedulable and plugins/tainttoleration.
"""

from __future__ import annotations

import numpy as np

from controlplane.api.types import Taint
from controlplane.scheduler.demand import Demand
from controlplane.scheduler.refusal import Refusal
from controlplane.scheduler.table import Mask, NodeTable

NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
STATE_TAINTS = frozenset({NOT_READY, UNREACHABLE, UNSCHEDULABLE})
"""Taints that only repeat what this filter looks at; the taint filter leaves their NoSchedule to it."""


def mask(demand: Demand, table: NodeTable) -> Mask:
    ready = table.ready
    if _tolerates(demand, NOT_READY) or _tolerates(demand, UNREACHABLE):
        ready = np.array([_ready_enough(demand, f.ready) for f in table.facts], np.bool_)
    if _tolerates(demand, UNSCHEDULABLE):
        return ready
    return ready & ~table.unschedulable


def explain(demand: Demand, table: NodeTable, row: int) -> list[Refusal]:
    facts = table.facts[row]
    found = []
    if not _ready_enough(demand, facts.ready):
        state = {"False": "not ready", "": "not ready: it has not reported yet"}.get(facts.ready, facts.ready)
        since = f" since {facts.ready_since:%Y-%m-%dT%H:%M:%SZ}" if facts.ready_since else ""
        detail = f"node is not ready ({state}{since})" if facts.ready == "Unknown" else f"node is {state}{since}"
        found.append(Refusal("node(s) were not ready", detail))
    if facts.unschedulable and not _tolerates(demand, UNSCHEDULABLE):
        found.append(Refusal("node(s) were unschedulable", "node is cordoned (unschedulable)"))
    return found


def _ready_enough(demand: Demand, status: str) -> bool:
    return status == "True" or _tolerates(demand, UNREACHABLE if status == "Unknown" else NOT_READY)


def _tolerates(demand: Demand, key: str) -> bool:
    taint = Taint(key=key, effect="NoSchedule")
    return any(toleration.tolerates(taint) for toleration in demand.tolerations)
