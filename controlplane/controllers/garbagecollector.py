"""Deletes what its owners left behind, and works off foreground and orphan deletions: effects around `garbage_graph`.

Follows the metadata of every kind that the API serves. Before anything is deleted the object and its absent owners
are read from the API itself, so that a cache that lags can't cost an object. A uid once gone never returns, so that
answer is remembered. After pkg/controller/garbagecollector.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from typing import Any

from controlplane.api.errors import ApiError
from controlplane.api.types import Object, OwnerReference
from controlplane.client.workqueue import Key
from controlplane.controllers.discovery import AnyResource, served
from controlplane.controllers.environment import Environment, QueueController
from controlplane.controllers.garbage_graph import (
    ORPHAN,
    Delete,
    Detach,
    Graph,
    Item,
    OrphanDependents,
    OwnerState,
    RemoveFinalizer,
    decide,
    item_of,
)
from controlplane.daemon import event

log = logging.getLogger(__name__)

IGNORED = frozenset({"events", "events.events.k8s.io"})
"""Many, short-lived, and never owned."""
REMEMBERED = 10_000


class GarbageCollector(QueueController):
    """The controller of owner references. Its queue holds ("", uid)."""

    name = "garbagecollector"

    def __init__(self, env: Environment) -> None:
        super().__init__(env)
        self._lock = threading.Lock()
        self._graph = Graph()
        self._absent: OrderedDict[str, None] = OrderedDict()
        self._kinds: dict[tuple[str, str], AnyResource] = {}
        self._resources: dict[str, AnyResource] = {}
        for resource in served(env.client, "list", "watch", "delete"):
            self._kinds[resource.api_version, resource.kind] = resource
            self._resources[resource.qualified] = resource
            if resource.qualified not in IGNORED:
                self._follow(resource)

    def _follow(self, resource: AnyResource) -> None:
        name = resource.qualified

        def changed(old: Object | None, new: Object | None) -> None:
            if old is not None and new is not None and _same(old, new):
                return
            with self._lock:
                look: set[str] = set()
                if old is not None and (new is None or new.metadata.uid != old.metadata.uid):
                    look |= self._graph.remove(old.metadata.uid)
                if new is not None:
                    look |= self._graph.put(item_of(name, new.metadata))
            for uid in look:
                self.queue.add(("", uid))

        self.env.informers.of(resource).add_handler(changed)

    def reconcile(self, key: Key) -> float | None:
        with self._lock:
            item = self._graph.get(key[1])
            dependents = self._graph.dependents(key[1])
        if item is None:
            return None
        resource = self._resources[item.resource]
        try:
            live = self.env.client.get(resource, item.name, item.namespace)
        except ApiError as error:
            if error.code == 404:
                return None
            raise
        if live.metadata.uid != item.uid:
            return None
        now = item_of(item.resource, live.metadata)
        owners = {owner.uid: self._state(owner, now.namespace) for owner in now.owners}
        decision = decide(now, owners, dependents)
        if decision is not None:
            self._apply(decision, resource, live)
        return None

    def _state(self, owner: OwnerReference, namespace: str) -> OwnerState:
        with self._lock:
            known = self._graph.get(owner.uid)
        if known is not None:
            return OwnerState.WAITING if known.waiting else OwnerState.PRESENT
        if owner.uid in self._absent:
            return OwnerState.ABSENT
        resource = self._kinds.get((owner.api_version, owner.kind))
        if resource is None or (resource.namespaced and not namespace):
            return OwnerState.UNKNOWN
        try:
            live = self.env.client.get(resource, owner.name, namespace if resource.namespaced else "")
            if live.metadata.uid == owner.uid:
                return OwnerState.PRESENT
        except ApiError as error:
            if error.code != 404:
                raise
        self._absent[owner.uid] = None
        if len(self._absent) > REMEMBERED:
            self._absent.popitem(last=False)
        return OwnerState.ABSENT

    def _apply(self, decision: Any, resource: AnyResource, live: Object) -> None:
        key = "/".join(part for part in live.key if part)
        match decision:
            case Delete(policy):
                event(log, "collect", kind=live.kind, key=key, policy=policy)
                self._delete(resource, live, policy)
            case Detach(uids):
                event(log, "detach", kind=live.kind, key=key, owners=",".join(uids))
                self._detach(resource, live.key, live.metadata.uid, uids)
            case OrphanDependents(dependents):
                for one in dependents:
                    self._orphan(one, live.metadata.uid)
                self._remove_finalizer(resource, live, ORPHAN)
            case RemoveFinalizer(finalizer):
                self._remove_finalizer(resource, live, finalizer)

    def _delete(self, resource: AnyResource, live: Object, policy: str) -> None:
        try:
            self.env.client.delete(resource, live.key, uid=live.metadata.uid, propagation=policy)
        except ApiError as error:
            if error.code != 404 and error.reason != "Conflict":
                raise

    def _orphan(self, one: Item, owner: str) -> None:
        event(log, "orphan", kind=one.resource, key=f"{one.namespace}/{one.name}")
        self._detach(self._resources[one.resource], (one.namespace, one.name), one.uid, (owner,))

    def _detach(self, resource: AnyResource, key: Key, uid: str, owners: tuple[str, ...]) -> None:
        refs = [{"$patch": "delete", "uid": owner} for owner in owners]
        body = {"metadata": {"uid": uid, "ownerReferences": refs}}
        try:
            self.env.client.patch(resource, key, body, kind="strategic")
        except ApiError as error:
            if error.code != 404:
                raise

    def _remove_finalizer(self, resource: AnyResource, live: Object, finalizer: str) -> None:
        left = [f for f in live.metadata.finalizers or () if f != finalizer]
        body = {"metadata": {"resourceVersion": live.metadata.resource_version, "finalizers": left or None}}
        try:
            self.env.client.patch(resource, live.key, body)
        except ApiError as error:
            if error.code != 404:
                raise
        event(log, "finalized", kind=live.kind, key="/".join(live.key), finalizer=finalizer)


def _same(old: Object, new: Object) -> bool:
    """Whether nothing changed that the graph holds: so that a heartbeat costs nothing."""
    a, b = old.metadata, new.metadata
    return (a.uid, a.owner_references, a.finalizers, a.deletion_timestamp) == (
        b.uid, b.owner_references, b.finalizers, b.deletion_timestamp,
    )  # fmt: skip
