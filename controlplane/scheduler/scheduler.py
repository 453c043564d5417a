"""The scheduler: keeps the node table and the queue in step with the API, and runs cycle after cycle.

    informers ──▶ table, queue ──▶ choose (pure) ──▶ assume in the table ──▶ bind in another thread
                      ▲                                                        │ failed: forget, back off
                      └────────────────────────────────────────────────────────┘

What always holds: a pod is counted in the table from the moment it is chosen until the API says that it is gone or
finished, or the API says that the binding did not happen; so no later cycle can give its room away twice. One lock
guards table and queue; nothing slow is done under it. Pods of another `schedulerName` are only counted.
After pkg/scheduler/scheduler.go, eventhandlers.go and schedule_one.go.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from controlplane.api.errors import ApiError
from controlplane.api.quantity import QuantityError
from controlplane.api.types import Node, Pod
from controlplane.client import Clock, Informer
from controlplane.daemon import event
from controlplane.scheduler.binder import Binder, Outcome
from controlplane.scheduler.cycle import Placement, Unfit, choose
from controlplane.scheduler.demand import Demand, demand_of
from controlplane.scheduler.queue import News, SchedulingQueue
from controlplane.scheduler.table import NodeTable, facts_of

log = logging.getLogger(__name__)

NAME = "default-scheduler"


class Scheduler:
    """One scheduling thread over shared informers of pods and nodes."""

    def __init__(
        self, pods: Informer[Pod], nodes: Informer[Node], binder: Binder, clock: Clock, on_stale: Callable[[], None]
    ) -> None:
        self._pods = pods
        self._nodes = nodes
        self._binder = binder
        self._clock = clock
        self._on_stale = on_stale
        self._changed = threading.Condition()
        self._table = NodeTable()
        self._queue = SchedulingQueue()
        self._told: dict[str, str] = {}
        """uid → the refusal that its condition tells, so that the same one is not written again."""
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="scheduler", daemon=True)
        nodes.add_handler(self._node_changed)
        pods.add_handler(self._pod_changed)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends the cycle; bindings under way are finished."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout=5)
        self._binder.pool.shutdown(wait=False, cancel_futures=True)

    # --- what the informers say ---------------------------------------------------------------------------------

    def _node_changed(self, old: Node | None, new: Node | None) -> None:
        with self._changed:
            if new is None:
                if old is not None:
                    self._table.remove_node(old.metadata.name)
            elif self._table.set_node(facts_of(new)):
                self._queue.tell(News.NODE_CHANGED, self._clock.monotonic())
                self._changed.notify_all()

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        with self._changed:
            if old is not None and (new is None or new.metadata.uid != old.metadata.uid):
                self._gone(old.metadata.uid)
            if new is not None:
                self._seen(new)

    def _seen(self, pod: Pod) -> None:
        uid = pod.metadata.uid
        if pod.finished:
            self._gone(uid)
            return
        try:
            demand = demand_of(pod)
        except QuantityError as error:
            event(log, "bad-pod", level=logging.WARNING, key="/".join(pod.key), error=str(error))
            return
        if pod.spec.node_name:
            self._queue.remove(uid)
            self._told.pop(uid, None)
            self._table.place(demand, pod.spec.node_name)
        elif pod.terminating:
            self._gone(uid)
        elif pod.spec.scheduler_name == NAME and self._table.node_of(uid) is None:
            self._queue.add(demand, self._clock.monotonic())
            self._changed.notify_all()

    def _gone(self, uid: str) -> None:
        self._queue.remove(uid)
        self._told.pop(uid, None)
        if self._table.remove(uid):
            self._queue.tell(News.POD_GONE, self._clock.monotonic())
            self._changed.notify_all()

    # --- the cycle ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not (self._pods.synced(1.0) and self._nodes.synced(1.0)):
            if self._stopping:
                return
        while True:
            demand = self._next()
            if demand is None:
                return
            try:
                self._decide(demand)
            except Exception:
                log.exception("scheduling %s/%s", *demand.key)
                self._failed(demand)

    def _next(self) -> Demand | None:
        """Waits for a pod to try; None when stopping."""
        with self._changed:
            while not self._stopping:
                now = self._clock.monotonic()
                demand = self._queue.pop(now)
                if demand is not None:
                    return demand
                due = self._queue.next_due()
                self._changed.wait(None if due is None else max(0.0, due - now))
            return None

    def _decide(self, demand: Demand) -> None:
        with self._changed:
            if demand.uid not in self._queue:
                return
            decision = choose(demand, self._table)
            if isinstance(decision, Placement):
                self._table.place(demand, decision.node)
                self._binder.pool.submit(self._bind, demand, decision)
                return
            self._queue.refused(demand.uid, decision.filters, self._clock.monotonic())
            message = decision.message()
            if self._told.get(demand.uid) == message:
                return
            self._told[demand.uid] = message
        self._binder.pool.submit(self._explain, demand, decision)

    def _explain(self, demand: Demand, unfit: Unfit) -> None:
        self._guard(demand, lambda: self._binder.explain(demand, unfit))

    def _bind(self, demand: Demand, placement: Placement) -> None:
        def act() -> None:
            outcome = self._binder.bind(demand, placement)
            if outcome is not Outcome.BOUND:
                self._undo(demand, placement)

        self._guard(demand, act)

    def _undo(self, demand: Demand, placement: Placement) -> None:
        """Forgets what was assumed, unless the informer has confirmed it meanwhile."""
        with self._changed:
            pod = self._pods.get(demand.key)
            confirmed = pod is not None and pod.metadata.uid == demand.uid and pod.spec.node_name
            if not confirmed and self._table.node_of(demand.uid) == placement.node:
                self._table.remove(demand.uid)
                self._queue.tell(News.POD_GONE, self._clock.monotonic())
            if not confirmed:
                self._queue.failed(demand.uid, self._clock.monotonic())
            self._changed.notify_all()

    def _guard(self, demand: Demand, act: Callable[[], None]) -> None:
        """Runs an effect in a pool thread: a stale leader ends, anything else is tried again."""
        try:
            act()
        except ApiError as error:
            if error.reason == "StaleTerm":
                self._on_stale()
                return
            event(log, "effect-failed", level=logging.WARNING, key="/".join(demand.key), error=error.message)
            self._failed(demand)
        except Exception:
            log.exception("effect for %s/%s", *demand.key)
            self._failed(demand)

    def _failed(self, demand: Demand) -> None:
        with self._changed:
            self._told.pop(demand.uid, None)
            self._queue.failed(demand.uid, self._clock.monotonic())
            self._changed.notify_all()
