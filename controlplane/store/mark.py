"""The high-water mark: what this master knows of the store that the store itself could forget.

A file beside Redis' own, with the cluster's id and a revision up to which numbers may have been handed out. It is
synced before a number above it is told to anybody, in blocks, so that it costs one fsync in hundreds of writes.
With it a store that came back empty, or from an old copy, is noticed: every acknowledged revision is at most
`reserved`, and at least `reserved - BLOCK` had been reached. A second file, not synced, has the newest revision as of
some seconds ago: it survives a killed process, and makes the comparison exact after a clean end.

Called by the writer and the watch cache, before they tell anybody a revision.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

import msgspec

BLOCK = 1000


class MarkDamaged(Exception):
    """The file can't be read; a person must decide (it is synced and renamed into place, so this is no accident of
    ours)."""


class _Synced(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    cluster_id: str
    reserved: int


class Mark:
    """Thread-safe. `cluster_id` is "" until the store is known."""

    def __init__(self, folder: Path, name: str) -> None:
        self._synced_path = folder / f"{name}.mark.json"
        self._seen_path = folder / f"{name}.seen"
        self._lock = threading.Lock()
        self._written_seen = 0
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.cluster_id, self.reserved = "", 0
        try:
            synced = msgspec.json.decode(self._synced_path.read_bytes(), type=_Synced)
            self.cluster_id, self.reserved = synced.cluster_id, synced.reserved
        except FileNotFoundError:
            pass
        except msgspec.DecodeError as error:
            raise MarkDamaged(f"{self._synced_path}: {error}") from error
        self.seen = max(self._read_seen(), self.reserved - BLOCK, 0)

    def _read_seen(self) -> int:
        try:
            cluster_id, revision = self._seen_path.read_text(encoding="ascii").split()
            return int(revision) if cluster_id == self.cluster_id else 0
        except (FileNotFoundError, ValueError):
            return 0

    def adopt(self, cluster_id: str, revision: int) -> None:
        """Begin to keep watch over a store.

        Raises: OSError.
        """
        with self._lock:
            self.cluster_id = cluster_id
            self.seen = max(self.seen, revision)
            self._reserve(self.seen)

    def observe(self, revision: int) -> None:
        """`revision` is about to be told to somebody.

        Raises: OSError if that isn't safe, since the file can't be written.
        """
        with self._lock:
            if revision <= self.seen:
                return
            if revision > self.reserved - BLOCK // 2:
                try:
                    self._reserve(revision)
                except OSError:
                    if revision > self.reserved:
                        raise
            self.seen = revision

    def flush(self) -> None:
        """Write down the newest revision, unsynced; now and then, and at the end."""
        with self._lock:
            if self.seen == self._written_seen:
                return
            _replace(self._seen_path, f"{self.cluster_id} {self.seen}\n".encode("ascii"), sync=False)
            self._written_seen = self.seen

    def _reserve(self, revision: int) -> None:
        reserved = max(self.reserved, revision + BLOCK)
        _replace(self._synced_path, msgspec.json.encode(_Synced(self.cluster_id, reserved)), sync=True)
        self.reserved = reserved


def _replace(path: Path, data: bytes, sync: bool) -> None:
    """Put a whole file in the place of `path`, or leave the old one."""
    new = path.with_name(path.name + ".new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        if sync:
            os.fsync(file.fileno())
    new.replace(path)
    if sync:
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
