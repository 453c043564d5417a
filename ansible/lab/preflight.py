"""The checks before `make up` changes anything: what is missing, how to get it; which provider to take, and why.

`observe()` looks at the host; `decide()` is pure and knows every rule, so that each is a line in a test.
"""

from __future__ import annotations

import ipaddress
import os
import shutil
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lab import cgroups, paths, rootfs, vagrant
from lab.facts import Facts, Lab
from lab.run import attempt

PROVIDERS = ("auto", "local", "vagrant", "hosts")
_MANY_ADDRESSES = 12


@dataclass(frozen=True)
class Host:
    """What was seen of the host."""

    is_root: bool
    has_apt: bool
    suites: str
    namespaces: str
    loop_devices: bool
    overlay: bool
    cgroups_writable: bool
    memory_mib: int
    disk_mib: int
    cache_mib: int
    base_cached: bool
    ports_taken: frozenset[int]
    routes: tuple[str, ...]
    no_vms: str
    vm_problem: str = ""


@dataclass(frozen=True)
class Needs:
    """What the lab asks of the host."""

    lab: Lab
    provider: str
    new_nodes: int
    forward_runs: bool
    memory_mib_per_node: int
    disk_mib_per_node: int
    disk_mib_cache: int
    suite: str


@dataclass(frozen=True)
class Decision:
    """The provider, why it was taken, and everything that stands in the way."""

    provider: str
    why: str
    problems: tuple[str, ...]


def decide(host: Host, needs: Needs) -> Decision:
    """Choose the provider and name every problem at once."""
    if needs.provider not in PROVIDERS:
        return Decision("", "", (f"PROVIDER={needs.provider}: one of {', '.join(PROVIDERS)}",))
    provider, why = _provider(host, needs.provider)
    problems = list(_shared(host, needs))
    if provider == "local":
        problems += _local(host, needs)
    elif provider == "vagrant" and host.vm_problem:
        problems.append(host.vm_problem)
    return Decision(provider, why, tuple(problems))


def _provider(host: Host, asked: str) -> tuple[str, str]:
    if asked != "auto":
        return asked, "as asked for"
    if host.no_vms:
        return "local", f"no virtual machines here: {host.no_vms}"
    return "vagrant", "a hypervisor works here; PROVIDER=local takes less of everything"


def _shared(host: Host, needs: Needs) -> Iterable[str]:
    lab = needs.lab
    if not needs.forward_runs and lab.forward_port in host.ports_taken:
        yield (
            f"port 127.0.0.1:{lab.forward_port} is taken, and the API of lab {lab.name} goes there: "
            "stop what listens there, or take another LAB=name"
        )
    for what, wanted in (("nodes", lab.node_range), ("pods", lab.pod_range), ("services", lab.service_range)):
        for route in host.routes if needs.new_nodes else ():
            if _collide(wanted, route):
                yield (
                    f"the range for {what} {wanted} is in use on this host (route {route}): "
                    "change `ranges` in ansible/lab.toml"
                )
    memory = needs.new_nodes * needs.memory_mib_per_node
    if host.memory_mib < memory:
        yield (
            f"too little memory: {needs.new_nodes} more machines take about {memory} MiB, "
            f"{host.memory_mib} MiB are available: close something, or fewer WORKERS="
        )
    disk = needs.new_nodes * needs.disk_mib_per_node
    if host.disk_mib < disk:
        yield (
            f"too little disk: {needs.new_nodes} more machines take about {disk} MiB, "
            f"{host.disk_mib} MiB are free in {paths.REPO}"
        )
    if needs.provider != "hosts" and not host.base_cached and host.cache_mib < needs.disk_mib_cache:
        yield (
            f"too little disk for the cache: {needs.disk_mib_cache} MiB needed, "
            f"{host.cache_mib} MiB free in {paths.cache()}: XDG_CACHE_HOME= takes another folder"
        )
    if not host.has_apt:
        yield "no apt here: the lab's host is a Debian 12 machine (its tools are installed as Debian packages)"


def _local(host: Host, needs: Needs) -> Iterable[str]:
    if not host.is_root:
        yield "not root: local machines are containers with networks and mounts of their own: `sudo make up`"
    if host.namespaces:
        yield f"no network namespaces: {host.namespaces}. Inside a container, it needs to be privileged"
    if not host.loop_devices:
        yield "no loop devices (/dev/loop-control): machines' disks are files with a file system of limited size"
    if not host.overlay:
        yield "the kernel has no overlay file system (`modprobe overlay`)"
    if not host.cgroups_writable:
        yield "control groups can't be written (/sys/fs/cgroup): machines' memory and cpu limits need them"
    if needs.suite not in host.suites:
        yield (
            f"no apt source for Debian {needs.suite}: machines are made from the host's own (/etc/apt/sources.list)"
        )


def _collide(wanted: str, route: str) -> bool:
    used = ipaddress.IPv4Network(route)
    return used.prefixlen >= _MANY_ADDRESSES and used.overlaps(ipaddress.IPv4Network(wanted))


def needs(facts: Facts, lab: Lab, provider: str, *, new_nodes: int, forward_runs: bool) -> Needs:
    """What this lab asks for, from the node table."""
    return Needs(
        lab=lab,
        provider=provider,
        new_nodes=new_nodes,
        forward_runs=forward_runs,
        memory_mib_per_node=facts.number("needs", "memory_mib_per_node"),
        disk_mib_per_node=facts.number("needs", "disk_mib_per_node"),
        disk_mib_cache=facts.number("needs", "disk_mib_cache"),
        suite=facts.word("versions", "debian"),
    )


def observe(facts: Facts, lab: Lab, driver: str = "") -> Host:
    """Look at the host, changing nothing."""
    root = os.geteuid() == 0
    return Host(
        is_root=root,
        has_apt=shutil.which("apt-get") is not None,
        suites=rootfs.debian_sources(Path("/etc/apt"), facts.word("versions", "debian")),
        namespaces=_namespaces() if root else "",
        loop_devices=Path("/dev/loop-control").exists(),
        overlay="overlay" in Path("/proc/filesystems").read_text() or not root,
        cgroups_writable=not root or _cgroups_writable(),
        memory_mib=_memory_mib(),
        disk_mib=_free_mib(paths.REPO),
        cache_mib=_free_mib(paths.cache()),
        base_cached=any(paths.cache().glob("base-*")),
        ports_taken=frozenset(p for p in (lab.forward_port,) if _taken(p)),
        routes=_routes(),
        no_vms=no_vms(),
        vm_problem=vagrant.missing(driver),
    )


def no_vms() -> str:
    """Return "" where Vagrant can run virtual machines at full speed, else why not."""
    if not (paths.REPO / "Vagrantfile").exists():
        return "no Vagrantfile here"
    if shutil.which("vagrant") is None:
        return "vagrant is not installed (`apt install vagrant vagrant-libvirt libvirt-daemon-system`)"
    return vagrant.missing("kvm")


def _namespaces() -> str:
    done = attempt(["unshare", "--net", "true"])
    if done.returncode or shutil.which("ip") is None:
        return done.stderr.strip()
    return attempt(["unshare", "--net", "ip", "link", "add", "br0", "type", "bridge"]).stderr.strip()


def _cgroups_writable() -> bool:
    return cgroups.with_systemd() or any(os.access(group, os.W_OK) for group in cgroups.own_groups())


def _memory_mib() -> int:
    """What is available in the host and in the own group (which a container may limit), whichever is less."""
    fields = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    available = int(fields["MemAvailable"].split()[0]) >> 10
    left = cgroups.memory_left_mib(cgroups.own_groups())
    return available if left is None else min(available, left)


def _free_mib(folder: Path) -> int:
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free >> 20


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def _routes() -> tuple[str, ...]:
    """The host's IPv4 routes but the default one, from /proc (little-endian hexadecimal there)."""
    found = []
    for row in Path("/proc/net/route").read_text().splitlines()[1:]:
        words = row.split()
        address, mask = (int.from_bytes(bytes.fromhex(words[n]), "little") for n in (1, 7))
        if mask:
            found.append(str(ipaddress.IPv4Network((address, mask.bit_count()))))
    return tuple(found)
