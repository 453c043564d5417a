"""Carry out the fence: mark the node, drop its public addresses, kill its pods. Standard library only.

In this order: the mark first, so that the proxy announces nothing any more; then the addresses; then SIGKILL to all
that runs below the pods' cgroup, which takes no call to the runtime and so no time that grows with the pods.
The agent and the watchdog do exactly the same; doing it twice changes nothing.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from nodeagent import addresses, kill

MARK = "fenced"


def fence(run_dir: Path, cgroup_parent: str, why: str) -> str:
    """Fence this node now; what was done, in a line for the log. Never raises: each step is tried."""
    began = time.monotonic()
    notes = []
    try:
        mark(run_dir, why)
    except OSError as error:
        notes.append(f"mark failed: {error}")
    try:
        dropped = addresses.drop_public()
        notes.append(f"addresses dropped: {' '.join(dropped) or 'none'}")
    except OSError as error:
        notes.append(f"addresses: {error}")
    left = kill.kill_below(cgroup_parent)
    notes.append(f"processes left: {left}")
    return f"{why}; {'; '.join(notes)}; took {time.monotonic() - began:.3f}s"


def sweep(cgroup_parent: str, for_s: float = 1.5) -> None:
    """Kill again for a while: a container whose start was under way when the fence fell."""
    end = time.monotonic() + for_s
    while time.monotonic() < end:
        kill.kill_below(cgroup_parent, timeout_s=0.1)
        time.sleep(0.1)


def mark(run_dir: Path, why: str) -> None:
    """Create the mark that the proxy looks for."""
    run_dir.mkdir(parents=True, exist_ok=True)
    (run_dir / MARK).write_text(why + "\n")


def unmark(run_dir: Path) -> None:
    """Remove the mark: the node's lease has been renewed and its pods are known afresh."""
    (run_dir / MARK).unlink(missing_ok=True)


def is_marked(run_dir: Path) -> bool:
    return os.path.exists(run_dir / MARK)
