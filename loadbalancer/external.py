"""Public addresses: this node answers for those that the Service's annotation gives to it, and for no other.

What must hold: an address is answered for by one node at most. So before it takes an address a node asks the API
server itself (not its cache) whether the address is still its own, asks the network whether another machine answers
for it, and looks for the fence marker before and after. While the marker (`/run/kubelab/fenced`) exists the node
announces nothing. Who announces is decided by a controller of the control plane; an address that is held stays while
the API server is away, since the fence is what ends that.

An address is held as `ADDRESS/32` with the label `INTERFACE:lb`, by which the node's agent and watchdog find it when
they fence. Follows MetalLB's layer 2 mode (internal/layer2/announcer.go).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import msgspec

from controlplane.api.addresspool import Pool
from controlplane.api.errors import ApiError
from controlplane.api.types import Service
from controlplane.client.clock import Clock
from controlplane.client.workqueue import Key
from controlplane.daemon import event
from loadbalancer.commands import CommandError, Run

log = logging.getLogger(__name__)

ANNOUNCED_BY = "kubelab.io/announced-by"

FENCE_POLL_S = 0.25
IDLE_POLL_S = 1.0
LOOK_EVERY_S = 4.0
RETRY_S = 0.5
REPEAT_ANNOUNCEMENT_AFTER_S = (0.2, 0.5, 1.0, 2.0, 4.0)


def addresses_of(service: Service, pool: Pool) -> list[str]:
    """The public addresses of a Service that come from the pool."""
    if service.spec.type != "LoadBalancer":
        return []
    return [i.ip for i in service.status.load_balancer.ingress or () if i.ip in pool]


def wanted_addresses(services: Iterable[Service], node_name: str, pool: Pool) -> dict[str, Key]:
    """The addresses for which this node answers, each with its Service. Pure.

    Should two Services have one address, the one whose key comes first has it on all nodes.
    """
    owner: dict[str, Service] = {}
    for service in sorted(services, key=lambda s: s.key):
        for address in addresses_of(service, pool):
            owner.setdefault(address, service)
    return {
        address: service.key
        for address, service in owner.items()
        if (service.metadata.annotations or {}).get(ANNOUNCED_BY) == node_name
    }


class Holder(Protocol):
    """The addresses that this machine holds for the public."""

    def held(self) -> set[str]: ...
    def add(self, address: str) -> None: ...
    def remove(self, address: str) -> None: ...


class Neighbours(Protocol):
    """The other machines on the lab's network (see `arp.Arp`)."""

    def announce(self, address: str) -> None: ...
    def in_use(self, addresses: Iterable[str]) -> dict[str, str]: ...


class Announcer:
    """Makes the addresses that this machine holds those that are wanted, one `step` at a time."""

    def __init__(
        self,
        holder: Holder,
        neighbours: Neighbours,
        fenced: Callable[[], bool],
        still_ours: Callable[[str, Key], bool],
        clock: Clock,
    ) -> None:
        """`still_ours` asks the API server whether an address is this node's; it may raise ApiError."""
        self._holder = holder
        self._neighbours = neighbours
        self._fenced = fenced
        self._still_ours = still_ours
        self._clock = clock
        self._dropped_for_fence = False
        self._settled: Mapping[str, Key] | None = None
        """What was wanted when everything was last in order; None while something is left to do."""
        self._looked_at = float("-inf")
        self._repeats: list[tuple[float, str]] = []
        self._told: dict[str, str] = {}

    def step(self, wanted: Mapping[str, Key]) -> float:
        """Does what is due; returns the seconds until there may be more. Raises: CommandError, OSError."""
        now = self._clock.monotonic()
        if self._fenced():
            self._drop_everything()
            return FENCE_POLL_S
        self._dropped_for_fence = False
        # Nothing wanted and nothing held needs no look: on most nodes that is so for ever.
        look_again = bool(wanted) and now - self._looked_at >= LOOK_EVERY_S
        if wanted != self._settled or look_again:
            self._settled = None
            self._looked_at = now
            if self._reconcile(wanted, now):
                self._settled = dict(wanted)
        self._repeat_announcements(wanted, now)
        if self._settled is None:
            return RETRY_S
        return min([IDLE_POLL_S, *(max(due - now, 0.0) for due, _ in self._repeats)])

    def _drop_everything(self) -> None:
        if self._dropped_for_fence:
            return
        self._settled = None
        self._repeats.clear()
        for address in self._holder.held():
            self._remove(address, "fenced")
        self._dropped_for_fence = True

    def _remove(self, address: str, why: str) -> None:
        self._holder.remove(address)
        event(log, "withdrawn", address=address, reason=why)

    def _reconcile(self, wanted: Mapping[str, Key], now: float) -> bool:
        """One pass; whether everything wanted is held now."""
        held = self._holder.held()
        for address in sorted(held - wanted.keys()):
            self._remove(address, "no longer ours")
        candidates = [a for a in sorted(wanted.keys() - held) if self._confirmed(a, wanted[a])]
        users = self._neighbours.in_use(candidates) if candidates else {}
        for address, machine in users.items():
            self._tell_once(address, f"{machine} still answers for it")
        for address in candidates:
            if address not in users:
                self._take(address, wanted[address], now)
        return wanted.keys() <= self._holder.held()

    def _confirmed(self, address: str, key: Key) -> bool:
        try:
            ours = self._still_ours(address, key)
        except ApiError as e:
            self._tell_once(address, f"the API server can't confirm it: {e.message}")
            return False
        if not ours:
            self._tell_once(address, "it belongs to another node by now")
        return ours

    def _take(self, address: str, key: Key, now: float) -> None:
        if self._fenced():
            return
        self._holder.add(address)
        if self._fenced():  # it came up while we were adding, and those who fence may have looked before
            self._remove(address, "fenced")
            return
        self._neighbours.announce(address)
        self._repeats += [(now + delay, address) for delay in REPEAT_ANNOUNCEMENT_AFTER_S]
        self._told.pop(address, None)
        event(log, "announced", address=address, key="/".join(key))

    def _repeat_announcements(self, wanted: Mapping[str, Key], now: float) -> None:
        """An announcement is one lost frame away from being missed, so it is made several times."""
        for _, address in [r for r in self._repeats if r[0] <= now]:
            if address in wanted:
                self._neighbours.announce(address)
        self._repeats = [r for r in self._repeats if r[0] > now]

    def _tell_once(self, address: str, reason: str) -> None:
        if self._told.get(address) != reason:
            self._told[address] = reason
            event(log, "not-announced", address=address, reason=reason)


class _AddressInfo(msgspec.Struct):
    local: str = ""
    label: str = ""


class _Link(msgspec.Struct):
    addr_info: list[_AddressInfo] = msgspec.field(default_factory=list)


class InterfaceAddresses:
    """Public addresses on the lab's interface, through `ip addr`. Every method raises CommandError."""

    def __init__(self, interface: str, run: Run) -> None:
        self._interface = interface
        self._label = f"{interface}:lb"
        self._run = run

    def held(self) -> set[str]:
        shown = self._run(["ip", "-4", "-json", "addr", "show", "dev", self._interface])
        links = msgspec.json.decode(shown.strip() or "[]", type=list[_Link])
        return {info.local for link in links for info in link.addr_info if info.label == self._label}

    def add(self, address: str) -> None:
        self._run(["ip", "addr", "add", f"{address}/32", "dev", self._interface, "label", self._label])

    def remove(self, address: str) -> None:
        try:
            self._run(["ip", "addr", "del", f"{address}/32", "dev", self._interface])
        except CommandError:
            if address in self.held():  # else whoever fences was faster
                raise


def run(
    announcer: Announcer, wanted: Callable[[], Mapping[str, Key]], wake: threading.Event, stop: threading.Event
) -> None:
    """Steps until `stop`; `wake` is set when what is wanted may have changed."""
    failure = ""
    while not stop.is_set():
        wake.clear()
        try:
            delay_s = announcer.step(wanted())
            failure = ""
        except (CommandError, OSError) as e:
            if str(e) != failure:
                failure = str(e)
                event(log, "announce-failed", level=logging.WARNING, error=failure)
            delay_s = RETRY_S
        wake.wait(delay_s)
