"""Keeps as many pods running as each ReplicationController asks for: the effects around `replication_plan`.

Creation starts slowly (1, 2, 4 …) and stops at the first refusal, so that a template which can never work costs one
request a pass. Pods get a name minted here, so that a request without an answer can't double them. While the cache
lags behind our own writes nothing is scaled (see `expectations`), hence a restart creates and deletes nothing.
After pkg/controller/replicaset/replica_set.go.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from typing import Any

from controlplane.api import conditions
from controlplane.api.errors import ApiError
from controlplane.api.resources import PODS, REPLICATION_CONTROLLERS
from controlplane.api.types import Pod, ReplicationController
from controlplane.client import Unreachable
from controlplane.client.workqueue import Key
from controlplane.controllers.environment import BY_NAMESPACE, Environment, QueueController
from controlplane.controllers.expectations import Expectations
from controlplane.controllers.replication_plan import (
    FAILURE,
    Failure,
    Plan,
    matches,
    next_available_s,
    plan,
    status,
    status_differs,
)
from controlplane.daemon import event

log = logging.getLogger(__name__)

NAME_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
"""What upstream draws names from: no vowels, no digits that look like letters."""


class ReplicationControllers(QueueController):
    """The controller of ReplicationControllers."""

    name = "replicationcontroller"
    workers = 2

    def __init__(self, env: Environment) -> None:
        super().__init__(env)
        self._rcs = env.informers.of(REPLICATION_CONTROLLERS)
        self._pods = env.informers.of(PODS)
        self._expected = Expectations()
        self._recorder = env.recorder("replication-controller")
        self._rcs.add_handler(self._rc_changed)
        self._pods.add_handler(self._pod_changed)

    # --- handlers: only enqueue ---------------------------------------------------------------------------------

    def _rc_changed(self, old: ReplicationController | None, new: ReplicationController | None) -> None:
        changed = new or old
        if changed is None:
            return
        if new is None or (old is not None and old.metadata.uid != new.metadata.uid):
            self._expected.forget(changed.key)
        self.queue.add(changed.key)

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        if old is not None:
            key = self._controller_key(old)
            if key is not None:
                if new is None or new.terminating or new.metadata.uid != old.metadata.uid:
                    self._expected.met(key, old.metadata.uid)
                self.queue.add(key)
        if new is None:
            return
        key = self._controller_key(new)
        if key is not None:
            self._expected.met(key, new.metadata.name)
            self.queue.add(key)
        elif new.metadata.controller() is None and not new.terminating:
            for rc in self._rcs.index(BY_NAMESPACE, new.metadata.namespace):
                if matches(rc.spec.selector, new.metadata.labels):
                    self.queue.add(rc.key)

    @staticmethod
    def _controller_key(pod: Pod) -> Key | None:
        owner = pod.metadata.controller()
        if owner is None or owner.kind != "ReplicationController":
            return None
        return (pod.metadata.namespace, owner.name)

    # --- reconcile ----------------------------------------------------------------------------------------------

    def reconcile(self, key: Key) -> float | None:
        rc = self._rcs.get(key)
        if rc is None:
            self._expected.forget(key)
            return None
        pods = self._pods.index(BY_NAMESPACE, key[0])
        wait_s = self._expected.wait_s(key, self.env.clock.monotonic())
        todo = plan(rc, pods, may_scale=wait_s is None)
        self._claim(rc, todo)
        failure = None if wait_s is None else _standing_failure(rc)
        error: ApiError | None = None
        if todo.create:
            error = self._create(rc, todo.create)
        elif todo.delete:
            error = self._delete(rc, todo.delete)
        if error is not None:
            failure = Failure("FailedCreate" if todo.create else "FailedDelete", error.message)
        self._write_status(rc, pods, failure)
        if error is not None and not _namespace_ends(error):
            raise error
        soon = [s for s in (wait_s, next_available_s(rc, pods, self.env.clock.now())) if s is not None]
        return min(soon) if soon else None

    def _claim(self, rc: ReplicationController, todo: Plan) -> None:
        if todo.adopt:
            live = self.env.client.get(REPLICATION_CONTROLLERS, rc.metadata.name, rc.metadata.namespace)
            if live.metadata.uid != rc.metadata.uid or live.metadata.deletion_timestamp is not None:
                return
        for pod, refs, action in (
            *((pod, owner_reference(rc), "adopt") for pod in todo.adopt),
            *((pod, {"$patch": "delete", "uid": rc.metadata.uid}, "release") for pod in todo.release),
        ):
            body = {"metadata": {"uid": pod.metadata.uid, "ownerReferences": [refs]}}
            try:
                self.env.client.patch(PODS, pod.key, body, kind="strategic")
            except ApiError as error:
                if error.code != 404 and error.reason != "Invalid":
                    raise
            event(log, action, key="/".join(rc.key), pod=pod.metadata.name)

    def _create(self, rc: ReplicationController, count: int) -> ApiError | None:
        """Creates in batches of 1, 2, 4 …; the first error ends it."""
        done, batch = 0, 1
        while done < count:
            size = min(batch, count - done)
            errors = [e for e in self.env.pool.map(lambda _: self._create_one(rc), range(size)) if e is not None]
            if errors:
                return errors[0]
            done, batch = done + size, batch * 2
        return None

    def _create_one(self, rc: ReplicationController) -> ApiError | None:
        name = pod_name(rc.metadata.name)
        self._expected.expect(rc.key, name, self.env.clock.monotonic())
        try:
            self.env.client.create(PODS, pod_of(rc, name), rc.metadata.namespace)
        except ApiError as error:
            if isinstance(error, Unreachable):
                self._expected.unsure(rc.key, name, self.env.clock.monotonic())
                return error
            self._expected.met(rc.key, name)
            if error.reason != "StaleTerm" and not _namespace_ends(error):
                self._recorder.event(rc, "Warning", "FailedCreate", f"Error creating: {error.message}")
            return error
        event(log, "create-pod", key="/".join(rc.key), pod=name)
        self._recorder.event(rc, "Normal", "SuccessfulCreate", f"Created pod: {name}")
        return None

    def _delete(self, rc: ReplicationController, pods: Sequence[Pod]) -> ApiError | None:
        errors = [e for e in self.env.pool.map(lambda pod: self._delete_one(rc, pod), pods) if e is not None]
        return errors[0] if errors else None

    def _delete_one(self, rc: ReplicationController, pod: Pod) -> ApiError | None:
        uid, name = pod.metadata.uid, pod.metadata.name
        self._expected.expect(rc.key, uid, self.env.clock.monotonic())
        try:
            self.env.client.delete(PODS, pod.key, uid=uid)
        except ApiError as error:
            if isinstance(error, Unreachable):
                self._expected.unsure(rc.key, uid, self.env.clock.monotonic())
                return error
            self._expected.met(rc.key, uid)
            if error.code == 404 or error.reason == "Conflict":
                return None
            if error.reason != "StaleTerm":
                self._recorder.event(rc, "Warning", "FailedDelete", f"Error deleting: {error.message}")
            return error
        event(log, "delete-pod", key="/".join(rc.key), pod=name)
        self._recorder.event(rc, "Normal", "SuccessfulDelete", f"Deleted pod: {name}")
        return None

    def _write_status(self, rc: ReplicationController, pods: Sequence[Pod], failure: Failure | None) -> None:
        wanted = status(rc, pods, failure, self.env.clock.now())
        if not status_differs(rc, wanted):
            return
        try:
            self.env.client.patch(REPLICATION_CONTROLLERS, rc.key, {"status": wanted}, subresource="status")
        except ApiError as error:
            if error.code != 404:
                raise


def _standing_failure(rc: ReplicationController) -> Failure | None:
    """The failure that the status tells; it stands while nothing may be tried."""
    told = conditions.find(rc.status.conditions, FAILURE)
    return Failure(told.reason, told.message) if told is not None else None


def _namespace_ends(error: ApiError) -> bool:
    causes = error.details.get("causes") or ()
    return any(cause.get("reason") == "NamespaceTerminating" for cause in causes)


def owner_reference(rc: ReplicationController) -> dict[str, Any]:
    """The reference that makes this controller the pod's manager."""
    return {
        "apiVersion": "v1",
        "kind": "ReplicationController",
        "name": rc.metadata.name,
        "uid": rc.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def pod_name(owner: str) -> str:
    """A fresh name for a pod of this owner, short enough to be a host name."""
    suffix = "".join(random.choices(NAME_LETTERS, k=5))  # noqa: S311 (a name, not a secret)
    return f"{owner[:57]}-{suffix}"


def pod_of(rc: ReplicationController, name: str) -> dict[str, Any]:
    """The pod that the template describes; its spec is copied as it stands."""
    template = rc.spec.template
    if template is None:
        raise ApiError.bad_request("the ReplicationController has no template")
    metadata: dict[str, Any] = {
        "name": name,
        "generateName": f"{rc.metadata.name}-",
        "namespace": rc.metadata.namespace,
        "labels": template.metadata.labels or {},
        "annotations": template.metadata.annotations or {},
        "ownerReferences": [owner_reference(rc)],
    }
    if template.metadata.finalizers:
        metadata["finalizers"] = template.metadata.finalizers
    return {"metadata": metadata, "spec": template.spec}
