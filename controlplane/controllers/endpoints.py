"""Writes EndpointSlices and Endpoints of every Service that has a selector: the effects around `endpoints_plan`.

Slices first, since the proxies read them. Services without a selector, and slices that others manage, are left alone.
Woken by Services, by the fields of pods that matter, and by nodes that are lost or come back.
After pkg/controller/endpointslice and pkg/controller/endpoint.
"""

from __future__ import annotations

import logging
import random

from controlplane.api.resources import ENDPOINT_SLICES, ENDPOINTS, NODES, PODS, SERVICES
from controlplane.api.types import Endpoints, EndpointSlice, Node, Object, ObjectMeta, OwnerReference, Pod, Service
from controlplane.client.workqueue import Key
from controlplane.controllers.endpoints_plan import (
    ENDPOINTS_MANAGED_BY,
    ENDPOINTS_MANAGER,
    MANAGED_BY,
    MANAGER,
    SERVICE_NAME,
    Target,
    labels_of,
    plan_slices,
    subsets,
    targets,
)
from controlplane.controllers.environment import BY_NAMESPACE, BY_NODE, Environment, QueueController
from controlplane.controllers.nodelifecycle_plan import ready_status
from controlplane.controllers.replication_plan import matches
from controlplane.controllers.replicationcontroller import NAME_LETTERS
from controlplane.daemon import event

log = logging.getLogger(__name__)

BY_SERVICE = "service"
LAG_S = 0.2
"""After a write of slices the cache is given this long before the next pass plans on it."""


class ServiceEndpoints(QueueController):
    """The controller of EndpointSlices and Endpoints."""

    name = "endpoints"
    workers = 2

    def __init__(self, env: Environment) -> None:
        super().__init__(env)
        self._services = env.informers.of(SERVICES)
        self._pods = env.informers.of(PODS)
        self._nodes = env.informers.of(NODES)
        self._slices = env.informers.of(ENDPOINT_SLICES)
        self._endpoints = env.informers.of(ENDPOINTS)
        self._slices.add_indexer(BY_SERVICE, lambda s: [f"{s.metadata.namespace}/{_service_name(s)}"])
        self._written: dict[Key, tuple[str, ...]] = {}
        self._services.add_handler(self._object_changed)
        self._endpoints.add_handler(self._endpoints_changed)
        self._slices.add_handler(self._slice_changed)
        self._pods.add_handler(self._pod_changed)
        self._nodes.add_handler(self._node_changed)

    # --- handlers -----------------------------------------------------------------------------------------------

    def _object_changed(self, old: Object | None, new: Object | None) -> None:
        changed = new or old
        if changed is not None:
            self.queue.add(changed.key)

    def _endpoints_changed(self, old: Endpoints | None, new: Endpoints | None) -> None:
        changed = new or old
        if changed is not None and self._services.get(changed.key) is not None:
            self.queue.add(changed.key)

    def _slice_changed(self, old: EndpointSlice | None, new: EndpointSlice | None) -> None:
        changed = new or old
        if changed is not None and (changed.metadata.labels or {}).get(MANAGED_BY) == MANAGER:
            self.queue.add((changed.metadata.namespace, _service_name(changed)))

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        if old is not None and new is not None and _facts(old) == _facts(new):
            return
        for pod in (old, new):
            if pod is not None:
                self._wake_services_of(pod)

    def _node_changed(self, old: Node | None, new: Node | None) -> None:
        before, after = old is not None and _is_lost(old), new is not None and _is_lost(new)
        changed = new or old
        if before != after and changed is not None:
            for pod in self._pods.index(BY_NODE, changed.metadata.name):
                self._wake_services_of(pod)

    def _wake_services_of(self, pod: Pod) -> None:
        for service in self._services.index(BY_NAMESPACE, pod.metadata.namespace):
            if matches(service.spec.selector, pod.metadata.labels):
                self.queue.add(service.key)

    # --- reconcile ----------------------------------------------------------------------------------------------

    def reconcile(self, key: Key) -> float | None:
        service = self._services.get(key)
        mine = [
            s
            for s in self._slices.index(BY_SERVICE, f"{key[0]}/{key[1]}")
            if (s.metadata.labels or {}).get(MANAGED_BY) == MANAGER
        ]
        if service is None:
            self._service_gone(key, mine)
            return None
        if not service.spec.selector or service.spec.type == "ExternalName":
            return None
        if service.metadata.deletion_timestamp is not None:
            return None
        versions = tuple(sorted(s.metadata.resource_version for s in mine))
        if self._written.get(key) == versions:  # what was written last is not in the cache yet
            del self._written[key]
            return LAG_S
        lost = frozenset(n.metadata.name for n in self._nodes.items() if _is_lost(n))
        found = targets(service, self._pods.index(BY_NAMESPACE, key[0]), lost)
        if self._write_slices(service, found, mine):
            self._written[key] = versions
        self._write_endpoints(service, found)
        return None

    def _write_slices(self, service: Service, found: list[Target], mine: list[EndpointSlice]) -> bool:
        """Applies the plan; whether anything was written."""
        plan = plan_slices(service, found, mine)
        for one in plan.create:
            suffix = "".join(random.choices(NAME_LETTERS, k=5))  # noqa: S311 (a name, not a secret)
            one.metadata.name = f"{service.metadata.name}-{suffix}"
            one.metadata.generate_name = f"{service.metadata.name}-"
            self._fill_metadata(one.metadata, service)
            self.env.client.create(ENDPOINT_SLICES, one, service.metadata.namespace)
        known = {s.metadata.name: s for s in mine}
        for one in plan.update:
            self._fill_metadata(one.metadata, service)
            one.metadata.resource_version = known[one.metadata.name].metadata.resource_version
            self.env.client.update(ENDPOINT_SLICES, one)
        for one in plan.delete:
            self.env.delete(ENDPOINT_SLICES, one)
        written = bool(plan.create or plan.update or plan.delete)
        if written:
            event(
                log, "endpoints", key="/".join(service.key), ready=sum(t.ready for t in found), total=len(found),
                out=[t.pod.metadata.name for t in found if not t.ready] or None,
            )  # fmt: skip
        return written

    @staticmethod
    def _fill_metadata(meta: ObjectMeta, service: Service) -> None:
        meta.namespace = service.metadata.namespace
        meta.owner_references = [
            OwnerReference(
                api_version="v1", kind="Service", name=service.metadata.name, uid=service.metadata.uid,
                controller=True, block_owner_deletion=True,
            )
        ]  # fmt: skip

    def _write_endpoints(self, service: Service, found: list[Target]) -> None:
        wanted = subsets(service, found)
        labels = labels_of(service, **{ENDPOINTS_MANAGED_BY: ENDPOINTS_MANAGER})
        old = self._endpoints.get(service.key)
        if old is None:
            meta = ObjectMeta(name=service.metadata.name, namespace=service.metadata.namespace, labels=labels)
            made = Endpoints(metadata=meta, subsets=wanted or None)
            self.env.client.create(ENDPOINTS, made, service.metadata.namespace)
        elif (old.subsets or []) != wanted or (old.metadata.labels or {}) != labels:
            meta = ObjectMeta(
                name=old.metadata.name, namespace=old.metadata.namespace, labels=labels,
                annotations=old.metadata.annotations, resource_version=old.metadata.resource_version,
            )  # fmt: skip
            self.env.client.update(ENDPOINTS, Endpoints(metadata=meta, subsets=wanted or None))

    def _service_gone(self, key: Key, mine: list[EndpointSlice]) -> None:
        self._written.pop(key, None)
        for one in mine:
            self.env.delete(ENDPOINT_SLICES, one)
        endpoints = self._endpoints.get(key)
        if endpoints is not None and (endpoints.metadata.labels or {}).get(ENDPOINTS_MANAGED_BY) == ENDPOINTS_MANAGER:
            self.env.delete(ENDPOINTS, endpoints)


def _service_name(one: EndpointSlice) -> str:
    return (one.metadata.labels or {}).get(SERVICE_NAME, "")


def _is_lost(node: Node) -> bool:
    return ready_status(node) == "Unknown"


def _facts(pod: Pod) -> tuple[object, ...]:
    """What an endpoint depends on."""
    return (
        pod.metadata.uid, pod.metadata.labels, pod.status.pod_ip, pod.ready, pod.terminating, pod.finished,
        pod.spec.node_name, pod.spec.hostname, pod.spec.subdomain,
    )  # fmt: skip
