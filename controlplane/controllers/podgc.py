"""Deletes pods that nobody else will: of nodes that are gone, and finished ones beyond a number.

A pod of a node that isn't there is deleted for good once the node has been away for a while, and the API confirms it.
Finished pods are kept for people to look at, the oldest go first when there are too many.
After pkg/controller/podgc/gc_controller.go.
"""

from __future__ import annotations

import logging

from controlplane.api.errors import ApiError
from controlplane.api.resources import NODES, PODS
from controlplane.api.types import Node, Pod
from controlplane.client.workqueue import Key
from controlplane.controllers.environment import BY_NODE, Environment, QueueController
from controlplane.daemon import event

log = logging.getLogger(__name__)

FINISHED_KEPT = 12_500
QUARANTINE_S = 40.0
FINISHED: Key = ("finished", "")
"""The queue's other keys are ("node", NAME)."""


class PodGarbage(QueueController):
    """The controller of pods that nobody else would delete."""

    name = "podgc"

    def __init__(self, env: Environment, finished_kept: int = FINISHED_KEPT) -> None:
        super().__init__(env)
        self._kept = finished_kept
        self._quarantine_s = min(QUARANTINE_S, 2 * env.profile.node_unknown_s)
        self._pods = env.informers.of(PODS)
        self._nodes = env.informers.of(NODES)
        self._finished = 0
        self._pods.add_handler(self._pod_changed)
        self._nodes.add_handler(self._node_changed)

    def _node_changed(self, _old: Node | None, new: Node | None) -> None:
        if new is None and _old is not None:
            self.queue.add_after(("node", _old.metadata.name), self._quarantine_s)

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        before, after = old is not None and old.finished, new is not None and new.finished
        self._finished += after - before
        if self._finished > self._kept:
            self.queue.add(FINISHED)
        if new is not None and new.spec.node_name and (old is None or not old.spec.node_name):
            if self._nodes.has_synced and self._nodes.get(("", new.spec.node_name)) is not None:
                return
            self.queue.add_after(("node", new.spec.node_name), self._quarantine_s)

    def reconcile(self, key: Key) -> float | None:
        if key == FINISHED:
            self._thin_out()
        elif self._nodes.get(("", key[1])) is None and not self._exists(key[1]):
            for pod in self._pods.index(BY_NODE, key[1]):
                event(log, "collect-pod", key="/".join(pod.key), why=f"node {key[1]} does not exist")
                self.env.delete(PODS, pod, grace_period_s=0)
        return None

    def _exists(self, node: str) -> bool:
        try:
            self.env.client.get(NODES, node)
        except ApiError as error:
            if error.code != 404:
                raise
            return False
        return True

    def _thin_out(self) -> None:
        finished = [pod for pod in self._pods.items() if pod.finished and not pod.terminating]
        surplus = len(finished) - self._kept
        oldest = sorted(finished, key=lambda p: (p.metadata.creation_timestamp is not None, _created(p), p.key))
        for pod in oldest[: max(0, surplus)]:
            event(log, "collect-pod", key="/".join(pod.key), why=f"more than {self._kept} finished pods")
            self.env.delete(PODS, pod, grace_period_s=0)


def _created(pod: Pod) -> float:
    created = pod.metadata.creation_timestamp
    return created.timestamp() if created else 0.0
