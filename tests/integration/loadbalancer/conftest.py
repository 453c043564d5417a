"""The network is built once for each back end, and removed in any case."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from loadbalancer.iptables import BACKENDS, Backend, Iptables
from loadbalancer.routes import Routes
from loadbalancer.rules import Facts, RuleSet, assemble, service_rules
from loadbalancer.services import ServicePort
from tests.integration.loadbalancer import network
from tests.integration.loadbalancer.network import CLUSTER, NODE_A, NODE_B, NODES, SERVICES, Namespace

FACTS = Facts("", CLUSTER, "", SERVICES, "kubelab0", tuple(n.address for n in NODES))


def rules_of(node: Namespace, *ports: ServicePort) -> RuleSet:
    facts = replace(FACTS, node_name=node.short, pod_cidr=node.pod_cidr)
    return assemble([service_rules([p], facts) for p in ports], facts)


class Lab:
    """Both nodes' proxies, as far as rules and routes go."""

    def __init__(self, backend: Backend) -> None:
        self.iptables = {node: Iptables(backend, node.run) for node in NODES}
        for node, other in ((NODE_A, NODE_B), (NODE_B, NODE_A)):
            Routes("eth0", node.address, node.run).sync({SERVICES: "", other.pod_cidr: other.address})

    def serve(self, *ports: ServicePort) -> None:
        """Brings these services, and no others, onto both nodes."""
        for node, iptables in self.iptables.items():
            iptables.apply(rules_of(node, *ports))


@pytest.fixture(scope="module", params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Backend:
    chosen: Backend = request.param
    return chosen


@pytest.fixture(scope="module")
def lab(backend: Backend) -> Iterator[Lab]:
    try:
        network.build()
        servers = [network.Answering(pod) for pod in network.PODS]
        yield Lab(backend)
        for server in servers:
            server.close()
    finally:
        network.remove()
