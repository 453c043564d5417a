"""The filters: each refuses nodes for one kind of reason, and can say which and by how much.

A filter is a pure function from (demand, table) to a mask of the rows that it lets pass, and a second one that
explains a refused row. The masks are the explanation: nothing is recorded besides, so that what a person reads is
what decided. `ALL` is in the order in which reasons are told: what concerns the node before what concerns its room. A
new filter is one new file and one entry here. After pkg/scheduler/framework/plugins.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from controlplane.scheduler.demand import Demand
from controlplane.scheduler.filters import host_ports, node_ready, node_selector, resources, taints
from controlplane.scheduler.refusal import Refusal
from controlplane.scheduler.table import Mask, NodeTable


@dataclass(frozen=True)
class Filter:
    """One filter: its name, its mask, and its words about a row that it refuses."""

    name: str
    mask: Callable[[Demand, NodeTable], Mask]
    explain: Callable[[Demand, NodeTable, int], list[Refusal]]


ALL = (
    Filter("node-ready", node_ready.mask, node_ready.explain),
    Filter("taints", taints.mask, taints.explain),
    Filter("node-selector", node_selector.mask, node_selector.explain),
    Filter("host-ports", host_ports.mask, host_ports.explain),
    Filter("resources", resources.mask, resources.explain),
)
