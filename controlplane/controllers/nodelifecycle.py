"""Watches the nodes' leases and acts on silence: Unknown, taints, pods not ready, evictions. Effects only.

What to do is decided by `nodelifecycle_plan` and `eviction_plan`; here is one thread that wakes when a timer runs out
or something it depends on changes, plans, and applies. Renewals (one a second and node) only move a number. Every
step is written as an event that names its figures. Applying is repeated until the cache shows it, so an interruption
at any step is made good by the next pass. After pkg/controller/nodelifecycle and pkg/controller/tainteviction.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from controlplane.api import conditions
from controlplane.api.errors import ApiError
from controlplane.api.resources import LEASES, NODES, PODS
from controlplane.api.types import Lease, Node, Object, Pod, Taint
from controlplane.controllers import eviction_plan, nodelifecycle_plan
from controlplane.controllers.environment import BY_NODE, Environment
from controlplane.controllers.eviction_plan import Eviction, Situation, TaintTimes
from controlplane.controllers.heartbeats import Heartbeats
from controlplane.controllers.nodelifecycle_plan import NodeAction, Verdict
from controlplane.daemon import event

log = logging.getLogger(__name__)

NODE_LEASES = "kube-node-lease"
RETRY_S = 0.2
"""After a write that failed."""
SETTLE_S = 1.0
"""A write is repeated when the cache doesn't show it after this long."""


class NodeLifecycle:
    """The controller of nodes' health and of what it means for their pods."""

    def __init__(self, env: Environment) -> None:
        self.env = env
        self._nodes = env.informers.of(NODES)
        self._pods = env.informers.of(PODS)
        leases = env.informers.of(LEASES)
        self._node_events = env.recorder("node-controller")
        self._taint_events = env.recorder("taint-eviction-controller")
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = False
        self._beats: Heartbeats | None = None
        self._taints_seen = TaintTimes()
        self._tainted: frozenset[str] = frozenset()
        self._verdicts: dict[str, Verdict] = {}
        self._allowed = True
        self._resumed_at = float("-inf")
        self._written: dict[tuple[str, str, str], float] = {}
        self._pool = ThreadPoolExecutor(4, thread_name_prefix="evict")
        """Its own, so that no burst of other writes delays a failover."""
        self._thread = threading.Thread(target=self._run, name="nodelifecycle", daemon=True)
        leases.add_handler(self._lease_changed)
        self._nodes.add_handler(self._node_changed)
        self._pods.add_handler(self._pod_changed)

    def start(self) -> None:
        now = self.env.clock.monotonic()
        with self._lock:
            self._beats = Heartbeats(self.env.profile, now, cold=self.env.cold)
            for node in self._nodes.items():
                self._beats.appeared(node.metadata.name, now)
        event(log, "node-timers-start", cold=self.env.cold)
        self._thread.start()

    def stop(self) -> None:
        self._stopping = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)
        self._pool.shutdown(wait=False, cancel_futures=True)

    # --- handlers -----------------------------------------------------------------------------------------------

    def _lease_changed(self, old: Lease | None, new: Lease | None) -> None:
        if new is None or new.metadata.namespace != NODE_LEASES:
            return
        if old is not None and old.metadata.resource_version == new.metadata.resource_version:
            return
        with self._lock:
            if self._beats is None:
                return
            restarted = self._beats.renewed(new.metadata.name, self.env.clock.monotonic())
        if restarted:
            event(log, "node-timers-restart", why="no node renewed for a while: the fault was on our side")
            self._wake.set()

    def _node_changed(self, old: Node | None, new: Node | None) -> None:
        with self._lock:
            if self._beats is not None:
                if new is not None:
                    self._beats.appeared(new.metadata.name, self.env.clock.monotonic())
                elif old is not None:
                    self._beats.forget(old.metadata.name)
        self._wake.set()

    def _pod_changed(self, _old: Pod | None, new: Pod | None) -> None:
        if new is not None and new.spec.node_name in self._tainted:
            self._wake.set()

    # --- the loop -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            try:
                wait_s = self._pass()
            except ApiError as error:
                if error.reason == "StaleTerm":
                    self.env.on_stale()
                    return
                event(log, "node-pass-failed", level=logging.WARNING, error=error.message)
                wait_s = RETRY_S
            except Exception:
                log.exception("node lifecycle")
                wait_s = RETRY_S
            self._wake.wait(wait_s)

    def _pass(self) -> float | None:
        """Plans and applies once; seconds until the next pass is due by time alone."""
        nodes = self._nodes.items()
        with self._lock:
            beats = self._beats
            if beats is None:
                return None
            now = self.env.clock.monotonic()
            plan = nodelifecycle_plan.plan(nodes, beats, self.env.profile, now)
            self._judge_mass_failure(nodes, plan.verdicts, now)
            self._taints_seen.update(nodes, now)
            silence = {n.metadata.name: beats.heard_s_ago(n.metadata.name, now) for n in nodes}
            situation = Situation(
                self.env.profile, beats, plan.verdicts, self._taints_seen, self._allowed, self._resumed_at,
                sum(not node.control_plane for node in nodes),
            )  # fmt: skip
            evictions = eviction_plan.plan(nodes, self._pods_of, situation, now)
        self._tainted = frozenset(n.metadata.name for n in nodes if eviction_plan.no_execute(n))
        failed = self._each(plan.actions, lambda action: self._mark_unknown(action, silence))
        failed |= self._each(plan.actions, self._taint)
        lost = [name for name, verdict in plan.verdicts.items() if verdict is Verdict.LOST]
        failed |= self._pods_not_ready(lost)
        failed |= not all(self._pool.map(self._evict, evictions.evictions))
        self._verdicts = dict(plan.verdicts)
        self._written = {what: at for what, at in self._written.items() if now - at < SETTLE_S}
        dues = [due - self.env.clock.monotonic() for due in (plan.next_due, evictions.next_due) if due is not None]
        if failed:
            dues.append(RETRY_S)
        if plan.actions or evictions.evictions:
            dues.append(SETTLE_S)
        return max(0.0, min(dues)) if dues else None

    def _each(self, actions: Iterable[NodeAction], apply: Callable[[NodeAction], None]) -> bool:
        """Applies to each node, so that one that fails doesn't hold up the others; whether any failed."""
        failed = False
        for action in actions:
            try:
                apply(action)
            except ApiError as error:
                if error.reason == "StaleTerm":
                    raise
                failed = failed or error.code != 404
                quiet = error.reason == "Conflict"
                event(
                    log, "node-write-failed", level=logging.DEBUG if quiet else logging.WARNING,
                    key=action.node.metadata.name, error=error.message,
                )  # fmt: skip
        return failed

    def _judge_mass_failure(self, nodes: list[Node], verdicts: Any, now: float) -> None:
        allowed = nodelifecycle_plan.evictions_allowed(nodes, verdicts)
        if allowed == self._allowed:
            return
        self._allowed = allowed
        down = [n for n in nodes if verdicts[n.metadata.name] is not Verdict.READY and not n.control_plane]
        if allowed:
            self._resumed_at = now
        event(
            log, "evictions", level=logging.WARNING, action="resume" if allowed else "stop",
            down=",".join(n.metadata.name for n in down),
        )  # fmt: skip
        for node in down:
            if allowed:
                text = "Enough workers are back: pods of nodes that stay away are evicted again"
                self._node_events.event(node, "Normal", "EvictionsResumed", text)
            else:
                text = f"{len(down)} workers are down at once: no pod is evicted for it while that lasts"
                self._node_events.event(node, "Warning", "EvictionsStopped", text)

    def _pods_of(self, node: str) -> list[Pod]:
        return self._pods.index(BY_NODE, node)

    def _open(self, what: str, obj: Object) -> bool:
        """Whether this is still to be written: it wasn't yet, or the cache has not shown it for a while."""
        written = self._written.get((what, obj.metadata.uid, obj.metadata.resource_version), float("-inf"))
        return self.env.clock.monotonic() - written >= SETTLE_S

    def _done(self, what: str, obj: Object) -> None:
        self._written[what, obj.metadata.uid, obj.metadata.resource_version] = self.env.clock.monotonic()

    # --- effects on nodes ---------------------------------------------------------------------------------------

    def _mark_unknown(self, action: NodeAction, silence: dict[str, float | None]) -> None:
        node, name = action.node, action.node.metadata.name
        if not action.mark_unknown or not self._open("unknown", node):
            return
        at, message = self.env.clock.now(), "Kubelet stopped posting node status."
        unknown = [
            conditions.wire(kind, "Unknown", at, reason="NodeStatusUnknown", message=message)
            for kind in action.mark_unknown
        ]
        body = {
            "metadata": {"resourceVersion": node.metadata.resource_version},
            "status": {"conditions": unknown},
        }
        self.env.client.patch(NODES, node.key, body, kind="strategic", subresource="status")
        self._done("unknown", node)
        heard = silence.get(name)
        words = "no lease renewal was seen since this manager leads" if heard is None else (
            f"no lease renewal seen for {heard:.1f} s"
        )  # fmt: skip
        event(log, "node-unknown", level=logging.WARNING, key=name, silence_s=heard)
        self._node_events.event(node, "Normal", "NodeNotReady", f"Node {name} status is now: NodeNotReady ({words})")

    def _taint(self, action: NodeAction) -> None:
        node, name = action.node, action.node.metadata.name
        if not (action.add or action.remove) or not self._open("taints", node):
            return
        taints = self._tainted_as(node.spec.taints or [], action)
        try:
            self._write_taints(node, taints)
        except ApiError as error:
            if error.reason != "Conflict":
                raise
            live = self.env.client.get(NODES, name)  # our own status write, or the agent's, came in between
            self._write_taints(live, self._tainted_as(live.spec.taints or [], action))
        self._done("taints", node)
        event(
            log, "node-taints", key=name, verdict=action.verdict.value,
            add=[f"{t.key}:{t.effect}" for t in action.add] or None,
            remove=[f"{t.key}:{t.effect}" for t in action.remove] or None,
        )  # fmt: skip
        if action.verdict is Verdict.NOT_READY and self._verdicts.get(name) is Verdict.READY:
            text = f"Node {name} status is now: NodeNotReady (its agent says so)"
            self._node_events.event(node, "Normal", "NodeNotReady", text)

    def _tainted_as(self, taints: list[Taint], action: NodeAction) -> list[Taint]:
        remove = {(t.key, t.effect) for t in (*action.remove, *action.add)}
        at = self.env.clock.now().replace(microsecond=0)
        kept = [t for t in taints if (t.key, t.effect) not in remove]
        return kept + [Taint(key=t.key, effect=t.effect, time_added=at) for t in action.add]

    def _write_taints(self, node: Node, taints: list[Taint]) -> None:
        body = {
            "metadata": {"resourceVersion": node.metadata.resource_version},
            "spec": {"taints": taints or None},
        }
        self.env.client.patch(NODES, node.key, body)

    # --- effects on pods ----------------------------------------------------------------------------------------

    def _pods_not_ready(self, lost: Iterable[str]) -> bool:
        """Takes Ready from the pods of lost nodes; whether any write failed."""
        ready = [pod for name in lost for pod in self._pods_of(name) if pod.ready and not pod.finished]
        return not all(self._pool.map(self._pod_not_ready, [p for p in ready if self._open("not ready", p)]))

    def _pod_not_ready(self, pod: Pod) -> bool:
        message = f"node {pod.spec.node_name} does not renew its lease"
        condition = conditions.wire("Ready", "False", self.env.clock.now(), reason="NodeLost", message=message)
        body = {"metadata": {"uid": pod.metadata.uid}, "status": {"conditions": [condition]}}
        if not self._write(
            lambda: self.env.client.patch(PODS, pod.key, body, kind="strategic", subresource="status")
        ):
            return False
        self._done("not ready", pod)
        self._node_events.event(pod, "Warning", "NodeNotReady", "Node is not ready")
        return True

    def _evict(self, eviction: Eviction) -> bool:
        pod = eviction.pod
        key = "/".join(pod.key)
        if not self._open("evict", pod):
            return True
        if not pod.terminating:
            self._taint_events.event(pod, "Normal", "TaintManagerEviction", f"Marking for deletion Pod {key}")
        grace_s = 0 if eviction.dead else None
        event(log, "evict", key=key, node=pod.spec.node_name, known_dead=eviction.dead, why=eviction.why)
        uid = pod.metadata.uid
        if not self._write(lambda: self.env.client.delete(PODS, pod.key, uid=uid, grace_period_s=grace_s)):
            return False
        self._done("evict", pod)
        return True

    def _write(self, act: Callable[[], object]) -> bool:
        """One write in a pool thread; True when done or no longer needed."""
        try:
            act()
        except ApiError as error:
            if error.reason == "StaleTerm":
                self.env.on_stale()
                return True
            if error.code == 404 or error.reason == "Conflict":
                return True
            event(log, "pod-write-failed", level=logging.WARNING, error=error.message)
            return False
        return True
