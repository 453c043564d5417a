"""Which addresses stand behind a Service, and how they are told: EndpointSlices and the older Endpoints. Pure.

A pod stands behind a Service when its labels match, it has an address and is not finished. It is ready when its Ready
condition says so and its node is not lost: dead endpoints go at once, without waiting until each pod is patched. A
terminating pod stays in the slices (serving, not ready) so that connections can drain, and leaves the Endpoints. Pods
that resolve a named port to different numbers stand in different slices. A slice keeps the endpoints that it has, so
that one change writes one slice. After staging/src/k8s.io/endpointslice/reconciler.go and
pkg/controller/endpoint/endpoints_controller.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from controlplane.api.types import (
    Endpoint,
    EndpointAddress,
    EndpointConditions,
    EndpointPort,
    EndpointSlice,
    EndpointSubset,
    ObjectReference,
    Pod,
    Service,
    ServicePort,
)
from controlplane.controllers.replication_plan import matches

SLICE_SIZE = 100
ENDPOINTS_SIZE = 1000
SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
MANAGER = "endpointslice-controller.k8s.io"
ENDPOINTS_MANAGED_BY = "endpoints.kubernetes.io/managed-by"
ENDPOINTS_MANAGER = "endpoint-controller"
HEADLESS = "service.kubernetes.io/headless"

Ports = tuple[tuple[str, str, int, str | None], ...]
"""(name, protocol, number, appProtocol) of each port, as one pod resolves them."""


@dataclass(frozen=True)
class Target:
    """One pod behind the Service."""

    pod: Pod
    ports: Ports
    serving: bool
    ready: bool

    def endpoint(self, service: Service) -> Endpoint:
        """As a slice tells it."""
        meta = self.pod.metadata
        return Endpoint(
            addresses=[self.pod.status.pod_ip],
            conditions=EndpointConditions(ready=self.ready, serving=self.serving, terminating=self.pod.terminating),
            hostname=_hostname(service, self.pod) or None,
            node_name=self.pod.spec.node_name or None,
            target_ref=ObjectReference(kind="Pod", namespace=meta.namespace, name=meta.name, uid=meta.uid),
        )

    def address(self, service: Service) -> EndpointAddress:
        """As Endpoints tell it."""
        meta = self.pod.metadata
        return EndpointAddress(
            ip=self.pod.status.pod_ip,
            hostname=_hostname(service, self.pod),
            node_name=self.pod.spec.node_name or None,
            target_ref=ObjectReference(kind="Pod", namespace=meta.namespace, name=meta.name, uid=meta.uid),
        )


@dataclass(frozen=True)
class SlicePlan:
    """Slices to create (without a name), to update (in place of the one with that name), to delete."""

    create: tuple[EndpointSlice, ...] = ()
    update: tuple[EndpointSlice, ...] = ()
    delete: tuple[EndpointSlice, ...] = ()


def targets(service: Service, pods: Iterable[Pod], lost_nodes: frozenset[str]) -> list[Target]:
    """The pods behind a Service, in the order of their names."""
    found = []
    for pod in sorted(pods, key=lambda p: p.key):
        if pod.finished or not pod.status.pod_ip or not matches(service.spec.selector, pod.metadata.labels):
            continue
        serving = pod.ready and pod.spec.node_name not in lost_nodes
        ready = service.spec.publish_not_ready_addresses or (serving and not pod.terminating)
        found.append(Target(pod, _ports(service, pod), serving, ready))
    return found


def _ports(service: Service, pod: Pod) -> Ports:
    resolved = []
    for port in service.spec.ports or ():
        number = _number(port, pod)
        if number is not None:
            resolved.append((port.name, port.protocol, number, port.app_protocol))
    return tuple(resolved)


def _number(port: ServicePort, pod: Pod) -> int | None:
    """The port's number on this pod; None when it has no port of that name."""
    if isinstance(port.target_port, int):
        return port.target_port or port.port
    if not port.target_port:
        return port.port
    for container in pod.spec.containers:
        for own in container.ports or ():
            if own.name == port.target_port and own.protocol == port.protocol:
                return own.container_port
    return None


def _hostname(service: Service, pod: Pod) -> str:
    return pod.spec.hostname if pod.spec.hostname and pod.spec.subdomain == service.metadata.name else ""


def labels_of(service: Service, **own: str) -> dict[str, str]:
    """The Service's labels with the controller's own."""
    made = {**(service.metadata.labels or {}), **own}
    made.pop(HEADLESS, None)
    if service.headless:
        made[HEADLESS] = ""
    return made


# --- slices -----------------------------------------------------------------------------------------------------


@dataclass
class _Filling:
    """A slice while its new content is put together."""

    old: EndpointSlice | None
    endpoints: list[Endpoint] = field(default_factory=list)


def plan_slices(service: Service, found: Sequence[Target], existing: Sequence[EndpointSlice]) -> SlicePlan:
    """What brings the Service's slices in line; `existing` are the ones that this controller manages."""
    labels = labels_of(service, **{SERVICE_NAME: service.metadata.name, MANAGED_BY: MANAGER})
    groups: dict[Ports, list[Target]] = {}
    for target in found:
        groups.setdefault(target.ports, []).append(target)
    fillings: list[tuple[Ports, _Filling]] = []
    unused = sorted(existing, key=lambda s: s.metadata.name)
    for ports, group in groups.items():
        mine = [s for s in unused if _ports_of(s) == ports and s.address_type == "IPv4"]
        unused = [s for s in unused if s not in mine]
        fillings += [(ports, filling) for filling in _fill(service, group, mine)]
    if not fillings:
        placeholder = unused.pop(0) if unused else None
        fillings.append((_ports_of(placeholder) if placeholder else (), _Filling(placeholder)))
    create, update, delete = [], [], list(unused)
    for ports, filling in fillings:
        old = filling.old
        if old is None:
            create.append(_slice(labels, ports, filling.endpoints))
        elif not filling.endpoints and len(fillings) > 1:
            delete.append(old)
        elif filling.endpoints != old.endpoints or (old.metadata.labels or {}) != labels:
            changed = _slice(labels, ports, filling.endpoints)
            changed.metadata.name = old.metadata.name
            update.append(changed)
    return SlicePlan(tuple(create), tuple(update), tuple(delete))


def _fill(service: Service, group: Sequence[Target], slices: Sequence[EndpointSlice]) -> list[_Filling]:
    """Each endpoint stays in the slice that has it; new ones fill what has room, then new slices."""
    wanted = {target.pod.metadata.uid: target.endpoint(service) for target in group}
    fillings = [_Filling(old) for old in slices]
    for filling in fillings:
        for endpoint in filling.old.endpoints if filling.old else ():
            uid = endpoint.target_ref.uid if endpoint.target_ref else ""
            if uid in wanted:
                filling.endpoints.append(wanted.pop(uid))
    for endpoint in wanted.values():
        room = next((f for f in fillings if len(f.endpoints) < SLICE_SIZE), None)
        if room is None:
            room = _Filling(None)
            fillings.append(room)
        room.endpoints.append(endpoint)
    return fillings


def _slice(labels: Mapping[str, str], ports: Ports, endpoints: list[Endpoint]) -> EndpointSlice:
    made = EndpointSlice(endpoints=endpoints, ports=_endpoint_ports(ports), address_type="IPv4")
    made.metadata.labels = dict(labels)
    return made


def _endpoint_ports(ports: Ports) -> list[EndpointPort]:
    return [EndpointPort(name=n, protocol=p, port=number, app_protocol=app) for n, p, number, app in ports]


def _ports_of(one: EndpointSlice) -> Ports:
    return tuple((p.name or "", p.protocol or "TCP", p.port or 0, p.app_protocol) for p in one.ports or ())


# --- Endpoints --------------------------------------------------------------------------------------------------


def subsets(service: Service, found: Sequence[Target]) -> list[EndpointSubset]:
    """The subsets of the Service's Endpoints: addresses grouped by the ports that they serve."""
    groups: dict[Ports, EndpointSubset] = {}
    for target in [t for t in found if not t.pod.terminating or t.ready][:ENDPOINTS_SIZE]:
        subset = groups.get(target.ports)
        if subset is None:
            ports = [
                EndpointPort(name=n or None, protocol=p, port=no, app_protocol=a) for n, p, no, a in target.ports
            ]
            subset = groups[target.ports] = EndpointSubset(ports=ports or None)
        if target.ready:
            subset.addresses = [*(subset.addresses or ()), target.address(service)]
        else:
            subset.not_ready_addresses = [*(subset.not_ready_addresses or ()), target.address(service)]
    return [groups[ports] for ports in sorted(groups, key=lambda ports: [port[:3] for port in ports])]
