"""Nodes that carry every label of the pod's nodeSelector. After plugins/nodeaffinity."""

from __future__ import annotations

import numpy as np

from controlplane.scheduler.demand import Demand
from controlplane.scheduler.refusal import Refusal
from controlplane.scheduler.table import Mask, NodeTable

SUMMARY = "node(s) didn't match Pod's node affinity/selector"


def mask(demand: Demand, table: NodeTable) -> Mask:
    passing = np.ones(len(table), np.bool_)
    for key, value in (demand.node_selector or {}).items():
        passing &= table.labelled(key, value)
    return passing


def explain(demand: Demand, table: NodeTable, row: int) -> list[Refusal]:
    labels = table.facts[row].labels
    return [
        Refusal(
            SUMMARY,
            f"label {key} is {labels[key]!r}, wanted {value!r}"
            if key in labels
            else f"label {key} is missing, wanted {value!r}",
        )
        for key, value in (demand.node_selector or {}).items()
        if labels.get(key) != value
    ]
