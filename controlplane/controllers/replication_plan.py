"""How many pods a ReplicationController lacks or has too many, which go first, and what its status says. Pure.

Pods that are finished or terminating don't count: their replacements may run beside them. On the way down those go
first that cost least: without a node, pending, not ready, doubled up on a node, ready for less long, restarted more
often, newer. After pkg/controller/replication, pkg/controller/replicaset/replica_set.go and
pkg/controller/controller_utils.go (ActivePodsWithRanks).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from controlplane.api import conditions
from controlplane.api.types import Pod, ReplicationController

FAILURE = "ReplicaFailure"
BURST = 500
"""No pass creates or deletes more pods than this."""


@dataclass(frozen=True)
class Plan:
    """What to do; at most one of `create` and `delete` is not empty."""

    adopt: tuple[Pod, ...] = ()
    release: tuple[Pod, ...] = ()
    create: int = 0
    delete: tuple[Pod, ...] = ()


@dataclass(frozen=True)
class Failure:
    """Why pods could not be created or deleted, for the condition."""

    reason: str
    message: str


def matches(selector: dict[str, str] | None, labels: dict[str, str] | None) -> bool:
    """Whether labels fit a selector of equalities; an empty selector fits nothing."""
    if not selector:
        return False
    has = labels or {}
    return all(has.get(key) == value for key, value in selector.items())


def active(pods: Iterable[Pod]) -> list[Pod]:
    """Those that run or will run."""
    return [pod for pod in pods if not pod.finished and not pod.terminating]


def owned(rc: ReplicationController, pods: Iterable[Pod]) -> list[Pod]:
    """The active pods that count for this controller: its own that match, and orphans that it may adopt."""
    return [pod for pod in active(pods) if _claim(rc, pod) in ("own", "adopt")]


def plan(rc: ReplicationController, pods: Sequence[Pod], may_scale: bool) -> Plan:
    """What brings the pods of the namespace in line; `may_scale` is false while the cache lags behind our writes."""
    claims = [(pod, _claim(rc, pod)) for pod in active(pods)]
    adopt = tuple(pod for pod, claim in claims if claim == "adopt")
    release = tuple(pod for pod, claim in claims if claim == "release")
    mine = [pod for pod, claim in claims if claim in ("own", "adopt")]
    if rc.metadata.deletion_timestamp is not None or not may_scale:
        return Plan(adopt, release)
    surplus = len(mine) - rc.spec.replicas
    if surplus < 0:
        return Plan(adopt, release, create=min(-surplus, BURST))
    if surplus > 0:
        return Plan(adopt, release, delete=tuple(deletion_order(mine)[: min(surplus, BURST)]))
    return Plan(adopt, release)


def _claim(rc: ReplicationController, pod: Pod) -> str:
    controller = pod.metadata.controller()
    fits = matches(rc.spec.selector, pod.metadata.labels)
    dying = rc.metadata.deletion_timestamp is not None
    if controller is not None:
        if controller.uid != rc.metadata.uid:
            return "other"
        return "own" if fits else ("other" if dying else "release")
    return "adopt" if fits and not dying else "other"


def deletion_order(pods: Sequence[Pod]) -> list[Pod]:
    """The pods, those to delete first in front; the same input gives the same order."""
    on_node = Counter(pod.spec.node_name for pod in pods if pod.spec.node_name)
    phases = {"Pending": 0, "Unknown": 1, "Running": 2}

    def rank(pod: Pod) -> tuple[Any, ...]:
        cost = (pod.metadata.annotations or {}).get("controller.kubernetes.io/pod-deletion-cost", "0")
        return (
            bool(pod.spec.node_name),
            phases.get(pod.status.phase or "Pending", 2),
            pod.ready,
            int(cost) if cost.lstrip("+-").isdigit() else 0,
            -on_node[pod.spec.node_name],
            -_seconds(ready_since(pod)),
            -sum(status.restart_count for status in pod.status.container_statuses or ()),
            -_seconds(pod.metadata.creation_timestamp),
            pod.metadata.name,
        )

    return sorted(pods, key=rank)


def ready_since(pod: Pod) -> datetime | None:
    """When the pod became ready, if it is."""
    ready = conditions.find(pod.status.conditions, "Ready")
    return ready.last_transition_time if ready is not None and ready.status == "True" else None


def available(pod: Pod, min_ready_seconds: int, now: datetime) -> bool:
    """Ready for at least that long."""
    if not pod.ready:
        return False
    since = ready_since(pod)
    return min_ready_seconds == 0 or (since is not None and now - since >= timedelta(seconds=min_ready_seconds))


def next_available_s(rc: ReplicationController, pods: Sequence[Pod], now: datetime) -> float | None:
    """Seconds until the next ready pod has been ready for long enough."""
    wait = timedelta(seconds=rc.spec.min_ready_seconds)
    times = [ready_since(pod) for pod in owned(rc, pods) if not available(pod, rc.spec.min_ready_seconds, now)]
    left = [(since + wait - now).total_seconds() for since in times if since is not None]
    return max(0.0, min(left)) if left else None


def status(rc: ReplicationController, pods: Sequence[Pod], failure: Failure | None, now: datetime) -> dict[str, Any]:
    """The status that the pods justify, as it goes over the wire."""
    mine = owned(rc, pods)
    labels = rc.spec.template.metadata.labels if rc.spec.template else None
    counted: dict[str, Any] = {
        "replicas": len(mine),
        "fullyLabeledReplicas": sum(matches(labels, pod.metadata.labels) for pod in mine),
        "readyReplicas": sum(pod.ready for pod in mine),
        "availableReplicas": sum(available(pod, rc.spec.min_ready_seconds, now) for pod in mine),
        "observedGeneration": rc.metadata.generation,
        "conditions": None,
    }
    if failure is not None:
        old = conditions.find(rc.status.conditions, FAILURE)
        counted["conditions"] = [
            conditions.wire(FAILURE, "True", now, reason=failure.reason, message=failure.message, old=old)
        ]
    return counted


def status_differs(rc: ReplicationController, wanted: dict[str, Any]) -> bool:
    """Whether the object's status has to be written."""
    has = rc.status
    told = [(c.type, c.reason, c.message) for c in has.conditions or ()]
    return (
        has.replicas != wanted["replicas"]
        or has.fully_labeled_replicas != wanted["fullyLabeledReplicas"]
        or has.ready_replicas != wanted["readyReplicas"]
        or has.available_replicas != wanted["availableReplicas"]
        or has.observed_generation != wanted["observedGeneration"]
        or told != [(c["type"], c["reason"], c["message"]) for c in wanted["conditions"] or ()]
    )


def _seconds(moment: datetime | None) -> float:
    return moment.timestamp() if moment is not None else 0.0
