"""The agent's loop: observe → plan → apply → report, for one pod at a time and never for one pod twice at once.

Wake-ups come from the API (informer), the runtime (events), images, probes, timers, and a slow resync; all of them
only enqueue the pod's uid. Nothing is done before both the runtime was listed and the API's list is in. What must
hold: a container whose pod the API doesn't know is removed only after a fresh list that is no older than anything
this node has seen has confirmed it; a fenced node starts nothing.

Built and started by `main.py`. Follows pkg/kubelet/pod_workers.go and pkg/kubelet/kubelet.go (SyncPod).
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from controlplane.api.errors import ApiError
from controlplane.client import Client, Informer, Key, WorkQueue, run_controller
from controlplane.daemon import event
from nodeagent import messages, podevents
from nodeagent.apply import Executor, Halted, Tools
from nodeagent.freshness import Freshness
from nodeagent.images import ImageManager
from nodeagent.plan import Action, FinishDeletion, Observed, Plan, RemoveContainers, plan
from nodeagent.pods import PODS, ApiPod, Pod, decode
from nodeagent.probes import ProbeManager
from nodeagent.report import status_patch
from nodeagent.runtime.base import RuntimeFailure
from nodeagent.status import Facts, pod_status

log = logging.getLogger(__name__)

_PASSES_MAX = 6
_NOT_NOW_S = 0.25
_FROZEN_S = 5.0
_RESYNC_S = 60.0
_RUNTIME_RESYNC_TURNS = 5


@dataclass(frozen=True)
class Parts:
    """What the agent works with; built by `main.py`."""

    client: Client
    pods: Informer[ApiPod]
    queue: WorkQueue
    tools: Tools
    probes: ProbeManager
    freshness: Freshness
    told: podevents.PodEventRecorder
    may_start: Callable[[], bool]
    fenced: Callable[[], bool]


def key_of(uid: str) -> Key:
    """Pods are queued by uid: a name may come back as another pod while the first one's containers still stop."""
    return ("pod", uid)


class Agent:
    """Reconciles pods until stopped."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._store = parts.tools.store
        self._images: ImageManager = parts.tools.images
        self._executor = Executor(parts.tools, self._finish, parts.may_start)
        self._newest: dict[str, ApiPod] = {}
        self._frozen = False
        self._accepted = False
        self._stopping = threading.Event()
        self._listed = threading.Event()
        parts.pods.add_indexer("uid", lambda pod: [pod.metadata.uid])
        parts.pods.add_handler(self._on_pod)

    # --- life ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the workers; they wait for the first listings."""
        run_controller("pods", self._parts.queue, self.reconcile, workers=self._parts.tools.config.workers)
        threading.Thread(target=self._resync, name="resync", daemon=True).start()

    def stop(self) -> None:
        self._stopping.set()
        self._parts.queue.shut_down()
        self._parts.freshness.save()

    def runtime_listed(self) -> None:
        """The runtime's containers are in the store for the first time (or again)."""
        self._listed.set()

    def wait_listed(self, timeout_s: float) -> bool:
        return self._listed.wait(timeout_s)

    def enqueue(self, uid: str) -> None:
        self._parts.queue.add(key_of(uid))

    def enqueue_all(self) -> None:
        """Look at everything: pods of the API, containers of the runtime, folders of pods."""
        uids = {pod.metadata.uid for pod in self._parts.pods.items()}
        for uid in uids | self._store.pod_uids() | self._executor.uids_with_files():
            self.enqueue(uid)

    def _on_pod(self, old: ApiPod | None, new: ApiPod | None) -> None:
        for uid in {pod.metadata.uid for pod in (old, new) if pod is not None}:
            self.enqueue(uid)

    def _resync(self) -> None:
        self._parts.pods.synced()
        self._listed.wait()
        self.enqueue_all()
        for turn in itertools.count(1):
            if self._stopping.wait(_RESYNC_S):
                return
            if turn % _RUNTIME_RESYNC_TURNS == 0:
                with contextlib.suppress(RuntimeFailure):  # it is away; everything is listed when it is back
                    self._store.resync()
            self.enqueue_all()

    # --- one pod -------------------------------------------------------------------------------------------------

    def reconcile(self, key: Key) -> float | None:
        """Bring one pod a step further; seconds until it wants to be looked at again.

        Raises: ApiError: the queue retries.
        """
        uid = key[1]
        if not (self._listed.is_set() and self._parts.pods.has_synced) or self._parts.fenced():
            return _NOT_NOW_S
        if not self._informer_is_fresh():
            return _FROZEN_S
        pod = self._pod(uid)
        if pod is None:
            return self._reconcile_gone(uid)
        try:
            result = self._advance(uid, pod)
        except Halted:
            return _NOT_NOW_S
        except (RuntimeFailure, OSError) as failure:
            self._report(pod, self._plan(uid, pod))
            raise ApiError.internal(f"{pod.namespace}/{pod.name}: {failure}") from failure
        if result is None:
            return None
        self._probe(pod)
        self._report(pod, result)
        return self._wake_in_s(result)

    def _pod(self, uid: str) -> Pod | None:
        """The newest state known: the informer's, or the answer to our own last patch."""
        found = self._parts.pods.index("uid", uid)
        if not found:
            self._newest.pop(uid, None)
            return None
        newest = self._newest.get(uid)
        if newest is not None and _revision(newest) > _revision(found[0]):
            return decode(newest)
        self._newest.pop(uid, None)
        return decode(found[0])

    def _advance(self, uid: str, pod: Pod) -> Plan | None:
        """Plan and apply until nothing is left to do; the last plan, or None when the pod is finished with."""
        for number in range(_PASSES_MAX):
            result = self._plan(uid, pod)
            self._parts.told.waiting(pod, result.waiting)
            if not result.actions:
                return result
            if number == 0 and not pod.status.container_statuses and not pod.terminating:
                self._report(pod, result)  # people see ContainerCreating, as from a kubelet, and not just Pending
            if pod.terminating and any(isinstance(a, RemoveContainers) for a in result.actions):
                self._report(pod, result)  # how it ended, before what would show it is removed
            for action in result.actions:
                self._executor.apply(action, uid, pod)
                if isinstance(action, FinishDeletion):
                    self._forget(uid)
                    return None
        return self._plan(uid, pod)

    def _plan(self, uid: str, pod: Pod | None) -> Plan:
        containers = self._store.of_pod(uid)
        images = {}
        if pod is not None and not pod.finished and not pod.terminating:
            for spec in pod.spec.containers:
                if not any(c.running and c.container == spec.name for c in containers):
                    attempt = self._executor.next_attempt(pod, spec.name)
                    images[spec.name] = self._images.state(pod, spec, attempt)
        observed = Observed(
            containers=containers,
            stops=self._store.stops(),
            unhealthy=self._parts.probes.unhealthy(),
            images=images,
            has_files=self._executor.has_files(uid),
        )
        return plan(pod, observed, self._parts.tools.clock.monotonic())

    def _wake_in_s(self, result: Plan) -> float | None:
        if result.wake_at is None:
            return None
        return max(0.01, result.wake_at - self._parts.tools.clock.monotonic())

    def _probe(self, pod: Pod) -> None:
        containers = self._store.of_pod(pod.uid)
        sandbox = next((c for c in containers if c.is_sandbox and c.running), None)
        stops = self._store.stops()
        running = [c for c in containers if c.running and not c.is_sandbox and c.id not in stops]
        self._parts.probes.sync(pod, running, sandbox.ip if sandbox else "")

    # --- reporting -----------------------------------------------------------------------------------------------

    def _report(self, pod: Pod, result: Plan) -> None:
        """Tell the API what differs from what it knows."""
        tools = self._parts.tools
        containers = self._store.of_pod(pod.uid)
        facts = Facts(
            containers=containers,
            waiting=result.waiting,
            health=self._parts.probes.health(),
            host_ip=tools.config.node_address,
            messages=messages.termination(pod, containers, tools.files, tools.runtime),
        )
        patch = status_patch(pod, pod_status(pod, facts, tools.clock.now()))
        if patch is None:
            return
        try:
            key = (pod.namespace, pod.name)
            self._newest[pod.uid] = self._parts.client.patch(PODS, key, patch, kind="strategic", subresource="status")
        except ApiError as error:
            if error.code != 404:
                raise

    def _finish(self, pod: Pod) -> None:
        """Take a deleted pod out of the API, now that nothing of it is left here."""
        try:
            self._parts.client.delete(PODS, (pod.namespace, pod.name), uid=pod.uid, grace_period_s=0)
        except ApiError as error:
            if error.code not in (404, 409):
                raise

    def _forget(self, uid: str) -> None:
        self._newest.pop(uid, None)
        self._parts.probes.forget(uid)
        self._parts.told.forget(uid)

    # --- pods that the API doesn't know ----------------------------------------------------------------------------

    def _reconcile_gone(self, uid: str) -> float | None:
        """Containers or folders without a pod here: remove them, if the API really says so."""
        if not self._store.of_pod(uid) and not self._executor.has_files(uid):
            self._forget(uid)
            return None
        if not self._confirmed_gone(uid):
            return _FROZEN_S if self._frozen else _NOT_NOW_S
        for _ in range(_PASSES_MAX):
            result = self._plan(uid, None)
            if not result.actions:
                break
            for action in result.actions:
                self._apply_gone(action, uid)
        self._parts.probes.forget(uid)
        return self._wake_in_s(result)

    def _apply_gone(self, action: Action, uid: str) -> None:
        try:
            self._executor.apply(action, uid, None)
        except (RuntimeFailure, OSError) as failure:
            raise ApiError.internal(f"orphan {uid}: {failure}") from failure

    def _confirmed_gone(self, uid: str) -> bool:
        """Ask the API afresh: the informer may be in the middle of a list from a store that lost its data."""
        selector = f"spec.nodeName={self._parts.tools.config.node_name}"
        listing = self._parts.client.list(PODS, field_selector=selector)
        if not self._is_fresh(listing.resource_version):
            return False
        return all(pod.metadata.uid != uid for pod in listing.items)

    def _informer_is_fresh(self) -> bool:
        """Whether the informer's first list was no older than what this node has seen.

        After that it never goes back by itself. Its revision is that of this node's own last change: it lies behind
        the revision of any later list, and that means nothing.
        """
        version = self._parts.pods.resource_version
        if self._accepted:
            self._parts.freshness.fresh(version)  # to be remembered
        else:
            self._accepted = self._is_fresh(version)
        return self._accepted

    def _is_fresh(self, resource_version: str) -> bool:
        fresh = self._parts.freshness.fresh(resource_version)
        if not fresh and not self._frozen:
            message = (
                f"the API's state (revision {resource_version}) is older than what this node has seen "
                f"({self._parts.freshness.highest}): nothing is started, stopped or removed"
            )
            event(log, "frozen", level=logging.WARNING, reason=message)
            self._parts.told.about_node("Warning", "Frozen", message)
        elif fresh and self._frozen:
            event(log, "thawed", revision=resource_version)
        self._frozen = not fresh
        return fresh


def _revision(pod: ApiPod) -> int:
    text = pod.metadata.resource_version
    return int(text) if text.isdigit() else 0
