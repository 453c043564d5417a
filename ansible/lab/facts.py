"""The node table of ansible/lab.toml as values, and one lab's share of it (names, addresses, ranges, ports).

Pure. Every other module of the lab gets a `Lab` from here; nothing else computes an address.
"""

from __future__ import annotations

import ipaddress
import re
import tomllib
from dataclasses import dataclass
from typing import Any

MAX_SLOT = 15
FIXED_SLOTS = {"kubelab": 0, "kltest": 1}
_LAB_NAME = re.compile(r"[a-z][a-z0-9]{0,9}")


class FactsError(ValueError):
    """A name or number that the node table doesn't allow; the message is for the person."""


@dataclass(frozen=True)
class Node:
    """One machine of a lab."""

    name: str
    role: str
    address: str
    pod_cidr: str
    cpu_milli: int
    memory_bytes: int
    disk_bytes: int

    @property
    def is_master(self) -> bool:
        return self.role == "master"


@dataclass(frozen=True)
class Lab:
    """Everything that is fixed about one lab before it exists."""

    name: str
    slot: int
    nodes: tuple[Node, ...]
    node_range: str
    management_range: str
    pod_range: str
    service_range: str
    gateway: str
    client_address: str
    pool: str
    kubernetes_address: str
    dns_address: str
    api_port: int
    forward_port: int
    agent_port: int
    registry_port: int
    domain: str
    profile: str

    @property
    def master(self) -> Node:
        return self.nodes[0]

    @property
    def workers(self) -> tuple[Node, ...]:
        return self.nodes[1:]

    def node(self, name: str) -> Node:
        """Return the node of that name. Raises: FactsError naming the nodes there are."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise FactsError(f"no node {name!r} in lab {self.name}: there are {', '.join(n.name for n in self.nodes)}")


@dataclass(frozen=True)
class Facts:
    """ansible/lab.toml, parsed."""

    document: dict[str, Any]

    def word(self, section: str, key: str) -> str:
        return str(self.document[section][key])

    def number(self, section: str, key: str) -> int:
        return int(self.document[section][key])

    @property
    def default_lab(self) -> str:
        return str(self.document["default_lab"])

    @property
    def default_workers(self) -> int:
        return int(self.document["default_workers"])

    @property
    def rows(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.document["nodes"]
        return rows

    @property
    def max_workers(self) -> int:
        return sum(row["role"] == "worker" for row in self.rows)


def load(text: str) -> Facts:
    """Parse the text of lab.toml."""
    return Facts(tomllib.loads(text))


def slot_for(name: str, taken: dict[str, int]) -> int:
    """Return the lab's number: fixed, as recorded in `taken` (name → number), or the lowest free one."""
    if name in FIXED_SLOTS:
        return FIXED_SLOTS[name]
    if name in taken:
        return taken[name]
    used = {*FIXED_SLOTS.values(), *taken.values()}
    for slot in range(MAX_SLOT + 1):
        if slot not in used:
            return slot
    raise FactsError(f"{MAX_SLOT + 1} labs exist already: remove one with `make down LAB=…`")


def lab(facts: Facts, name: str, slot: int, workers: int) -> Lab:
    """Return the lab of that name, number and size. Raises: FactsError."""
    if not _LAB_NAME.fullmatch(name):
        raise FactsError(f"LAB={name}: a small letter, then at most 9 small letters and digits")
    if not 1 <= workers <= facts.max_workers:
        raise FactsError(f"WORKERS={workers}: 1 to {facts.max_workers} (the node table is ansible/lab.toml)")
    nodes_net = _shifted(facts.word("ranges", "nodes"), slot)
    pods_net = _shifted(facts.word("ranges", "pods"), -slot)
    services_net = _shifted(facts.word("ranges", "services"), slot)
    pod_ranges = list(pods_net.subnets(new_prefix=24))
    table = [
        Node(
            name=str(row["name"]),
            role=str(row["role"]),
            address=str(nodes_net[int(row["number"])]),
            pod_cidr=str(pod_ranges[position]),
            cpu_milli=int(row["cpu_milli"]),
            memory_bytes=int(row["memory_mib"]) << 20,
            disk_bytes=int(row["disk_mib"]) << 20,
        )
        for position, row in enumerate(facts.rows)
    ]
    number = {key: facts.number("numbers", key) for key in facts.document["numbers"]}
    return Lab(
        name=name,
        slot=slot,
        nodes=tuple(table[: workers + 1]),
        node_range=str(nodes_net),
        management_range=str(_shifted(facts.word("ranges", "management"), slot, bits=8)),
        pod_range=str(pods_net),
        service_range=str(services_net),
        gateway=str(nodes_net[number["gateway"]]),
        client_address=str(nodes_net[number["client"]]),
        pool=f"{nodes_net[number['pool_first']]}-{nodes_net[number['pool_last']]}",
        kubernetes_address=str(services_net[number["service_kubernetes"]]),
        dns_address=str(services_net[number["service_dns"]]),
        api_port=facts.number("ports", "api"),
        forward_port=facts.number("ports", "api") + slot,
        agent_port=facts.number("ports", "agent"),
        registry_port=facts.number("ports", "registry"),
        domain=str(facts.document["domain"]),
        profile=str(facts.document["profile"]),
    )


def _shifted(network: str, by: int, bits: int = 16) -> ipaddress.IPv4Network:
    """The same network with `by` added to the second part of its address (with 8 bits: to the third)."""
    net = ipaddress.IPv4Network(network)
    return ipaddress.IPv4Network((int(net.network_address) + (by << bits), net.prefixlen))
