"""Is what the API says at least as new as what this node has seen? If not, the agent freezes rather than delete.

A store that comes back empty or from an old snapshot knows nothing of pods that run here. The highest revision ever
seen is kept in memory and, now and then, in a file, so that it outlives the agent. While the API's revision is below
it, nothing is started, stopped or removed for what the API says. It ends by itself once the revision is reached;
a person who restored an old backup on purpose removes the file and restarts the agent.

Used by `agent.py`. Thread-safe.
"""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path

from controlplane.client.clock import Clock

_WRITE_EVERY_S = 5.0


class Freshness:
    """The highest revision of pods seen on this node."""

    def __init__(self, file: Path, clock: Clock) -> None:
        self._file = file
        self._clock = clock
        self._lock = threading.Lock()
        self._highest = _read(file)
        self._written = self._highest
        self._written_at = clock.monotonic()

    @property
    def highest(self) -> int:
        return self._highest

    def fresh(self, resource_version: str) -> bool:
        """Whether a state with this revision may be acted on; remembers it if so."""
        if not resource_version.isdigit():
            return False
        revision = int(resource_version)
        with self._lock:
            if revision < self._highest:
                return False
            self._highest = revision
            now = self._clock.monotonic()
            due = self._written == 0 or now - self._written_at >= _WRITE_EVERY_S
            if revision > self._written and due:
                self._write()
        return True

    def save(self) -> None:
        """Write the newest revision to the file now."""
        with self._lock:
            if self._highest > self._written:
                self._write()

    def _write(self) -> None:
        with contextlib.suppress(OSError):  # a full disk: the next try comes in a few seconds
            self._file.parent.mkdir(parents=True, exist_ok=True)
            fresh = self._file.with_suffix(".new")
            fresh.write_text(f"{self._highest}\n")
            os.replace(fresh, self._file)
            self._written = self._highest
        self._written_at = self._clock.monotonic()


def _read(file: Path) -> int:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return 0
