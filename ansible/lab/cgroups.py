"""A machine's control group: its memory and cpu limits, and the way to find every process of a machine.

Always below the caller's own group, in every hierarchy, so that a lab never leaves the accounting that it was started
in. With cgroup v1 one child is made in each hierarchy; with cgroup v2 systemd makes it (a transient unit with
delegation), or, without systemd, one child of the own group. Every name is LAB-NODE, so that what is left over can be
found by name alone.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterable
from pathlib import Path

from lab import procs
from lab.facts import Node
from lab.run import LabError

ROOT = Path("/sys/fs/cgroup")
PIDS_MAX = 8192


def is_v2() -> bool:
    """Whether the host has the unified hierarchy alone."""
    return (ROOT / "cgroup.controllers").exists()


def with_systemd() -> bool:
    return Path("/run/systemd/system").is_dir()


def own_groups() -> list[Path]:
    """The caller's own group in each mounted hierarchy."""
    groups = []
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        name = controllers.removeprefix("name=")
        folder = ROOT if is_v2() else ROOT / (name or "unified")
        if is_v2() and controllers:
            continue
        if (folder / "cgroup.procs").exists():
            groups.append(folder / path.lstrip("/"))
    return groups


def memory_left_mib(groups: Iterable[Path]) -> int | None:
    """What the groups and those above them leave free of their memory limits (page cache counts as free), if any."""
    rooms = []
    for group in {folder for own in groups for folder in (own, *own.parents)}:
        for limit, usage, cache in (
            ("memory.max", "memory.current", "inactive_file"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ):
            with contextlib.suppress(OSError, ValueError):  # no such file, or "max"
                most, used = (int((group / name).read_text()) for name in (limit, usage))
                stat = dict(row.split() for row in (group / "memory.stat").read_text().splitlines())
                rooms.append((most - used + int(stat.get(cache, "0"))) >> 20)
    return min(rooms, default=None)


def make(name: str, node: Node) -> list[Path]:
    """Make the machine's groups afresh, with its limits, and return them."""
    made = []
    for own in own_groups():
        group = own / name
        remove_tree(group)
        if is_v2():
            _delegate(own)
        group.mkdir()
        _limit(group, own, node)
        made.append(group)
    return made


def _delegate(own: Path) -> None:
    """Let children of the own group have controllers; refused while processes sit in it, then there are no limits."""
    with contextlib.suppress(OSError):
        (own / "cgroup.subtree_control").write_text("+cpu +memory +pids")


def _limit(group: Path, own: Path, node: Node) -> None:
    limits = {
        "memory.limit_in_bytes": str(node.memory_bytes),
        "memory.max": str(node.memory_bytes),
        "cpu.cfs_quota_us": str(node.cpu_milli * 100),
        "cpu.max": f"{node.cpu_milli * 100} 100000",
        "pids.max": str(PIDS_MAX),
    }
    for key in ("cpuset.cpus", "cpuset.mems"):
        if not is_v2() and (own / key).exists():
            limits[key] = (own / key).read_text().strip()
    if not is_v2() and (group / "cgroup.clone_children").exists():
        (group / "cgroup.clone_children").write_text("1")
    for key, value in limits.items():
        if (group / key).exists():
            (group / key).write_text(value)


def join(groups: list[Path]) -> None:
    """Move the calling process into the groups."""
    for group in groups:
        (group / "cgroup.procs").write_text(str(os.getpid()))


def divide() -> list[Path]:
    """In a unit with delegation (cgroup v2): move into a leaf of it; return a fresh group beside it for the machine.

    Only leaves may hold processes where controllers are passed on to children.
    """
    unit = own_groups()[0]
    unit = unit.parent if unit.name == "runner" else unit
    leaf, machine = unit / "runner", unit / "machine"
    leaf.mkdir(exist_ok=True)
    (leaf / "cgroup.procs").write_text(str(os.getpid()))
    controllers = (unit / "cgroup.controllers").read_text().split()
    (unit / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in controllers))
    remove_tree(machine)
    machine.mkdir()
    return [machine]


def pattern(lab: str, node: str | None = None) -> re.Pattern[str]:
    """What the path of a process' group has when it belongs to a machine of the lab."""
    which = re.escape(node) if node else r"(?:master|worker-\d+)"
    return re.compile(rf"/{re.escape(lab)}-{which}(?:\.service)?(?=/|$)", re.MULTILINE)


def processes(lab: str, node: str | None = None) -> list[int]:
    """All processes in the groups of a machine, or of all of the lab's machines."""
    wanted = pattern(lab, node)
    return [pid for pid, text in procs.each("cgroup") if wanted.search(text)]


def init_of(lab: str, node: str) -> int | None:
    """The host's number of the machine's PID 1, if it runs."""
    for pid in processes(lab, node):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("NSpid:") and line.split()[2:] == ["1"]:
                    return pid
    return None


def left(lab: str) -> list[Path]:
    """The lab's groups that exist, in all hierarchies."""
    name = re.compile(rf"{re.escape(lab)}-(?:master|worker-\d+)(?:\.service)?")
    found = []
    for folder, children, _ in os.walk(ROOT):
        mine = [c for c in children if name.fullmatch(c)]
        found += [Path(folder) / c for c in mine]
        children[:] = [c for c in children if c not in mine]
    return found


def remove_tree(group: Path, patience_s: float = 3.0) -> None:
    """Remove a group and its children, deepest first, waiting for dying processes to be gone."""
    deadline = time.monotonic() + patience_s
    while group.exists():
        for folder, _, _ in os.walk(group, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(folder)
        if group.exists():
            if time.monotonic() > deadline:
                raise LabError(f"control group {group} still has processes")
            time.sleep(0.02)
