"""The node table: everything that a placement depends on, as columns, so that a filter is one line over all nodes.

A row is a node, rows `0 … len(table)-1` are in use and their order means nothing. Columns are NumPy arrays: what
each resource has and what is taken of it, whether the node is ready, which of the interned taints it carries. Labels
are an index from (key, value) to rows.

What always holds: `used` is the sum of the demands of the pods placed on that row, assumed ones included, each
counted once however often it was announced; pods of a node that isn't there wait, and count when it appears. The
table is not thread-safe: the scheduler holds its lock. After pkg/scheduler/backend/cache and its NodeInfo.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from controlplane.api import conditions
from controlplane.api.types import Node, Taint
from controlplane.scheduler.demand import CPU, EPHEMERAL_STORAGE, MEMORY, PODS, Demand, HostPort, amount

Mask = NDArray[np.bool_]
"""One truth value a row."""
Vector = NDArray[np.float64]
"""One number a row."""
Amounts = NDArray[np.int64]

BASE_RESOURCES = (CPU, MEMORY, EPHEMERAL_STORAGE, PODS)


@dataclass(frozen=True)
class TaintFact:
    """A taint without its time: what tolerations are compared with."""

    key: str
    value: str
    effect: str

    def as_taint(self) -> Taint:
        return Taint(key=self.key, value=self.value, effect=self.effect)


@dataclass(frozen=True)
class NodeFacts:
    """What scheduling reads of a node; two equal values mean that nothing changed for any pod."""

    name: str
    allocatable: Mapping[str, int]
    labels: Mapping[str, str]
    taints: tuple[TaintFact, ...]
    unschedulable: bool
    ready: str
    """Status of the Ready condition: True, False, Unknown, or "" when there is none."""
    ready_since: datetime | None = None

    def same(self, other: NodeFacts) -> bool:
        """Equal but for times."""
        return replace(self, ready_since=None) == replace(other, ready_since=None)


def facts_of(node: Node) -> NodeFacts:
    """The facts of a node as the API shows it."""
    ready = conditions.find(node.status.conditions, "Ready")
    return NodeFacts(
        name=node.metadata.name,
        allocatable={r: amount(r, text) for r, text in (node.status.allocatable or {}).items()},
        labels=node.metadata.labels or {},
        taints=tuple(TaintFact(t.key, t.value, t.effect) for t in node.spec.taints or ()),
        unschedulable=node.spec.unschedulable,
        ready=ready.status if ready else "",
        ready_since=ready.last_transition_time if ready else None,
    )


class NodeTable:
    """Nodes as rows, resources and taints as columns, and the pods placed on them."""

    def __init__(self) -> None:
        self.facts: list[NodeFacts] = []
        self.resources: dict[str, int] = {name: column for column, name in enumerate(BASE_RESOURCES)}
        self.taints: list[TaintFact] = []
        self.host_ports: dict[tuple[str, int], list[tuple[HostPort, str]]] = {}
        """(protocol, port) → who holds it: the port and the node's name."""
        self.controllers: dict[str, dict[str, int]] = {}
        """Controller's uid → node → number of its pods there."""
        self._rows: dict[str, int] = {}
        self._ranks: NDArray[np.intp] | None = None
        self._labels: dict[tuple[str, str], set[int]] = {}
        self._placed: dict[str, tuple[Demand, str]] = {}
        self._by_node: dict[str, dict[str, Demand]] = {}
        self._allocatable: Amounts = np.zeros((8, len(BASE_RESOURCES)), np.int64)
        self._used: Amounts = np.zeros((8, len(BASE_RESOURCES)), np.int64)
        self._scored: Amounts = np.zeros((8, 2), np.int64)
        self._flags: Mask = np.zeros((8, 2), np.bool_)
        self._tainted: Mask = np.zeros((8, 0), np.bool_)

    def __len__(self) -> int:
        return len(self.facts)

    # --- columns: views of the rows in use ----------------------------------------------------------------------

    @property
    def allocatable(self) -> Amounts:
        """Rows × `resources`."""
        return self._allocatable[: len(self)]

    @property
    def used(self) -> Amounts:
        """Rows × `resources`: what placed and assumed pods take."""
        return self._used[: len(self)]

    @property
    def scored_used(self) -> Amounts:
        """Rows × (cpu milli, memory bytes): as `used`, with a floor for pods that ask for nothing."""
        return self._scored[: len(self)]

    @property
    def ready(self) -> Mask:
        return self._flags[: len(self), 0]

    @property
    def unschedulable(self) -> Mask:
        return self._flags[: len(self), 1]

    @property
    def tainted(self) -> Mask:
        """Rows × `taints`."""
        return self._tainted[: len(self)]

    @property
    def name_ranks(self) -> NDArray[np.intp]:
        """Each row's place in the order of names: what decides among equals."""
        if self._ranks is None:
            self._ranks = np.argsort(np.argsort(np.array([facts.name for facts in self.facts])))
        return self._ranks

    def labelled(self, key: str, value: str) -> Mask:
        """The rows that carry this label."""
        mask = np.zeros(len(self), np.bool_)
        rows = self._labels.get((key, value))
        if rows:
            mask[list(rows)] = True
        return mask

    def row(self, name: str) -> int | None:
        return self._rows.get(name)

    def free(self, row: int, resource: str) -> int:
        """What is left of a resource on a row; 0 where the node has none."""
        column = self.resources.get(resource)
        return 0 if column is None else int(self._allocatable[row, column] - self._used[row, column])

    # --- nodes --------------------------------------------------------------------------------------------------

    def set_node(self, facts: NodeFacts) -> bool:
        """Adds or changes a node; False when nothing that matters to a pod changed."""
        row = self._rows.get(facts.name)
        if row is not None and self.facts[row].same(facts):
            return False
        if row is None:
            row = len(self.facts)
            self._reserve(row + 1)
            self.facts.append(facts)
            self._rows[facts.name] = row
            self._ranks = None
            self._used[row], self._scored[row] = 0, 0
            for demand in self._by_node.get(facts.name, {}).values():
                self._count(row, demand, 1)
        else:
            self._unlabel(row)
            self.facts[row] = facts
        self._fill(row)
        return True

    def remove_node(self, name: str) -> None:
        """Forgets a node; its pods stay known, should it come back."""
        row = self._rows.pop(name, None)
        if row is None:
            return
        self._ranks = None
        last = len(self.facts) - 1
        self._unlabel(row)
        if row != last:
            self._unlabel(last)
            self.facts[row] = self.facts[last]
            self._rows[self.facts[row].name] = row
            for column in (self._allocatable, self._used, self._scored, self._flags, self._tainted):
                column[row] = column[last]
        self.facts.pop()
        if row != last:
            self._label(row)

    # --- pods ---------------------------------------------------------------------------------------------------

    def place(self, demand: Demand, node: str) -> None:
        """Counts a pod on a node, once; a pod known on another node moves (which only a failed guess can cause)."""
        known = self._placed.get(demand.uid)
        if known == (demand, node):
            return
        if known is not None:
            self.remove(demand.uid)
        self._placed[demand.uid] = (demand, node)
        self._by_node.setdefault(node, {})[demand.uid] = demand
        for port in demand.host_ports:
            self.host_ports.setdefault((port.protocol, port.port), []).append((port, node))
        if demand.controller_uid:
            counts = self.controllers.setdefault(demand.controller_uid, {})
            counts[node] = counts.get(node, 0) + 1
        row = self._rows.get(node)
        if row is not None:
            self._count(row, demand, 1)

    def remove(self, uid: str) -> bool:
        """Gives back what a pod takes; False when it isn't known."""
        known = self._placed.pop(uid, None)
        if known is None:
            return False
        demand, node = known
        del self._by_node[node][uid]
        if not self._by_node[node]:
            del self._by_node[node]
        for port in demand.host_ports:
            holders = self.host_ports[port.protocol, port.port]
            holders.remove((port, node))
            if not holders:
                del self.host_ports[port.protocol, port.port]
        if demand.controller_uid:
            counts = self.controllers[demand.controller_uid]
            counts[node] -= 1
            if not counts[node]:
                del counts[node]
            if not counts:
                del self.controllers[demand.controller_uid]
        row = self._rows.get(node)
        if row is not None:
            self._count(row, demand, -1)
        return True

    def node_of(self, uid: str) -> str | None:
        """Where a pod is placed or assumed."""
        known = self._placed.get(uid)
        return known[1] if known else None

    # --- inside -------------------------------------------------------------------------------------------------

    def _count(self, row: int, demand: Demand, sign: int) -> None:
        self._columns(demand.requests)
        for resource, value in demand.requests.items():
            self._used[row, self.resources[resource]] += sign * value
        self._scored[row, 0] += sign * demand.scored_cpu_milli
        self._scored[row, 1] += sign * demand.scored_memory_bytes

    def _fill(self, row: int) -> None:
        facts = self.facts[row]
        self._columns(facts.allocatable)
        self._allocatable[row] = 0
        for resource, value in facts.allocatable.items():
            self._allocatable[row, self.resources[resource]] = value
        self._flags[row] = (facts.ready == "True", facts.unschedulable)
        for taint in facts.taints:
            if taint not in self.taints:
                self.taints.append(taint)
                self._tainted = np.hstack([self._tainted, np.zeros((len(self._tainted), 1), np.bool_)])
        self._tainted[row] = [taint in facts.taints for taint in self.taints]
        self._label(row)

    def _columns(self, resources: Iterable[str]) -> None:
        for resource in resources:
            if resource not in self.resources:
                self.resources[resource] = len(self.resources)
                empty = np.zeros((len(self._used), 1), np.int64)
                self._used = np.hstack([self._used, empty])
                self._allocatable = np.hstack([self._allocatable, empty])

    def _reserve(self, rows: int) -> None:
        """Doubles the columns' length when it is used up."""
        if rows > len(self._used):
            self._allocatable = np.vstack([self._allocatable, np.zeros_like(self._allocatable)])
            self._used = np.vstack([self._used, np.zeros_like(self._used)])
            self._scored = np.vstack([self._scored, np.zeros_like(self._scored)])
            self._flags = np.vstack([self._flags, np.zeros_like(self._flags)])
            self._tainted = np.vstack([self._tainted, np.zeros_like(self._tainted)])

    def _label(self, row: int) -> None:
        for label in self.facts[row].labels.items():
            self._labels.setdefault(label, set()).add(row)

    def _unlabel(self, row: int) -> None:
        for label in self.facts[row].labels.items():
            rows = self._labels[label]
            rows.discard(row)
            if not rows:
                del self._labels[label]
