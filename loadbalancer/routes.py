"""Host routes to the pods of the other nodes: one route per node, all nodes being on one layer-2 network.

And one for the range of the services: their addresses exist on no machine, but without a route the kernel refuses to
send to them before a rule can give the packet its true destination; nodes of a lab may have no default route.

What must hold: a node's route stays for as long as its Node object exists, since a node that is down comes back with
the same range; only routes of ours are touched (they carry a protocol number of their own, so they can be told from
other people's, and survive a restart of the proxy); no node can claim a range outside of the pods' or another's.

Upstream leaves this to a network plugin; flannel's `host-gw` backend (pkg/backend/hostgw) does the same.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping

import msgspec

from controlplane.api.types import Node
from loadbalancer.commands import CommandError, Run

ROUTE_PROTOCOL = "76"
"""Marks our routes in the kernel's table (see /etc/iproute2/rt_protos); free for private use."""

RouteTable = Mapping[str, str]
"""Range → address of the node that has it; empty for a range that is right on our network."""


def wanted_routes(nodes: Iterable[Node], own_name: str, own_range: str, cluster_cidr: str) -> dict[str, str]:
    """The routes that this node needs. Pure; of two nodes that claim overlapping ranges the older one wins."""
    cluster = ipaddress.IPv4Network(cluster_cidr)
    taken = [ipaddress.IPv4Network(own_range)]
    routes: dict[str, str] = {}
    for node in sorted(nodes, key=_age):
        pods, address = _network(node.spec.pod_cidr), _address(node.internal_ip)
        if node.metadata.name == own_name or pods is None or not address:
            continue
        if not pods.subnet_of(cluster) or any(pods.overlaps(other) for other in taken):
            continue
        taken.append(pods)
        routes[str(pods)] = address
    return routes


def _age(node: Node) -> tuple[float, str]:
    created = node.metadata.creation_timestamp
    return (created.timestamp() if created else float("inf"), node.metadata.name)


def _network(text: str) -> ipaddress.IPv4Network | None:
    try:
        return ipaddress.IPv4Network(text)
    except ValueError:
        return None


def _address(text: str) -> str:
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError:
        return ""


def node_addresses(nodes: Iterable[Node], own_address: str) -> tuple[str, ...]:
    """The addresses of all nodes of the cluster, this one's even when it isn't registered yet; sorted. Pure."""
    found = {_address(a.address) for node in nodes for a in node.status.addresses or () if a.type == "InternalIP"}
    return tuple(sorted((found | {own_address}) - {""}, key=ipaddress.IPv4Address))


class _Route(msgspec.Struct):
    dst: str
    gateway: str = ""


class Routes:
    """Our routes in the kernel's table, through `ip route`."""

    def __init__(self, interface: str, own_address: str, run: Run) -> None:
        self._interface = interface
        self._own_address = own_address
        self._run = run

    def read(self) -> dict[str, str]:
        """Our routes as they are. Raises: CommandError."""
        shown = self._run(["ip", "-4", "-json", "route", "show", "proto", ROUTE_PROTOCOL])
        return {r.dst: r.gateway for r in msgspec.json.decode(shown.strip() or "[]", type=list[_Route])}

    def sync(self, wanted: RouteTable) -> list[str]:
        """Makes our routes those wanted; returns in words what changed.

        Raises: CommandError of the first route that could not be set, after all others were.
        """
        actual = self.read()
        failure: CommandError | None = None
        changed: list[str] = []
        for pods, via in wanted.items():
            if actual.get(pods) != via:
                try:
                    self._run(self._replace(pods, via))
                    changed.append(f"{pods} via {via or self._interface}")
                except CommandError as e:
                    failure = failure or e
        for pods in actual.keys() - wanted.keys():
            self._run(["ip", "-4", "route", "del", pods, "proto", ROUTE_PROTOCOL])
            changed.append(f"{pods} removed")
        if failure is not None:
            raise failure
        return changed

    def _replace(self, pods: str, via: str) -> list[str]:
        where = ["via", via] if via else ["src", self._own_address]
        return ["ip", "-4", "route", "replace", pods, *where, "dev", self._interface, "proto", ROUTE_PROTOCOL]
