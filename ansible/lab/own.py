"""A lab of machines that people already have, as their inventory describes it (`ansible-inventory --list`, JSON).

Pure. What isn't right is found before anything is changed, each mistake with its host and its variable: first all
values that can't be read, then what doesn't go together. What the inventory leaves out has the value of the node
table's first lab, as in ansible/group_vars/cluster.yml.
Called by up.py (with the person's file as Ansible reads it) and state.py (with the copy that a lab's folder keeps).
"""

from __future__ import annotations

import ipaddress
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from typing import cast

from lab import facts
from lab.facts import Facts, FactsError, Lab, Node

Values = Mapping[str, object]
Listing = Mapping[str, object]

_RANGES = ("lab_node_cidr", "lab_pod_cidr", "lab_service_cidr")
_PORTS = ("lab_api_port", "lab_agent_port", "lab_registry_port")
_WORDS = ("lab_service_address", "lab_dns_address", "lab_external_pool", "lab_domain", "lab_profile")
_SHARED = (*_RANGES, *_PORTS, *_WORDS)
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_PROFILES = ("lab", "kubernetes")
_SSH = ("ssh", "smart", "ansible.builtin.ssh")


@dataclass(frozen=True)
class Reader:
    """One host's variables; what can't be used goes into `problems`."""

    host: str
    values: Values
    problems: list[str]

    def complain(self, name: str, why: str) -> None:
        self.problems.append(f"{self.host}: {name} {why}")

    def text(self, name: str, default: str = "") -> str:
        """The variable, or its default; "" once it was complained about."""
        value = self.values.get(name, default)
        if value is None or value == "":
            self.complain(name, "is missing")
            return ""
        if "{{" in str(value):
            self.complain(name, f"is a template ({value}): write the value itself")
            return ""
        return str(value)

    def number(self, name: str, most: int, default: int | None = None) -> int:
        text = self.text(name, "" if default is None else str(default))
        if text and not (text.isascii() and text.isdigit() and 0 < int(text) <= most):
            self.complain(name, f"is {text}: a whole number from 1 to {most}")
            return 0
        return int(text or 0)

    def address(self, name: str, default: str = "") -> str:
        text = self.text(name, default)
        if text and _address(text) is None:
            self.complain(name, f"is {text}: no IPv4 address")
            return ""
        return text

    def network(self, name: str, default: str = "") -> ipaddress.IPv4Network | None:
        text = self.text(name, default)
        try:
            return ipaddress.IPv4Network(text) if text else None
        except ValueError as error:
            self.complain(name, f"is no IPv4 range: {error}")
            return None


def lab(table: Facts, listing: Listing, name: str, slot: int) -> Lab:
    """The lab that the inventory describes; only its forward's port comes from its number. Raises: FactsError."""
    problems: list[str] = []
    masters, workers = (hosts_of(listing, group) for group in ("masters", "workers"))
    problems += _groups(masters, workers, hosts_of(listing, "cluster"))
    if problems:
        raise _wrong(problems)
    readers = [Reader(host, variables(listing, host), problems) for host in (*masters, *workers)]
    shared = _shared(readers, facts.lab(table, name, 0, 1), table)
    nodes = tuple(_node(reader, "master" if reader.host in masters else "worker") for reader in readers)
    if not problems:
        problems += [*_twice(readers, nodes), *_misplaced(readers, nodes, shared)]
    if problems:
        raise _wrong(problems)
    return replace(shared, nodes=nodes, slot=slot, forward_port=facts.lab(table, name, slot, 1).forward_port)


def hosts_of(listing: Listing, group: str) -> list[str]:
    """The hosts of a group and of the groups in it, in the inventory's order."""
    entry = cast("Mapping[str, list[str]]", listing.get(group, {}))
    nested = [host for child in entry.get("children", []) for host in hosts_of(listing, child)]
    return list(dict.fromkeys([*entry.get("hosts", []), *nested]))


def variables(listing: Listing, host: str) -> Values:
    meta = cast("Mapping[str, Mapping[str, Values]]", listing.get("_meta", {}))
    return meta.get("hostvars", {}).get(host, {})


def ssh_command(listing: Listing, node: str) -> list[str]:
    """How a person gets onto the node, by what the inventory says to Ansible. Raises: FactsError."""
    host = next(h for h in hosts_of(listing, "cluster") if variables(listing, h).get("node_name") == node)
    problems: list[str] = []
    reader = Reader(host, variables(listing, host), problems)
    connection = reader.text("ansible_connection", "ssh")
    if connection not in _SSH:
        reader.complain("ansible_connection", f"is {connection}: `make ssh` knows ssh only")

    def said(*names: str) -> str:
        return next((reader.text(name) for name in names if reader.values.get(name)), "")

    command = ["ssh"]
    for option, value in (
        ("-p", said("ansible_port", "ansible_ssh_port")),
        ("-l", said("ansible_user", "ansible_ssh_user")),
        ("-i", said("ansible_private_key_file", "ansible_ssh_private_key_file")),
    ):
        command += [option, value] if value else []
    for name in ("ansible_ssh_common_args", "ansible_ssh_extra_args"):
        command += shlex.split(said(name))
    destination = said("ansible_host", "ansible_ssh_host") or host
    if problems:
        raise _wrong(problems)
    return [*command, destination]


def _groups(masters: list[str], workers: list[str], cluster: list[str]) -> Iterable[str]:
    if len(masters) != 1:
        yield f"the group masters has {', '.join(masters) or 'no host'}: it needs exactly one"
    if not workers:
        yield "the group workers has no host: it needs at least one"
    for host in workers:
        if host in masters:
            yield f"{host}: is in both groups, masters and workers"
    for host in dict.fromkeys((*masters, *workers)):
        if host not in cluster:
            yield f"{host}: is not in the group cluster (make masters and workers children of it)"


def _node(reader: Reader, role: str) -> Node:
    """One machine, as far as its variables go; malformed ones are among the reader's problems."""
    name = reader.text("node_name")
    if name and not _NAME.fullmatch(name):
        reader.complain("node_name", f"is {name}: small letters, digits and - between them, at most 63")
    return Node(
        name=name,
        role=role,
        address=reader.address("node_address"),
        pod_cidr=str(reader.network("pod_cidr")),
        cpu_milli=reader.number("cpu_milli", 1_000_000),
        memory_bytes=reader.number("memory_bytes", 1 << 50),
        disk_bytes=reader.number("disk_bytes", 1 << 60),
    )


def _shared(readers: list[Reader], default: Lab, table: Facts) -> Lab:
    """What all machines are told alike, read from the master's variables."""
    master = readers[0]
    for name in _SHARED:
        for other in readers[1:]:
            if other.values.get(name) != master.values.get(name):
                other.complain(name, f"is not what it is for {master.host}: it belongs to all machines")
    usual = (default.node_range, default.pod_range, default.service_range)
    ranges = [master.network(name, text) for name, text in zip(_RANGES, usual, strict=True)]
    for (one, first), (two, second) in combinations(zip(_RANGES, ranges, strict=True), 2):
        if first and second and first.overlaps(second):
            master.complain(two, f"{second} overlaps {one} {first}")
    nodes, pods, services = ranges
    profile = master.text("lab_profile", default.profile)
    if profile and profile not in _PROFILES:
        master.complain("lab_profile", f"is {profile}: one of {', '.join(_PROFILES)}")
    return replace(
        default,
        node_range=str(nodes),
        pod_range=str(pods),
        service_range=str(services),
        gateway="",
        management_range="",
        client_address="",
        pool=_pool(master, nodes, table) if nodes else "",
        kubernetes_address=_service(
            master, "lab_service_address", services, table.number("numbers", "service_kubernetes")
        ),
        dns_address=_service(master, "lab_dns_address", services, table.number("numbers", "service_dns")),
        api_port=master.number("lab_api_port", 65535, default.api_port),
        agent_port=master.number("lab_agent_port", 65535, default.agent_port),
        registry_port=master.number("lab_registry_port", 65535, default.registry_port),
        domain=master.text("lab_domain", default.domain),
        profile=profile,
    )


def _service(master: Reader, name: str, services: ipaddress.IPv4Network | None, number: int) -> str:
    """One of the two fixed addresses of Services."""
    if services is None:
        return ""
    address = master.address(name, str(services.network_address + number))
    if address and ipaddress.IPv4Address(address) not in services:
        master.complain(name, f"is {address}: not in lab_service_cidr {services}")
    return address


def _pool(master: Reader, nodes: ipaddress.IPv4Network, table: Facts) -> str:
    """The public addresses: they are announced on the nodes' network, so they have to be addresses of it."""
    start = str(nodes.network_address).rsplit(".", 1)[0]
    usual = "-".join(f"{start}.{table.number('numbers', end)}" for end in ("pool_first", "pool_last"))
    pool = master.text("lab_external_pool", usual)
    pieces = _pieces(pool)
    if pool and not pieces:
        master.complain("lab_external_pool", f"is {pool}: FIRST-LAST, a lower and a higher IPv4 address")
    for end in dict.fromkeys(end for piece in pieces for end in piece):
        if end not in nodes:
            master.complain("lab_external_pool", f"has {end}: not in lab_node_cidr {nodes}")
    return pool


def _twice(readers: list[Reader], nodes: tuple[Node, ...]) -> Iterable[str]:
    """What two machines can't both have."""
    for (one, first), (two, second) in combinations(zip(readers, nodes, strict=True), 2):
        if first.name == second.name:
            yield f"{two.host}: node_name {second.name} is that of {one.host}, too"
        if first.address == second.address:
            yield f"{two.host}: node_address {second.address} is that of {one.host}, too"
        if ipaddress.IPv4Network(first.pod_cidr).overlaps(ipaddress.IPv4Network(second.pod_cidr)):
            yield f"{two.host}: pod_cidr {second.pod_cidr} overlaps that of {one.host} ({first.pod_cidr})"


def _misplaced(readers: list[Reader], nodes: tuple[Node, ...], shared: Lab) -> Iterable[str]:
    """Addresses that are outside of their range, or in the pool of public ones."""
    for reader, node in zip(readers, nodes, strict=True):
        address = ipaddress.IPv4Address(node.address)
        if address not in ipaddress.IPv4Network(shared.node_range):
            yield f"{reader.host}: node_address {address} is not in lab_node_cidr {shared.node_range}"
        if any(first <= address <= last for first, last in _pieces(shared.pool)):
            yield f"{reader.host}: node_address {address} is in the pool of public addresses, {shared.pool}"
        if not ipaddress.IPv4Network(node.pod_cidr).subnet_of(ipaddress.IPv4Network(shared.pod_range)):
            yield f"{reader.host}: pod_cidr {node.pod_cidr} is not in lab_pod_cidr {shared.pod_range}"


def _address(text: str) -> ipaddress.IPv4Address | None:
    try:
        return ipaddress.IPv4Address(text)
    except ValueError:
        return None


def _pieces(pool: str) -> list[tuple[ipaddress.IPv4Address, ipaddress.IPv4Address]]:
    """The first and last address of each part of `FIRST-LAST, ADDRESS`; [] for what is no pool."""
    pieces = []
    for part in pool.split(","):
        first, _, last = part.partition("-")
        low, high = _address(first.strip()), _address((last or first).strip())
        if low is None or high is None or low > high:
            return []
        pieces.append((low, high))
    return pieces


def _wrong(problems: Iterable[str]) -> FactsError:
    return FactsError("the inventory isn't right:\n" + "\n".join(f"  - {problem}" for problem in problems))
