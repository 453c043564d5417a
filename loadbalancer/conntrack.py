"""Connections that the kernel still translates to endpoints that are gone.

UDP has no end of a connection: a client that keeps sending from one port would keep reaching a dead endpoint for as
long as it sends. So after every change of UDP endpoints, and once at the start, the kernel's entries are read and the
stale ones dropped: those whose destination is a service of ours but whose answers would come from none of its
endpoints. TCP clients notice by themselves.

Follows upstream pkg/proxy/conntrack/cleanup.go.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from loadbalancer.commands import CommandError, Run
from loadbalancer.services import Backend, ServicePort

Frontend = tuple[str, int]
"""(address, port) that clients use."""
UdpEndpoints = Mapping[Frontend, frozenset[Backend]]

_FLOW = re.compile(
    r"^udp .*?src=(?P<client>\S+) dst=(?P<dst>\S+) sport=\d+ dport=(?P<dport>\d+)"
    r".*? src=(?P<reply_src>\S+) dst=\S+ sport=(?P<reply_sport>\d+)"
)


@dataclass(frozen=True, order=True)
class StaleFlows:
    """All flows to one frontend that are answered by one address which has no endpoint of it any more."""

    destination: str
    port: int
    answered_by: str


def udp_endpoints(ports: Iterable[ServicePort], node_address: str) -> dict[Frontend, frozenset[Backend]]:
    """Every address and port under which a UDP service can be reached on this node, and its endpoints. Pure."""
    result: dict[Frontend, frozenset[Backend]] = {}
    for port in ports:
        if port.protocol != "udp":
            continue
        backends = frozenset((*port.everywhere, *port.here))
        for address in (port.cluster_ip, *port.external_ips, *port.public_ips):
            result[address, port.port] = backends
        if port.node_port:
            for address in (node_address, *port.public_ips):
                result[address, port.node_port] = backends
    return result


def stale_flows(listing: str, endpoints: UdpEndpoints) -> list[StaleFlows]:
    """What of `conntrack -L -p udp`'s output leads to an endpoint that isn't one any more. Pure."""
    stale = set()
    for line in listing.splitlines():
        flow = _FLOW.match(line)
        if flow is None:
            continue
        frontend = (flow["dst"], int(flow["dport"]))
        if frontend not in endpoints:
            continue
        if Backend(flow["reply_src"], int(flow["reply_sport"])) not in endpoints[frontend]:
            stale.add(StaleFlows(*frontend, answered_by=flow["reply_src"]))
    return sorted(stale)


class Conntrack:
    """The kernel's table of connections, through `conntrack`."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def drop_stale(self, endpoints: UdpEndpoints) -> list[StaleFlows]:
        """Drops the flows to dead endpoints; returns them. Raises: CommandError."""
        stale = stale_flows(self._run(["conntrack", "-L", "-p", "udp"]), endpoints)
        for flows in stale:
            self._drop(flows)
        return stale

    def _drop(self, flows: StaleFlows) -> None:
        frontend = ["--orig-dst", flows.destination, "--orig-port-dst", str(flows.port)]
        try:
            self._run(["conntrack", "-D", "-p", "udp", *frontend, "--reply-src", flows.answered_by])
        except CommandError as e:
            if "0 flow entries" not in e.stderr:  # it ended between our look and this
                raise
