"""The audit log: one JSON line for each request, who did what and how it ended, never a body.

Lines are gathered in memory and written at most half a second later in one go, so that the log costs a request
microseconds; a crash can lose that half second of lines (of lines only: writes are durable before their answer).
Files are rotated by size. Follows the fields of audit.k8s.io/v1 Event at level Metadata.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from controlplane.daemon import event

log = logging.getLogger(__name__)

FLUSH_BYTES = 256 * 1024
FLUSH_S = 0.5


class AuditLog:
    """Appends to `path`; `keep` older files of `limit_bytes` each stay beside it. Used by one thread."""

    def __init__(self, path: Path, limit_bytes: int = 16 * 1024 * 1024, keep: int = 3) -> None:
        self._path = path
        self._limit_bytes = limit_bytes
        self._keep = keep
        self._lines: list[bytes] = []
        self._waiting_bytes = 0
        self._encode = msgspec.json.Encoder().encode
        self._broken = False
        self.schedule: Callable[[], None] | None = None
        """Called when the first line waits: the shell flushes `FLUSH_S` later."""

    def write(self, event: dict[str, Any]) -> None:
        line = self._encode(event)
        first = not self._lines
        self._lines.append(line)
        self._waiting_bytes += len(line) + 1
        if self._waiting_bytes >= FLUSH_BYTES:
            self.flush()
        elif first and self.schedule is not None:
            self.schedule()

    def flush(self) -> None:
        """Writes what waits. A log that can't be written is said once, and never fails a request."""
        if not self._lines:
            return
        data = b"\n".join(self._lines) + b"\n"
        self._lines.clear()
        self._waiting_bytes = 0
        try:
            with open(os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab") as file:
                file.write(data)
                size = file.tell()
            if size > self._limit_bytes:
                self._rotate()
            self._broken = False
        except OSError as error:
            if not self._broken:
                event(log, "audit-not-written", level=logging.ERROR, path=self._path, error=error)
            self._broken = True

    def _rotate(self) -> None:
        for number in range(self._keep, 0, -1):
            source = self._path if number == 1 else self._numbered(number - 1)
            if source.exists():
                source.replace(self._numbered(number))

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")
