"""The loop that makes this node's rules, routes and UDP connections what the API's objects ask for.

Informers wake it; bursts of changes become one pass. What must hold: nothing is touched before all informers have
synced, so a restart leaves in place what works; a pass that fails is tried again; a pass feeds only what differs; at
least every CHECK_EVERY_S the kernel's own rules and routes are compared, so that what others flushed comes back.

Follows upstream pkg/proxy/iptables/proxier.go (syncProxyRules) and its BoundedFrequencyRunner.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from controlplane.api.types import EndpointSlice, Node, Service
from controlplane.client import Clock
from controlplane.daemon import event
from loadbalancer.builder import Builder, Wanted
from loadbalancer.commands import CommandError
from loadbalancer.conntrack import StaleFlows, UdpEndpoints
from loadbalancer.routes import RouteTable
from loadbalancer.rules import RuleSet

log = logging.getLogger(__name__)

MIN_INTERVAL_S = 0.1
CHECK_EVERY_S = 4.0
RETRY_FIRST_S = 0.25
RETRY_MAX_S = 2.0


class RulePort(Protocol):
    """The kernel's rules (see `iptables.Iptables`)."""

    def apply(self, wanted: RuleSet) -> int: ...
    def repair(self, wanted: RuleSet) -> int: ...


class RoutePort(Protocol):
    """The kernel's routes (see `routes.Routes`)."""

    def sync(self, wanted: RouteTable) -> list[str]: ...


class FlowPort(Protocol):
    """The kernel's connections (see `conntrack.Conntrack`)."""

    def drop_stale(self, endpoints: UdpEndpoints) -> Sequence[StaleFlows]: ...


class State(Protocol):
    """What the API server holds, as far as this node has heard."""

    def services(self) -> list[Service]: ...
    def slices(self) -> list[EndpointSlice]: ...
    def nodes(self) -> list[Node]: ...


class Proxier:
    """One pass at a time: `sync` after a change, `check` now and then. For one thread."""

    def __init__(
        self, state: State, builder: Builder, rules: RulePort, routes: RoutePort, flows: FlowPort, clock: Clock
    ) -> None:
        self._state = state
        self._builder = builder
        self._rules = rules
        self._routes = routes
        self._flows = flows
        self._clock = clock
        self._wanted: Wanted | None = None
        self._udp_in_order: UdpEndpoints | None = None
        self._refused: tuple[str, ...] = ()
        self._no_conntrack = ""

    def sync(self) -> None:
        """Brings everything that changed into the kernel. Raises: CommandError; what failed is tried next time."""
        started = self._clock.monotonic()
        wanted = self._builder.build(self._state.services(), self._state.slices(), self._state.nodes())
        self._wanted = wanted
        fed = self._rules.apply(wanted.rules)
        if fed:
            event(log, "rules", lines=fed, duration_s=self._clock.monotonic() - started)
        self._drop_stale_flows(wanted.udp)
        self._tell_refused(wanted.refused)
        self._sync_routes(wanted.routes)

    def check(self) -> None:
        """Compares with what really is in the kernel, and repairs it. Raises: CommandError."""
        if self._wanted is None:
            return
        fed = self._rules.repair(self._wanted.rules)
        if fed:
            event(log, "rules-repaired", level=logging.WARNING, lines=fed, reason="somebody else changed them")
        self._sync_routes(self._wanted.routes)

    def _sync_routes(self, wanted: RouteTable) -> None:
        for change in self._routes.sync(wanted):
            event(log, "route", route=change)

    def _drop_stale_flows(self, udp: UdpEndpoints) -> None:
        """Only after the rules, so that no new flow goes to a dead endpoint. A failure costs old flows only."""
        if udp == self._udp_in_order:
            return
        try:
            dropped = self._flows.drop_stale(udp) if udp else ()
        except CommandError as e:
            if str(e) != self._no_conntrack:
                self._no_conntrack = str(e)
                event(log, "flows-not-dropped", level=logging.WARNING, error=e)
            return
        for flows in dropped:
            event(log, "flows-dropped", to=f"{flows.destination}:{flows.port}", answered_by=flows.answered_by)
        self._udp_in_order = udp

    def _tell_refused(self, refused: tuple[str, ...]) -> None:
        for text in refused:
            if text not in self._refused:
                event(log, "refused", level=logging.WARNING, reason=text)
        self._refused = refused


def run(
    proxier: Proxier, changed: threading.Event, stop: threading.Event, after_first: Callable[[], None] = lambda: None
) -> None:
    """Passes until `stop`; `changed` is set when an informer has news, and at the end. The informers have synced."""
    retry_s = 0.0
    first = True
    next_check = time.monotonic() + CHECK_EVERY_S
    changed.set()
    while not stop.is_set():
        has_news = changed.wait(retry_s or max(next_check - time.monotonic(), 0.0))
        if stop.is_set():
            return
        changed.clear()
        try:
            if has_news or retry_s:
                proxier.sync()
            else:
                proxier.check()
                next_check = time.monotonic() + CHECK_EVERY_S
            retry_s = 0.0
        except CommandError as e:
            retry_s = min(max(retry_s * 2, RETRY_FIRST_S), RETRY_MAX_S)
            event(log, "retry", level=logging.WARNING, error=e, again_s=retry_s)
        else:
            if first:
                first = False
                after_first()
        stop.wait(MIN_INTERVAL_S)
