"""Kill everything below a cgroup, and tidy empty cgroups, on cgroup v1 and v2. Standard library only.

The fence needs it: SIGKILL to every process of every pod at once, whatever their number, with no call to the runtime.
The agent and the watchdog both import it, so it must stay small and import nothing of ours.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

CGROUP_FS = Path("/sys/fs/cgroup")


def kill_below(parent: str, root: Path = CGROUP_FS, timeout_s: float = 0.8) -> int:
    """SIGKILL all processes in the cgroup `parent` and below; how many are left after `timeout_s`."""
    tree = parent.strip("/")
    deadline = time.monotonic() + timeout_s
    while True:
        left = 0
        for top in _hierarchies(root, tree):
            left += _kill_tree(top)
        if not left or time.monotonic() >= deadline:
            return left
        time.sleep(0.01)


def _hierarchies(root: Path, tree: str) -> list[Path]:
    """The cgroup in each hierarchy that tracks all processes: the unified one, or any of v1's."""
    if (root / "cgroup.controllers").exists():
        candidates = [root]
    else:
        candidates = [root / name for name in ("freezer", "pids", "memory", "cpu", "devices")]
    return [c / tree for c in candidates if (c / tree).is_dir()]


def _kill_tree(top: Path) -> int:
    """Kill once everything in one hierarchy's tree; how many processes were found."""
    try:
        (top / "cgroup.kill").write_text("1")
    except OSError:
        pass
    else:
        return sum(1 for _ in _processes(top))
    frozen = _write(top / "freezer.state", "FROZEN")  # so that no fork escapes the walk
    found = 0
    for pid in _processes(top):
        found += 1
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    if frozen:
        for folder, _, _ in os.walk(top):
            _write(Path(folder) / "freezer.state", "THAWED")
    return found


def _processes(top: Path) -> Iterator[int]:
    for folder, _, _ in os.walk(top):
        try:
            pids = (Path(folder) / "cgroup.procs").read_text().split()
        except OSError:
            continue
        yield from (int(pid) for pid in pids)


def _write(path: Path, text: str) -> bool:
    try:
        path.write_text(text)
    except OSError:
        return False
    return True


def any_process(parent: str, root: Path = CGROUP_FS) -> bool:
    """Whether anything runs in the cgroup or below it."""
    return any(True for top in _hierarchies(root, parent.strip("/")) for _ in _processes(top))


def cgroup_exists(path: str, root: Path = CGROUP_FS) -> bool:
    """Whether the cgroup is there in any hierarchy."""
    tree = path.strip("/")
    return any((top / tree).is_dir() for top in _tops(root))


def pod_uids(parent: str, root: Path = CGROUP_FS) -> set[str]:
    """The pods that have a cgroup below `parent` in any hierarchy."""
    tree = parent.strip("/")
    return {
        entry.name.removeprefix("pod")
        for top in _tops(root)
        if (top / tree).is_dir()
        for entry in (top / tree).iterdir()
        if entry.name.startswith("pod") and entry.is_dir()
    }


def _tops(root: Path) -> list[Path]:
    return [root, *(entry for entry in root.iterdir() if entry.is_dir())] if root.is_dir() else []


def remove_cgroup(path: str, root: Path = CGROUP_FS) -> None:
    """Remove a cgroup and those below it in every hierarchy; one with processes in it stays."""
    tree = path.strip("/")
    for top in _tops(root):
        for folder, _, _ in os.walk(top / tree, topdown=False):
            try:
                os.rmdir(folder)
            except OSError:
                continue
