"""Facts about the machine: what nodeInfo shows, and how much memory, disk and process room is left.

Capacity never comes from here (a local machine shows its host's memory); it is the configuration's. Pressure is
measured against that capacity. Every file that is missing gives an empty word or no pressure.
"""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

CGROUP_FS = Path("/sys/fs/cgroup")
_PROC = Path("/proc")
_CAP_SYS_RESOURCE = 24


def boot_id() -> str:
    """Changes with every boot of the machine (systemd-nspawn gives each start its own)."""
    return _text(_PROC / "sys/kernel/random/boot_id")


def machine_id() -> str:
    return _text(Path("/etc/machine-id"))


def kernel_version() -> str:
    return platform.release()


def os_image() -> str:
    for line in _text(Path("/etc/os-release")).splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')
    return "Linux"


def oom_score_min() -> int:
    """The lowest oom_score_adj that this machine may give to a process: less than its own takes CAP_SYS_RESOURCE."""
    for line in _text(_PROC / "self/status").splitlines():
        if line.startswith("CapEff:") and int(line.split()[1], 16) >> _CAP_SYS_RESOURCE & 1:
            return -1000
    own = _text(_PROC / "self/oom_score_adj")
    return int(own) if own.lstrip("-").isdigit() else 0


@dataclass(frozen=True)
class Room:
    """What is left on the machine: bytes, and fractions of the whole between 0 and 1."""

    memory_bytes: int
    disk_bytes: int
    disk_fraction: float
    inode_fraction: float
    process_fraction: float


def room(memory_capacity_bytes: int, disk: Path, cgroups: Path = CGROUP_FS) -> Room:
    """Measure now."""
    used = _memory_used(cgroups)
    memory = _memory_available() if used is None else memory_capacity_bytes - used
    stat = os.statvfs(disk)
    return Room(
        memory_bytes=memory,
        disk_bytes=stat.f_bavail * stat.f_frsize,
        disk_fraction=stat.f_bavail / stat.f_blocks if stat.f_blocks else 1.0,
        inode_fraction=stat.f_favail / stat.f_files if stat.f_files else 1.0,
        process_fraction=_process_fraction(),
    )


def _memory_used(cgroups: Path) -> int | None:
    """Working set of the machine's own cgroup; None at the root of cgroup v2, which has no such file."""
    for usage, stat, inactive in (
        (cgroups / "memory.current", cgroups / "memory.stat", "inactive_file"),
        (cgroups / "memory/memory.usage_in_bytes", cgroups / "memory/memory.stat", "total_inactive_file"),
    ):
        text = _text(usage)
        if text.isdigit():
            cached = next(
                (line.split()[1] for line in _text(stat).splitlines() if line.startswith(f"{inactive} ")), "0"
            )
            return int(text) - int(cached)
    return None


def _memory_available() -> int:
    for line in _text(_PROC / "meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 1 << 62


def _process_fraction() -> float:
    """The share of process ids that is free."""
    try:
        tasks = int(_text(_PROC / "loadavg").split()[3].partition("/")[2])
        return 1.0 - tasks / int(_text(_PROC / "sys/kernel/pid_max"))
    except (IndexError, ValueError, ZeroDivisionError):
        return 1.0


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
