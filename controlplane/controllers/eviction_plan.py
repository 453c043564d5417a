"""Which pods have to leave their node, when, and whether they are known to be dead. Pure.

A NoExecute taint evicts the pods that don't tolerate it, or once their toleration's seconds are over. Times are this
leader's own: a taint counts from when it was first seen here, the one of a lost node from when its timer ran out.

Where workers fence themselves (`replacement_s`), the pods of a lost worker are replaced not before that long after
its last renewal seen. By then its fence has stopped them: they are known dead, and are removed from the API at once.
Where they don't (the `kubernetes` profile, the master, the only worker), a pod gets only its deletionTimestamp, and
goes when its agent says so. After pkg/controller/tainteviction/taint_eviction.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf

from controlplane.api.profile import Profile
from controlplane.api.types import Node, Pod, Taint, Toleration
from controlplane.controllers.heartbeats import Heartbeats
from controlplane.controllers.nodelifecycle_plan import HEALTH_TAINTS, UNREACHABLE, Verdict


@dataclass(frozen=True)
class Eviction:
    """One pod to delete; `dead` when its node's fence has surely stopped it."""

    pod: Pod
    dead: bool
    why: str


@dataclass(frozen=True)
class Plan:
    """What to delete now, and when there may be more."""

    evictions: tuple[Eviction, ...]
    next_due: float | None


@dataclass(frozen=True)
class Situation:
    """Everything about nodes that evictions depend on."""

    profile: Profile
    beats: Heartbeats
    verdicts: Mapping[str, Verdict]
    taints_seen: TaintTimes
    allowed: bool
    """See `nodelifecycle_plan.evictions_allowed`."""
    resumed_at: float
    """When a mass failure last ended: timers of lost nodes start again there."""
    workers: int


class TaintTimes:
    """When each NoExecute taint was first seen here."""

    def __init__(self) -> None:
        self._first: dict[tuple[str, str, str], float] = {}

    def update(self, nodes: Iterable[Node], now: float) -> None:
        """Takes in the taints that there are, forgets those that are gone."""
        current = {(node.metadata.name, t.key, t.value) for node in nodes for t in no_execute(node)}
        self._first = {one: self._first.get(one, now) for one in current}

    def since(self, node: str, taint: Taint) -> float:
        return self._first[node, taint.key, taint.value]


def no_execute(node: Node) -> list[Taint]:
    """The taints that evict."""
    return [t for t in node.spec.taints or () if t.effect == "NoExecute"]


def plan(nodes: Sequence[Node], pods_of: Callable[[str], Sequence[Pod]], situation: Situation, now: float) -> Plan:
    """The evictions due at `now`; `taints_seen` must have been updated with these nodes."""
    due: list[Eviction] = []
    later = inf
    for node in sorted(nodes, key=lambda n: n.metadata.name):
        taints = no_execute(node)
        if not taints:
            continue
        dead_from = dead_after(node, situation)
        for pod in sorted(pods_of(node.metadata.name), key=lambda p: p.key):
            if pod.finished:
                continue
            at, why = _due(pod, node, taints, situation)
            if pod.terminating:  # it only waits for its agent; that is over once it is known dead
                at, why = dead_from, "its node is past its fence"
            if at <= now:
                due.append(Eviction(pod, dead_from <= now, why))
            else:
                later = min(later, at)
    return Plan(tuple(due), None if later == inf else later)


def dead_after(node: Node, situation: Situation) -> float:
    """From when the pods of this node are known to be dead; infinity when that can't be known."""
    profile, name = situation.profile, node.metadata.name
    fences = profile.fence_deadline_s is not None and not node.control_plane and situation.workers > 1
    lost = situation.verdicts.get(name) is Verdict.LOST
    if not (fences and lost and situation.allowed) or profile.replacement_s is None:
        return inf
    return max(situation.beats.since(name), situation.resumed_at) + profile.replacement_s


def _due(pod: Pod, node: Node, taints: Sequence[Taint], situation: Situation) -> tuple[float, str]:
    """When the pod has to go, and for which taint."""
    earliest, why = inf, ""
    for taint in taints:
        tolerated_s = tolerated_for_s(pod.spec.tolerations or (), taint)
        at = _from(node, taint, situation) + tolerated_s
        if taint.key == UNREACHABLE and tolerated_s < inf:
            at = max(at, _not_before(node, situation))
        if at < earliest:
            earliest, why = at, f"taint {taint.key} is tolerated for {tolerated_s:g} s"
    return earliest, why


def _from(node: Node, taint: Taint, situation: Situation) -> float:
    """From when the taint counts."""
    name = node.metadata.name
    if taint.key not in HEALTH_TAINTS:
        return situation.taints_seen.since(name, taint)
    if not situation.allowed:
        return inf
    start = situation.taints_seen.since(name, taint)
    if taint.key == UNREACHABLE:
        start = situation.beats.since(name) + situation.profile.node_unknown_s
    return max(start, situation.resumed_at)


def _not_before(node: Node, situation: Situation) -> float:
    """The earliest replacement of a lost node's pods."""
    since = max(situation.beats.since(node.metadata.name), situation.resumed_at)
    return since + (situation.profile.replacement_s or 0.0)


def tolerated_for_s(tolerations: Iterable[Toleration], taint: Taint) -> float:
    """How long the pod may stay: 0 when it doesn't tolerate the taint, infinity when it does for ever."""
    matching = [t.toleration_seconds for t in tolerations if t.tolerates(taint)]
    if not matching:
        return 0.0
    limits = [max(0, seconds) for seconds in matching if seconds is not None]
    return float(min(limits)) if limits else inf
