"""The scheduling queue: which pod is tried next, and which wait for what.

A waiting pod is in exactly one of three places:

    active         to be tried now: the highest priority first, then who came first
    backing off    tried a moment ago; becomes active when its back-off (1 s doubling to 10 s) is over
    unschedulable  no node took it; waits for news that could help with what refused it

Nothing waits behind an unschedulable pod. News that came while a pod was being tried counts for it too: the news may
not have been in the table yet. A pod that nothing woke for five minutes is tried again. Time is a parameter; the
queue is not thread-safe, the scheduler holds its lock. After pkg/scheduler/backend/queue/scheduling_queue.go.
"""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass
from enum import Enum

from controlplane.scheduler.demand import Demand

BACKOFF_FIRST_S = 1.0
BACKOFF_MAX_S = 10.0
FORGOTTEN_S = 300.0


class News(Enum):
    """What changed in the cluster, and the filters that it can change the answer of."""

    NODE_CHANGED = frozenset({"node-ready", "taints", "node-selector", "host-ports", "resources"})
    POD_GONE = frozenset({"host-ports", "resources"})


@dataclass
class Waiting:
    """A pod without a node, wherever it waits."""

    demand: Demand
    order: int
    """Who came first."""
    attempts: int = 0
    tried_at: float = 0.0
    trying: bool = False
    ticket: int = 0
    """Only the heap entry with this number counts; older ones are left overs."""
    refused_by: frozenset[str] = frozenset()
    missed: frozenset[str] = frozenset()
    """What news that came while it was being tried could have helped with."""

    def backoff_until(self) -> float:
        """When it may be tried again."""
        if self.attempts == 0:
            return 0.0
        return self.tried_at + min(BACKOFF_FIRST_S * 2.0 ** (self.attempts - 1), BACKOFF_MAX_S)


class SchedulingQueue:
    """Pods without a node, by uid."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._pods: dict[str, Waiting] = {}
        self._active: list[tuple[int, int, int, str]] = []
        self._backing_off: list[tuple[float, int, str]] = []
        self._unschedulable: dict[str, Waiting] = {}

    def __len__(self) -> int:
        return len(self._pods)

    def __contains__(self, uid: str) -> bool:
        return uid in self._pods

    def add(self, demand: Demand, now: float) -> None:
        """A pod that wants a node. A changed demand makes it worth another try."""
        known = self._pods.get(demand.uid)
        if known is None:
            waiting = Waiting(demand, next(self._numbers))
            self._pods[demand.uid] = waiting
            self._activate(waiting)
        elif known.demand != demand:
            known.demand = demand
            if known.trying:
                known.missed |= News.NODE_CHANGED.value
            elif self._unschedulable.pop(demand.uid, None):
                self._requeue(known, now)

    def remove(self, uid: str) -> None:
        """The pod has a node, or is gone."""
        self._pods.pop(uid, None)
        self._unschedulable.pop(uid, None)

    def pop(self, now: float) -> Demand | None:
        """The next pod to try; it stays known until `remove`, `refused` or `failed`."""
        self._mature(now)
        while self._active:
            _, _, ticket, uid = heapq.heappop(self._active)
            waiting = self._pods.get(uid)
            if waiting is None or waiting.ticket != ticket:
                continue
            waiting.trying, waiting.missed = True, frozenset()
            waiting.attempts += 1
            waiting.tried_at = now
            return waiting.demand
        return None

    def refused(self, uid: str, by: frozenset[str], now: float) -> None:
        """No node took it; `by` are the filters that refused."""
        waiting = self._pods.get(uid)
        if waiting is None:
            return
        waiting.trying, waiting.refused_by = False, by
        if waiting.missed & by:
            self._requeue(waiting, now)
        else:
            self._unschedulable[uid] = waiting

    def failed(self, uid: str, now: float) -> None:
        """It had a node, but could not be bound to it: again after its back-off."""
        waiting = self._pods.get(uid)
        if waiting is not None:
            waiting.trying = False
            self._unschedulable.pop(uid, None)
            self._requeue(waiting, now)

    def tell(self, news: News, now: float) -> int:
        """Wakes the pods that the news could help; how many."""
        helped = [w for w in self._unschedulable.values() if w.refused_by & news.value]
        for waiting in helped:
            del self._unschedulable[waiting.demand.uid]
            self._requeue(waiting, now)
        for waiting in self._pods.values():
            if waiting.trying:
                waiting.missed |= news.value
        return len(helped)

    def next_due(self) -> float | None:
        """When `pop` may have something by time alone; 0.0 when it has something now."""
        if self._active:
            return 0.0
        dues = [w.tried_at + FORGOTTEN_S for w in self._unschedulable.values()]
        if self._backing_off:
            dues.append(self._backing_off[0][0])
        return min(dues, default=None)

    def _mature(self, now: float) -> None:
        while self._backing_off and self._backing_off[0][0] <= now:
            _, ticket, uid = heapq.heappop(self._backing_off)
            waiting = self._pods.get(uid)
            if waiting is not None and waiting.ticket == ticket:
                self._activate(waiting)
        for uid in [u for u, w in self._unschedulable.items() if w.tried_at + FORGOTTEN_S <= now]:
            self._activate(self._unschedulable.pop(uid))

    def _requeue(self, waiting: Waiting, now: float) -> None:
        until = waiting.backoff_until()
        if until <= now:
            self._activate(waiting)
        else:
            waiting.ticket = next(self._numbers)
            heapq.heappush(self._backing_off, (until, waiting.ticket, waiting.demand.uid))

    def _activate(self, waiting: Waiting) -> None:
        waiting.ticket = next(self._numbers)
        entry = (-waiting.demand.priority, waiting.order, waiting.ticket, waiting.demand.uid)
        heapq.heappush(self._active, entry)
