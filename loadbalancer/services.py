"""What the proxy must know of Services and EndpointSlices: one `ServicePort` for each port of each service.

Here the API's objects are checked and reduced; nothing that isn't an IPv4 address, a port or a plain name gets past
this module, so no value of a user reaches a rule unchecked. Which endpoints get traffic is upstream's choice
(pkg/proxy/topology.go, CategorizeEndpoints): the ready ones; when none is ready, those that still serve while they
terminate. `publishNotReadyAddresses` arrives as `ready: true` in the slices. Pure.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from controlplane.api.types import Endpoint, EndpointSlice, Service
from controlplane.api.types import ServicePort as ApiPort

SERVICE_NAME_LABEL = "kubernetes.io/service-name"
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_PROTOCOLS = {"TCP": "tcp", "UDP": "udp"}


@dataclass(frozen=True, order=True)
class Backend:
    """One endpoint of a service port: where a connection ends."""

    ip: str
    port: int

    @property
    def address(self) -> str:
        return f"{self.ip}:{self.port}"


@dataclass(frozen=True)
class ServicePort:
    """One port of one service with the endpoints that get its traffic. Protocol in lower case."""

    name: str
    """`namespace/service:port`, or `namespace/service` for a port without a name."""
    protocol: str
    cluster_ip: str
    port: int
    node_port: int = 0
    external_ips: tuple[str, ...] = ()
    public_ips: tuple[str, ...] = ()
    source_ranges: tuple[str, ...] | None = None
    """Who may use the public addresses; None is everybody, empty is nobody."""
    affinity_s: int = 0
    """Session affinity by client address for this long; 0 is none."""
    external_local: bool = False
    internal_local: bool = False
    everywhere: tuple[Backend, ...] = ()
    """Endpoints in the whole cluster, sorted."""
    here: tuple[Backend, ...] = ()
    """Endpoints on this node, sorted; only looked at where a traffic policy is Local."""

    @property
    def externally_accessible(self) -> bool:
        return bool(self.node_port or self.external_ips or self.public_ips)


def service_ports(
    service: Service, slices: Iterable[EndpointSlice], node_name: str
) -> tuple[tuple[ServicePort, ...], tuple[str, ...]]:
    """The ports of a service as this node sees them, and in words what was refused (bad or unsupported values)."""
    spec = service.spec
    if spec.type == "ExternalName" or service.headless or not spec.cluster_ip:
        return (), ()
    where = f"{service.metadata.namespace}/{service.metadata.name}"
    refused: list[str] = []
    if not (_NAME.fullmatch(service.metadata.namespace) and _NAME.fullmatch(service.metadata.name)):
        return (), (f"service {where!r}: name out of form",)
    if not _is_ipv4(spec.cluster_ip):
        return (), (f"service {where}: cluster IP {spec.cluster_ip!r} is not an IPv4 address",)
    slices = list(slices)
    usable_slices = [s for s in slices if s.address_type == "IPv4"]
    refused += [
        f"service {where}: slice {s.metadata.name!r} of {s.address_type!r}: not supported"
        for s in slices
        if s.address_type != "IPv4"
    ]
    ports: list[ServicePort] = []
    for api_port in spec.ports or ():
        if api_port.protocol not in _PROTOCOLS or (api_port.name and not _NAME.fullmatch(api_port.name)):
            refused.append(
                f"service {where}: port {api_port.name or api_port.port} {api_port.protocol}: not supported"
            )
            continue
        everywhere, here = _backends(api_port, usable_slices, node_name)
        ports.append(_service_port(service, api_port, everywhere, here))
    return tuple(ports), tuple(refused)


def _service_port(
    service: Service, port: ApiPort, everywhere: tuple[Backend, ...], here: tuple[Backend, ...]
) -> ServicePort:
    spec = service.spec
    where = f"{service.metadata.namespace}/{service.metadata.name}"
    published = spec.type in ("NodePort", "LoadBalancer")
    ingress = service.status.load_balancer.ingress or () if spec.type == "LoadBalancer" else ()
    affinity = spec.session_affinity_config
    seconds = affinity.client_ip.timeout_seconds if affinity and affinity.client_ip else 10800
    return ServicePort(
        name=f"{where}:{port.name}" if port.name else where,
        protocol=_PROTOCOLS[port.protocol],
        cluster_ip=spec.cluster_ip,
        port=port.port,
        node_port=port.node_port if published else 0,
        external_ips=_addresses(spec.external_ips or ()),
        public_ips=_addresses(i.ip for i in ingress if i.ip and i.ip_mode in (None, "VIP")),
        source_ranges=_ranges(spec.load_balancer_source_ranges),
        affinity_s=seconds if spec.session_affinity == "ClientIP" else 0,
        external_local=spec.external_traffic_policy == "Local",
        internal_local=spec.internal_traffic_policy == "Local",
        everywhere=everywhere,
        here=here,
    )


def _backends(
    port: ApiPort, slices: Sequence[EndpointSlice], node_name: str
) -> tuple[tuple[Backend, ...], tuple[Backend, ...]]:
    """The endpoints that get traffic of this port: (in the whole cluster, on this node)."""
    ready: set[tuple[Backend, bool]] = set()
    terminating: set[tuple[Backend, bool]] = set()
    for endpoint_slice in slices:
        number = _port_number(endpoint_slice, port)
        if number is None:
            continue
        for endpoint in endpoint_slice.endpoints:
            if not endpoint.addresses or not _is_endpoint_address(endpoint.addresses[0]):
                continue
            found = (Backend(endpoint.addresses[0], number), endpoint.node_name == node_name)
            if endpoint.conditions.ready is not False:
                ready.add(found)
            elif _serves_while_terminating(endpoint):
                terminating.add(found)
    everywhere = {b for b, _ in ready} or {b for b, _ in terminating}
    here = {b for b, is_here in ready if is_here} or {b for b, is_here in terminating if is_here}
    return tuple(sorted(everywhere)), tuple(sorted(here))


def _serves_while_terminating(endpoint: Endpoint) -> bool:
    conditions = endpoint.conditions
    return bool(conditions.terminating) and bool(conditions.serving)


def _port_number(endpoint_slice: EndpointSlice, port: ApiPort) -> int | None:
    """The target port that the slice gives for a service port; targets by name are already resolved in slices."""
    for candidate in endpoint_slice.ports or ():
        if (candidate.name or "") == port.name and (candidate.protocol or "TCP") == port.protocol:
            return candidate.port if candidate.port and 0 < candidate.port < 65536 else None
    return None


def _is_ipv4(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def _is_endpoint_address(text: str) -> bool:
    return _is_ipv4(text) and not ipaddress.IPv4Address(text).is_loopback


def _addresses(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({t for t in texts if _is_ipv4(t)}))


def _ranges(texts: Sequence[str] | None) -> tuple[str, ...] | None:
    """IPv4 ranges in canonical form, None for no restriction; what is no range is left out, so it opens nothing."""
    if not texts:
        return None
    ranges = set()
    for text in texts:
        try:
            ranges.add(str(ipaddress.IPv4Network(text.strip(), strict=False)))
        except ValueError:
            continue
    return None if "0.0.0.0/0" in ranges else tuple(sorted(ranges))
