"""What one pod asks of a node: the scheduler's view of a pod, made once when the pod is seen.

Filters and scores read a `Demand`, never a whole pod, so that what a placement depends on stands in one place. A
pod asks for the larger of the sum of its containers and the largest of its init containers (they run one after the
other), and always for one of the node's `pods`. cpu counts in thousandths of a core, everything else in whole units.

Follows pkg/scheduler/framework/types.go (calculateResource) and component-helpers/resource/helpers.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from controlplane.api import quantity
from controlplane.api.types import Container, Pod, Toleration

CPU, MEMORY, EPHEMERAL_STORAGE, PODS = "cpu", "memory", "ephemeral-storage", "pods"

SCORED_CPU_MILLI = 100
"""A container that asks for no cpu counts this much in scores, so that such pods spread too (upstream's figure)."""
SCORED_MEMORY_BYTES = 200 * 1024 * 1024
LIMIT = 1 << 52
"""No amount counts for more than this (4 PiB): sums of many stay inside 64 bits."""


@dataclass(frozen=True, slots=True)
class HostPort:
    """A port of the node that a container wants; "" as address means all of the node's addresses."""

    protocol: str
    port: int
    address: str

    def collides(self, other: HostPort) -> bool:
        if (self.protocol, self.port) != (other.protocol, other.port):
            return False
        return not self.address or not other.address or self.address == other.address


@dataclass(frozen=True, slots=True)
class Demand:
    """What one pod asks for, and how it counts once it is placed."""

    key: tuple[str, str]
    uid: str
    requests: Mapping[str, int]
    scored_cpu_milli: int
    scored_memory_bytes: int
    host_ports: tuple[HostPort, ...] = ()
    node_selector: Mapping[str, str] | None = None
    tolerations: tuple[Toleration, ...] = ()
    controller_uid: str = ""
    priority: int = 0


def amount(resource: str, text: str) -> int:
    """A quantity in the unit that the table counts in: thousandths of a core for cpu, else whole units.

    Raises: QuantityError.
    """
    value = quantity.milli(text) if resource == CPU else quantity.to_bytes(text)
    return min(value, LIMIT)


def demand_of(pod: Pod) -> Demand:
    """The demand of a pod as the API shows it.

    Raises: QuantityError when a request is not a quantity (the API refuses such pods).
    """
    requests: dict[str, int] = {}
    scored_cpu, scored_memory = 0, 0
    for container in pod.spec.containers:
        own = _requests(container)
        for resource, value in own.items():
            requests[resource] = min(requests.get(resource, 0) + value, LIMIT)
        scored_cpu += own.get(CPU) or SCORED_CPU_MILLI
        scored_memory += own.get(MEMORY) or SCORED_MEMORY_BYTES
    for container in pod.spec.init_containers or ():
        for resource, value in _requests(container).items():
            requests[resource] = max(requests.get(resource, 0), value)
    controller = pod.metadata.controller()
    return Demand(
        key=pod.key,
        uid=pod.metadata.uid,
        requests={name: value for name, value in requests.items() if value > 0} | {PODS: 1},
        scored_cpu_milli=max(min(scored_cpu, LIMIT), requests.get(CPU, 0)),
        scored_memory_bytes=max(min(scored_memory, LIMIT), requests.get(MEMORY, 0)),
        host_ports=tuple(_host_ports(pod)),
        node_selector=pod.spec.node_selector or None,
        tolerations=tuple(pod.spec.tolerations or ()),
        controller_uid=controller.uid if controller else "",
        priority=pod.spec.priority or 0,
    )


def _requests(container: Container) -> dict[str, int]:
    asked = {**(container.resources.limits or {}), **(container.resources.requests or {})}
    return {resource: amount(resource, text) for resource, text in asked.items()}


def _host_ports(pod: Pod) -> list[HostPort]:
    found = []
    for container in pod.spec.containers:
        for port in container.ports or ():
            number = port.container_port if pod.spec.host_network else port.host_port
            if number:
                address = "" if port.host_ip in ("", "0.0.0.0") else port.host_ip  # noqa: S104 (compared, never bound)
                found.append(HostPort(port.protocol, number, address))
    return found
