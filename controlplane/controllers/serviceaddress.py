"""Gives Services of type LoadBalancer an address and an announcer: the effects around `serviceaddress_plan`.

All Services are planned together by one worker, since they draw from one pool. What was written counts as given until
the cache shows it, so that an address is never given twice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from controlplane.api import conditions
from controlplane.api.addresspool import Pool
from controlplane.api.errors import ApiError
from controlplane.api.resources import NODES, SERVICES
from controlplane.api.types import Condition, Node, Service
from controlplane.client.workqueue import Key
from controlplane.controllers.environment import Environment, QueueController
from controlplane.controllers.nodelifecycle_plan import ready_status
from controlplane.controllers.serviceaddress_plan import (
    ANNOUNCED_BY,
    CONDITION,
    Given,
    Reason,
    address_of,
    announcer_of,
    announcers,
    plan,
)
from controlplane.daemon import event

log = logging.getLogger(__name__)

T = TypeVar("T")

ALL: Key = ("", "services")
HANDOVER_S = 0.5
"""Between telling a living announcer to stop and telling the next one to start."""


class ServiceAddresses(QueueController):
    """The controller of public addresses."""

    name = "serviceaddress"

    def __init__(self, env: Environment, pool: Pool) -> None:
        super().__init__(env)
        self._pool = pool
        self._services = env.informers.of(SERVICES)
        self._nodes = env.informers.of(NODES)
        self._recorder = env.recorder("service-controller")
        self._given: dict[str, str] = {}
        self._released_at: dict[str, float] = {}
        self._services.add_handler(self._service_changed)
        self._nodes.add_handler(self._node_changed)

    def _service_changed(self, old: Service | None, new: Service | None) -> None:
        if any(s is not None and (s.spec.type == "LoadBalancer" or address_of(s)) for s in (old, new)):
            self.queue.add(ALL)

    def _node_changed(self, old: Node | None, new: Node | None) -> None:
        if old is None or new is None or ready_status(old) != ready_status(new):
            self.queue.add(ALL)

    def reconcile(self, key: Key) -> float | None:  # noqa: ARG002 (there is one key)
        services = [s for s in self._services.items() if s.spec.type == "LoadBalancer" or address_of(s)]
        now = self.env.clock.monotonic()
        known = {s.metadata.uid for s in services}
        self._given = {uid: address for uid, address in self._given.items() if uid in known}
        self._released_at = {u: at for u, at in self._released_at.items() if u in known and now - at < HANDOVER_S}
        held = {s.metadata.uid: self._given.get(s.metadata.uid) or address_of(s) for s in services}
        workers = announcers(self._nodes.items())
        given = plan(services, self._pool, workers, held, frozenset(self._released_at))
        done = [self._attempt(self._give, one) for one in given]
        done += [self._attempt(self._take_back, s) for s in services if s.spec.type != "LoadBalancer"]
        errors = [error for error in done if error is not None]
        if errors:
            raise errors[0]
        return HANDOVER_S if any(g.reason is Reason.MOVING for g in given) else None

    @staticmethod
    def _attempt(act: Callable[[T], None], what: T) -> ApiError | None:
        """One Service's trouble doesn't hold up the others."""
        try:
            act(what)
        except ApiError as error:
            if error.reason == "StaleTerm":
                raise
            return None if error.code == 404 else error
        return None

    def _give(self, given: Given) -> None:
        service = given.service
        if given.address:
            self._given[service.metadata.uid] = given.address
        else:
            self._given.pop(service.metadata.uid, None)
        if given.node != announcer_of(service):
            if not given.node:
                self._released_at[service.metadata.uid] = self.env.clock.monotonic()
            self._annotate(service, given.node)
        old = conditions.find(service.status.conditions, CONDITION)
        told = old is not None and (old.reason, old.message) == (given.reason.value, given.message)
        if told and given.address == address_of(service):
            return
        self._write_status(service, given, old)
        if not told:
            announced = given.reason is Reason.ANNOUNCED
            event(log, "address", key="/".join(service.key), address=given.address or None, why=given.message)
            if given.reason is not Reason.MOVING:
                kind = "Normal" if announced else "Warning"
                self._recorder.event(service, kind, given.reason.value, given.message)  # type: ignore[arg-type]  # one of the two

    def _annotate(self, service: Service, node: str) -> None:
        body = {"metadata": {"uid": service.metadata.uid, "annotations": {ANNOUNCED_BY: node or None}}}
        self.env.client.patch(SERVICES, service.key, body)

    def _write_status(self, service: Service, given: Given, old: Condition | None) -> None:
        status = "True" if given.reason is Reason.ANNOUNCED else "False"
        now, why = self.env.clock.now(), given.reason.value
        condition = conditions.wire(CONDITION, status, now, reason=why, message=given.message, old=old)
        ingress = [{"ip": given.address, "ipMode": "VIP"}] if given.address else None
        body = {"status": {"loadBalancer": {"ingress": ingress}, "conditions": [condition]}}
        self.env.client.patch(SERVICES, service.key, body, subresource="status")

    def _take_back(self, service: Service) -> None:
        """The Service is of another type by now: its address returns to the pool."""
        self._given.pop(service.metadata.uid, None)
        if announcer_of(service):
            self._annotate(service, "")
        if address_of(service) in self._pool:
            body = {"status": {"loadBalancer": {"ingress": None}, "conditions": None}}
            self.env.client.patch(SERVICES, service.key, body, subresource="status")
            event(log, "address-released", key="/".join(service.key), address=address_of(service))
