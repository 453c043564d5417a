"""Empties a namespace that is being deleted, then lets it go.

Everything in it is deleted, kind by kind, pods gracefully; while something is left the namespace's condition says
what and how many. When nothing is left the `kubernetes` finalizer is taken away, which deletes the namespace. Nothing
new can appear meanwhile: the API refuses it. After pkg/controller/namespace/deletion/namespaced_resources_deleter.go.
"""

from __future__ import annotations

import logging

from controlplane.api import conditions
from controlplane.api.errors import ApiError
from controlplane.api.resources import NAMESPACES
from controlplane.api.types import Namespace
from controlplane.client.workqueue import Key
from controlplane.controllers.discovery import AnyResource, served
from controlplane.controllers.environment import Environment, QueueController
from controlplane.daemon import event

log = logging.getLogger(__name__)

FINALIZER = "kubernetes"
AGAIN_S = 0.5
"""While pods stop or finalizers are worked off."""
CONDITION = "NamespaceContentRemaining"


class Namespaces(QueueController):
    """The controller of namespaces that end."""

    name = "namespace"
    workers = 2

    def __init__(self, env: Environment) -> None:
        super().__init__(env)
        self._namespaces = env.informers.of(NAMESPACES)
        self._namespaces.add_handler(self._changed)

    def _changed(self, _old: Namespace | None, new: Namespace | None) -> None:
        if new is not None and new.metadata.deletion_timestamp is not None:
            self.queue.add(new.key)

    def reconcile(self, key: Key) -> float | None:
        namespace = self._namespaces.get(key)
        if namespace is None or namespace.metadata.deletion_timestamp is None:
            return None
        if FINALIZER not in (namespace.spec.finalizers or ()):
            return None
        left = self._empty(key[1])
        if left:
            self._tell(namespace, left)
            return AGAIN_S
        self._finalize(namespace)
        return None

    def _empty(self, name: str) -> dict[str, int]:
        """Deletes what is there; what is left afterwards, by resource."""
        left = {}
        for resource in served(self.env.client, "list", "deletecollection"):
            if resource.namespaced and self._count(resource, name):
                self.env.client.request("DELETE", resource.path(name))
                count = self._count(resource, name)
                if count:
                    left[resource.qualified] = count
        return left

    def _count(self, resource: AnyResource, name: str) -> int:
        return len(self.env.client.list(resource, name).items)

    def _tell(self, namespace: Namespace, left: dict[str, int]) -> None:
        amounts = ", ".join(f"{resource} has {count} resource instances" for resource, count in sorted(left.items()))
        message = f"Some resources are remaining: {amounts}"
        old = conditions.find(namespace.status.conditions, CONDITION)
        if old is not None and old.message == message:
            return
        now = self.env.clock.now()
        condition = conditions.wire(CONDITION, "True", now, reason="SomeResourcesRemain", message=message, old=old)
        body = {"status": {"conditions": [condition]}}
        self.env.client.patch(NAMESPACES, namespace.key, body, kind="strategic", subresource="status")

    def _finalize(self, namespace: Namespace) -> None:
        others = [f for f in namespace.spec.finalizers or () if f != FINALIZER]
        body = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": namespace.metadata.name, "uid": namespace.metadata.uid},
            "spec": {"finalizers": others},
        }
        try:
            self.env.client.request("PUT", NAMESPACES.path("", namespace.metadata.name, "finalize"), body=body)
        except ApiError as error:
            if error.code != 404:
                raise
        event(log, "namespace-emptied", key=namespace.metadata.name)
