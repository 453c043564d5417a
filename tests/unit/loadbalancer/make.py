"""Objects for the tests of the load balancer, with only what matters said by the caller."""

from __future__ import annotations

from collections.abc import Sequence

from controlplane.api.types import (
    ClientIPConfig,
    Endpoint,
    EndpointConditions,
    EndpointPort,
    EndpointSlice,
    LoadBalancerIngress,
    LoadBalancerStatus,
    Node,
    NodeAddress,
    NodeSpec,
    NodeStatus,
    ObjectMeta,
    Service,
    ServicePort,
    ServiceSpec,
    ServiceStatus,
    SessionAffinityConfig,
)
from loadbalancer import services
from loadbalancer.rules import Facts, RuleSet, assemble, service_rules
from loadbalancer.services import Backend

FACTS = Facts(
    node_name="worker-1",
    cluster_cidr="10.244.0.0/16",
    pod_cidr="10.244.1.0/24",
    service_cidr="10.96.0.0/16",
    bridge="kubelab0",
    node_addresses=("10.77.0.10", "10.77.0.11"),
)
OWN_ADDRESSES = ("10.77.0.11", "10.244.1.1")


def backends(*addresses: str, port: int = 8080) -> tuple[Backend, ...]:
    return tuple(Backend(a, port) for a in addresses)


def port(**fields: object) -> services.ServicePort:
    """A port of the Service `default/web`, with two endpoints unless said otherwise."""
    defaults: dict[str, object] = {
        "name": "default/web:http",
        "protocol": "tcp",
        "cluster_ip": "10.96.0.5",
        "port": 80,
        "everywhere": backends("10.244.1.2", "10.244.2.2"),
    }
    return services.ServicePort(**{**defaults, **fields})  # type: ignore[arg-type]  # fields are the caller's


def ruleset(*ports: services.ServicePort) -> RuleSet:
    return assemble([service_rules([p], FACTS) for p in ports], FACTS)


def service(name: str = "web", **spec: object) -> Service:
    defaults: dict[str, object] = {"cluster_ip": "10.96.0.5", "ports": [ServicePort(port=80, name="http")]}
    affinity = spec.pop("affinity_s", None)
    if affinity is not None:
        config = SessionAffinityConfig(client_ip=ClientIPConfig(timeout_seconds=int(str(affinity))))
        spec |= {"session_affinity": "ClientIP", "session_affinity_config": config}
    metadata = ObjectMeta(name=name, namespace="default")
    return Service(metadata=metadata, spec=ServiceSpec(**{**defaults, **spec}))  # type: ignore[arg-type]  # as above


def public_service(name: str, address: str, announced_by: str) -> Service:
    result = service(name, type="LoadBalancer")
    result.metadata.annotations = {"kubelab.io/announced-by": announced_by}
    result.status = ServiceStatus(load_balancer=LoadBalancerStatus(ingress=[LoadBalancerIngress(ip=address)]))
    return result


def endpoint(ip: str, node: str = "worker-1", **conditions: bool) -> Endpoint:
    return Endpoint(addresses=[ip], node_name=node, conditions=EndpointConditions(**conditions))


def endpoint_slice(
    endpoints: Sequence[Endpoint], service_name: str = "web", ports: Sequence[EndpointPort] | None = None
) -> EndpointSlice:
    metadata = ObjectMeta(
        name=f"{service_name}-abc", namespace="default", labels={services.SERVICE_NAME_LABEL: service_name}
    )
    given = ports if ports is not None else [EndpointPort(port=8080, name="http", protocol="TCP")]
    return EndpointSlice(metadata=metadata, address_type="IPv4", endpoints=list(endpoints), ports=list(given))


def node(name: str, address: str, pod_cidr: str) -> Node:
    status = NodeStatus(addresses=[NodeAddress(type="InternalIP", address=address)])
    return Node(metadata=ObjectMeta(name=name), spec=NodeSpec(pod_cidr=pod_cidr), status=status)
