"""Finds processes by what /proc says about them, so that nothing depends on a pid file being right."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path


def each(file: str) -> Iterator[tuple[int, str]]:
    """Every process' number and the text of one of its /proc files."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                yield int(folder.name), (folder / file).read_text(errors="replace")


def alive(pid: int) -> bool:
    """Whether the process exists and is more than a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def by_arguments(fits: Callable[[list[str]], bool]) -> list[int]:
    """The living processes whose arguments fit, this one excepted."""
    return [p for p, text in each("cmdline") if p != os.getpid() and fits(text.split("\0")) and alive(p)]


def by_network(namespace: Path) -> list[int]:
    """The processes whose network namespace is the named one."""
    try:
        wanted = namespace.stat().st_ino
    except OSError:
        return []
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                if (folder / "ns/net").stat().st_ino == wanted:
                    found.append(int(folder.name))
    return found


def kill(find: Callable[[], list[int]], patience_s: float = 5.0) -> list[int]:
    """Kill what `find` finds until it finds nothing; return what is left after the patience."""
    deadline = time.monotonic() + patience_s
    while (left := find()) and time.monotonic() < deadline:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
    return left
