"""From what the informers hold to what this node wants: rules, routes, UDP endpoints.

Keeps the rules of each service until the service or one of its slices changes, so that a change of one service among
thousands costs only its own rules. No I/O; called by the proxier for every sync.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

from controlplane.api.types import EndpointSlice, Node, Service
from controlplane.client.workqueue import Key
from loadbalancer.conntrack import Frontend, udp_endpoints
from loadbalancer.routes import node_addresses, wanted_routes
from loadbalancer.rules import Facts, RuleSet, ServiceRules, assemble, service_rules
from loadbalancer.services import SERVICE_NAME_LABEL, Backend, ServicePort, service_ports


@dataclass(frozen=True)
class Wanted:
    """The state that this node should be in."""

    rules: RuleSet
    routes: dict[str, str]
    udp: dict[Frontend, frozenset[Backend]]
    refused: tuple[str, ...]
    """In words, what of the services can't be had."""


@dataclass(frozen=True)
class _Known:
    service: Service
    slices: tuple[EndpointSlice, ...]
    ports: tuple[ServicePort, ...]
    refused: tuple[str, ...]
    rules: ServiceRules

    def holds_for(self, service: Service, slices: tuple[EndpointSlice, ...]) -> bool:
        """Whether it was made of these very objects; informers give a new object for every change."""
        if service is not self.service or len(slices) != len(self.slices):
            return False
        return all(a is b for a, b in zip(slices, self.slices, strict=True))


class Builder:
    """Builds the wanted state of the node that `facts` describe (their node addresses are filled in here)."""

    def __init__(self, facts: Facts, node_address: str) -> None:
        self._facts = facts
        self._node_address = node_address
        self._known: dict[Key, _Known] = {}

    def build(self, services: Iterable[Service], slices: Iterable[EndpointSlice], nodes: Iterable[Node]) -> Wanted:
        nodes = list(nodes)
        facts = replace(self._facts, node_addresses=node_addresses(nodes, self._node_address))
        slices_of: dict[Key, list[EndpointSlice]] = defaultdict(list)
        for endpoint_slice in sorted(slices, key=lambda s: s.key):
            name = (endpoint_slice.metadata.labels or {}).get(SERVICE_NAME_LABEL, "")
            slices_of[endpoint_slice.metadata.namespace, name].append(endpoint_slice)
        known: dict[Key, _Known] = {}
        for service in sorted(services, key=lambda s: s.key):
            known[service.key] = self._service(service, tuple(slices_of.get(service.key, ())))
        self._known = known
        return Wanted(
            rules=assemble((k.rules for k in known.values()), facts),
            routes={
                facts.service_cidr: "",
                **wanted_routes(nodes, facts.node_name, facts.pod_cidr, facts.cluster_cidr),
            },
            udp=udp_endpoints((p for k in known.values() for p in k.ports), self._node_address),
            refused=tuple(text for k in known.values() for text in k.refused),
        )

    def _service(self, service: Service, slices: tuple[EndpointSlice, ...]) -> _Known:
        before = self._known.get(service.key)
        if before is not None and before.holds_for(service, slices):
            return before
        ports, refused = service_ports(service, slices, self._facts.node_name)
        return _Known(service, slices, ports, refused, service_rules(ports, self._facts))
