"""Nodes where no other pod holds one of the host ports that this pod wants. After plugins/nodeports."""

from __future__ import annotations

import numpy as np

from controlplane.scheduler.demand import Demand, HostPort
from controlplane.scheduler.refusal import Refusal
from controlplane.scheduler.table import Mask, NodeTable

SUMMARY = "node(s) didn't have free ports for the requested pod ports"


def mask(demand: Demand, table: NodeTable) -> Mask:
    passing = np.ones(len(table), np.bool_)
    for wanted in demand.host_ports:
        for held, node in _holders(table, wanted):
            row = table.row(node)
            if row is not None and wanted.collides(held):
                passing[row] = False
    return passing


def explain(demand: Demand, table: NodeTable, row: int) -> list[Refusal]:
    name = table.facts[row].name
    return [
        Refusal(SUMMARY, f"host port {wanted.port}/{wanted.protocol} is taken by another pod")
        for wanted in demand.host_ports
        if any(node == name and wanted.collides(held) for held, node in _holders(table, wanted))
    ]


def _holders(table: NodeTable, wanted: HostPort) -> list[tuple[HostPort, str]]:
    return table.host_ports.get((wanted.protocol, wanted.port), [])
