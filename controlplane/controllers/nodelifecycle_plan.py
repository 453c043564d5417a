"""What is to be said about each node: its verdict, and the conditions and taints that follow from it. Pure.

    Lost      no renewal seen for `node_unknown_s` (or already Unknown, until its agent speaks again):
              conditions Unknown, taints node.kubernetes.io/unreachable
    NotReady  its agent says so: taints node.kubernetes.io/not-ready
    Ready     neither taint

Whatever the verdict, a cordoned node and one under pressure (disk, memory, pids) are tainted NoSchedule.

Applying a plan leaves an empty next plan. Whether evictions go on is judged here as well, over all workers: with
55 % or more of them down in a cluster of more than three, or none left in a smaller one, the fault is more likely the
network's than theirs. After pkg/controller/nodelifecycle/node_lifecycle_controller.go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from controlplane.api import conditions
from controlplane.api.profile import Profile
from controlplane.api.types import Node, Taint
from controlplane.controllers.heartbeats import Heartbeats

NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
HEALTH_TAINTS = (NOT_READY, UNREACHABLE)
EFFECTS = ("NoSchedule", "NoExecute")
CORDONED = "node.kubernetes.io/unschedulable"
PRESSURE = {
    "DiskPressure": "node.kubernetes.io/disk-pressure",
    "MemoryPressure": "node.kubernetes.io/memory-pressure",
    "PIDPressure": "node.kubernetes.io/pid-pressure",
    "NetworkUnavailable": "node.kubernetes.io/network-unavailable",
}
"""Condition → the taint that keeps new pods away while it is True."""
MANAGED = frozenset((*HEALTH_TAINTS, CORDONED, *PRESSURE.values()))
"""Keys of the taints that this controller adds and removes."""

MASS_FAILURE_SHARE = 0.55
SMALL_CLUSTER = 3


class Verdict(Enum):
    READY = "Ready"
    NOT_READY = "NotReady"
    LOST = "Lost"


@dataclass(frozen=True)
class NodeAction:
    """What to write on one node."""

    node: Node
    verdict: Verdict
    mark_unknown: tuple[str, ...]
    """Types of the conditions to set to Unknown."""
    add: tuple[Taint, ...]
    """Taints to add, without their time."""
    remove: tuple[Taint, ...]


@dataclass(frozen=True)
class Plan:
    """One pass over all nodes."""

    verdicts: Mapping[str, Verdict]
    actions: tuple[NodeAction, ...]
    next_due: float | None
    """When the next timer may fire, if nothing is heard until then."""


def plan(nodes: Sequence[Node], beats: Heartbeats, profile: Profile, now: float) -> Plan:
    """Verdicts and what follows; nodes in the order of their names."""
    ordered = sorted(nodes, key=lambda node: node.metadata.name)
    verdicts = {node.metadata.name: judge(node, beats, profile, now) for node in ordered}
    actions = [action for node in ordered if (action := _act(node, verdicts[node.metadata.name])) is not None]
    dues = [
        beats.since(name) + profile.node_unknown_s
        for name, verdict in verdicts.items()
        if verdict is not Verdict.LOST
    ]
    next_due = min(dues, default=None)
    if next_due is not None and next_due <= now:  # all silent: look again soon, a renewal may end it
        next_due = now + profile.all_silent_s / 2
    return Plan(verdicts, tuple(actions), next_due)


def judge(node: Node, beats: Heartbeats, profile: Profile, now: float) -> Verdict:
    """The verdict about one node."""
    ready = ready_status(node)
    if ready == "Unknown":
        return Verdict.LOST
    if not beats.all_silent(now) and now - beats.since(node.metadata.name) >= profile.node_unknown_s:
        return Verdict.LOST
    return Verdict.READY if ready == "True" else Verdict.NOT_READY


def ready_status(node: Node) -> str:
    """True, False, Unknown, or "" when the node has not reported yet."""
    ready = conditions.find(node.status.conditions, "Ready")
    return ready.status if ready is not None else ""


def evictions_allowed(nodes: Sequence[Node], verdicts: Mapping[str, Verdict]) -> bool:
    """False while so many workers are down that the fault is more likely elsewhere."""
    workers = [node.metadata.name for node in nodes if not node.control_plane]
    down = sum(verdicts[name] is not Verdict.READY for name in workers)
    if not workers:
        return True
    if len(workers) <= SMALL_CLUSTER:
        return down < len(workers)
    return down / len(workers) < MASS_FAILURE_SHARE


def _act(node: Node, verdict: Verdict) -> NodeAction | None:
    has = {(t.key, t.effect) for t in node.spec.taints or () if t.key in MANAGED}
    wants = _wanted_taints(node, verdict)
    unknown: tuple[str, ...] = ()
    if verdict is Verdict.LOST:
        stale = [c.type for c in node.status.conditions or () if c.status != "Unknown"]
        unknown = tuple(stale) if ready_status(node) else ("Ready", *stale)
    if has == wants and not unknown:
        return None
    return NodeAction(node, verdict, unknown, _taints(wants - has), _taints(has - wants))


def _wanted_taints(node: Node, verdict: Verdict) -> set[tuple[str, str]]:
    key = {Verdict.LOST: UNREACHABLE, Verdict.NOT_READY: NOT_READY, Verdict.READY: ""}[verdict]
    wants = {(key, effect) for effect in EFFECTS} if key else set()
    if node.spec.unschedulable:
        wants.add((CORDONED, "NoSchedule"))
    if verdict is not Verdict.LOST:
        pressed = [c.type for c in node.status.conditions or () if c.status == "True" and c.type in PRESSURE]
        wants |= {(PRESSURE[kind], "NoSchedule") for kind in pressed}
    return wants


def _taints(pairs: set[tuple[str, str]]) -> tuple[Taint, ...]:
    return tuple(Taint(key=key, effect=effect) for key, effect in sorted(pairs, reverse=True))
