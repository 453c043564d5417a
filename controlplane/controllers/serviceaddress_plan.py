"""Public addresses of Services of type LoadBalancer: which address each has, and which worker announces it. Pure.

An address comes from the pool, is never given twice, and stays with its Service. One healthy worker announces it: the
one that does already, else the one that announces fewest. Away from a lost worker it moves at once: its fence has
dropped the address before it was called lost. Away from one that is alive (not ready, or no node any more) it moves
in two steps, first from there, a moment later to the next, so that never two machines answer for it.

The Service tells all of it: address in the status, announcer in the annotation `kubelab.io/announced-by`, and the
reason while it has none in the condition. After pkg/controller (cloud-provider/controllers/service), with MetalLB's
layer-2 mode as the model for announcing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from controlplane.api.addresspool import Pool
from controlplane.api.types import Node, Service
from controlplane.controllers.nodelifecycle_plan import ready_status

ANNOUNCED_BY = "kubelab.io/announced-by"
CONDITION = "kubelab.io/Announced"


class Reason(Enum):
    """Of the condition: True for the first, False for the others."""

    ANNOUNCED = "Announced"
    MOVING = "Moving"
    NO_HEALTHY_WORKER = "NoHealthyWorker"
    POOL_EXHAUSTED = "PoolExhausted"
    NOT_IN_POOL = "AddressNotInPool"
    ADDRESS_TAKEN = "AddressTaken"


class Announcer(Enum):
    """What a worker is to the addresses that it announces."""

    HEALTHY = "healthy"
    ALIVE = "alive"
    LOST = "lost"


@dataclass(frozen=True)
class Given:
    """What one Service gets: an address, an announcer (either may be empty), and the reason in words."""

    service: Service
    address: str
    node: str
    reason: Reason
    message: str


def address_of(service: Service) -> str:
    """The public address that its status tells."""
    return next((i.ip for i in service.status.load_balancer.ingress or () if i.ip), "")


def announcer_of(service: Service) -> str:
    return (service.metadata.annotations or {}).get(ANNOUNCED_BY, "")


def wants_address(service: Service) -> bool:
    """Of type LoadBalancer, of no other class than ours, and not being deleted."""
    meta, spec = service.metadata, service.spec
    return spec.type == "LoadBalancer" and not spec.load_balancer_class and meta.deletion_timestamp is None


def announcers(nodes: Iterable[Node]) -> dict[str, Announcer]:
    """What each worker is; the control plane's machine never announces."""
    states = {"True": Announcer.HEALTHY, "Unknown": Announcer.LOST}
    return {
        node.metadata.name: states.get(ready_status(node), Announcer.ALIVE)
        for node in nodes
        if not node.control_plane
    }


def plan(
    services: Sequence[Service],
    pool: Pool,
    workers: Mapping[str, Announcer],
    held: Mapping[str, str],
    releasing: frozenset[str],
) -> list[Given]:
    """What every Service gets.

    `held`: uid → address given already, in the status or by a write that the cache doesn't show yet. `releasing`:
    uids whose announcer was told to stop a moment ago.
    """
    wanting = sorted(filter(wants_address, services), key=_age)
    addresses = _addresses(wanting, pool, held)
    load = Counter(announcer_of(s) for s in wanting if workers.get(announcer_of(s)) is Announcer.HEALTHY)
    given = []
    for service in wanting:
        address = addresses[service.metadata.uid]
        if isinstance(address, Given):
            given.append(address)
            continue
        one = _announce(service, address, workers, load, service.metadata.uid in releasing)
        load[one.node] += one.node != announcer_of(service)
        given.append(one)
    return given


def _age(service: Service) -> tuple[float, str]:
    created = service.metadata.creation_timestamp
    return (created.timestamp() if created else 0.0, service.metadata.uid)


def _addresses(wanting: Sequence[Service], pool: Pool, held: Mapping[str, str]) -> dict[str, str | Given]:
    """uid → its address, or why it has none. Who has one keeps it; then the older ones choose first."""
    result: dict[str, str | Given] = {}
    taken: set[str] = set()
    for service in wanting:
        has, asked = held.get(service.metadata.uid, ""), service.spec.load_balancer_ip
        if has and has in pool and has not in taken and asked in ("", has):
            result[service.metadata.uid] = has
            taken.add(has)
    for service in wanting:
        uid, asked = service.metadata.uid, service.spec.load_balancer_ip
        if uid in result:
            continue
        address = asked or next((a for a in pool if a not in taken), "")
        if not address:
            result[uid] = _none(service, Reason.POOL_EXHAUSTED, f"every address of the pool {pool} is taken")
        elif address not in pool:
            result[uid] = _none(service, Reason.NOT_IN_POOL, f"{address} is not in the pool {pool}")
        elif address in taken:
            result[uid] = _none(service, Reason.ADDRESS_TAKEN, f"{address} belongs to another Service")
        else:
            result[uid] = address
            taken.add(address)
    return result


def _none(service: Service, reason: Reason, message: str) -> Given:
    return Given(service, "", "", reason, message)


def _announce(
    service: Service, address: str, workers: Mapping[str, Announcer], load: Counter[str], releasing: bool
) -> Given:
    current = announcer_of(service)
    state = workers.get(current, Announcer.ALIVE) if current else None
    if state is Announcer.HEALTHY:
        return Given(service, address, current, Reason.ANNOUNCED, f"{current} announces {address}")
    healthy = [name for name, what in workers.items() if what is Announcer.HEALTHY]
    if not healthy:
        words = f"no worker is healthy: nobody can take {address}"
        return Given(service, address, current, Reason.NO_HEALTHY_WORKER, words)
    if state is Announcer.ALIVE or releasing:
        return Given(service, address, "", Reason.MOVING, f"{address} is on its way to another worker")
    node = min(healthy, key=lambda name: (load[name], name))
    return Given(service, address, node, Reason.ANNOUNCED, f"{node} announces {address}")
