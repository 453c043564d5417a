"""Compaction: the change stream keeps some minutes or some megabytes; what leaves it goes to the history first.

Every few seconds the compactor looks at the stream's age and size, appends what is due to the history files
(synced), and only then drops it from the stream and the watch cache. So a change is always in the stream or in the
history, and a crash in between leaves it in both, which the history notices. Leases have no history.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from itertools import chain
from typing import Protocol

import redis

from controlplane.daemon import event
from controlplane.store import scripts
from controlplane.store.guard import Frozen
from controlplane.store.history import History
from controlplane.store.link import Away, Link
from controlplane.store.model import Change
from controlplane.store.store import Store
from controlplane.store.stream import entries

log = logging.getLogger(__name__)

EVERY_S = 5.0
MEMBER_CHANGES = 1000
SLACK = 0.1
"""How far the stream may exceed what it keeps before it is trimmed: many small trims would make many small files."""


class Cache(Protocol):
    """What compaction asks of the watch cache."""

    @property
    def revision(self) -> int: ...
    def forget(self, revision: int) -> None: ...
    def cool(self, revision: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Stream:
    """The change stream now; revisions are dense, so it has `revision - compacted` entries."""

    revision: int
    compacted: int
    bytes: int
    oldest_ms: int


@dataclass(frozen=True, slots=True)
class Due:
    """What shall be dropped: all up to `revision`, and what is older than `before_ms`."""

    revision: int
    before_ms: int


def plan(stream: Stream, keep_ms: int, keep_bytes: int, now_ms: int) -> Due | None:
    """What is due, or None. Trims to somewhat below the bounds, so that the next trim is a while away."""
    count = stream.revision - stream.compacted
    if count <= 0:
        return None
    too_old = now_ms - stream.oldest_ms > keep_ms * (1 + SLACK)
    too_big = stream.bytes > keep_bytes
    if not too_old and not too_big:
        return None
    excess_bytes = stream.bytes - keep_bytes * (1 - SLACK)
    drop = round(count * excess_bytes / stream.bytes) if too_big else 0
    return Due(stream.compacted + drop, now_ms - keep_ms)


class Compactor:
    """One thread; `step` is one look, for tests and for people in a hurry."""

    def __init__(self, store: Store, cache: Cache) -> None:
        self._store = store
        self._cache = cache
        self._config = store.config
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"store-{store.config.name}-compactor", daemon=True)
        self._history: History | None = None
        self._last_revision = 0

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def step(self, now_ms: int) -> int:
        """Trim what is due; returns how many changes left the stream.

        Raises: Away, Frozen, redis.ResponseError, OSError (nothing is dropped that is not in the history).
        """
        link, facts = self._store.guard.connect()
        try:
            oldest = next(entries(link, facts.compacted, facts.revision), None)
            if oldest is None:
                return 0
            size = int(link.call("MEMORY", "USAGE", "changes", "SAMPLES", "0") or 0)
            stream = Stream(facts.revision, facts.compacted, size, oldest.at_ms)
            due = plan(stream, round(self._config.keep_s * 1000), self._config.keep_bytes, now_ms)
            if due is None:
                return 0
            upto = self._archive(link, stream, due)
            if upto <= facts.compacted:
                return 0
            compacted = int(link.call(*scripts.COMPACT.call(str(upto))))
        finally:
            link.close()
        self._cache.forget(compacted)
        dropped = compacted - facts.compacted
        event(log, "compact", store=self._config.name, revision=compacted, dropped=dropped)
        return dropped

    @property
    def history(self) -> History | None:
        """The durable store's files; opened (and repaired) on first use."""
        if self._history is None and self._config.durable:
            self._history = History(self._config.state_dir / "history", self._config.history_bytes)
        return self._history

    def _archive(self, link: Link, stream: Stream, due: Due) -> int:
        """Append what is due to the history; returns the newest revision that may be dropped now."""
        upto = stream.compacted
        waiting: list[Change] = []
        last = min(stream.revision, self._cache.revision)
        for change in chain(entries(link, stream.compacted, last), (None,)):
            done = change is None or (change.revision > due.revision and change.at_ms >= due.before_ms)
            if waiting and (done or len(waiting) >= MEMBER_CHANGES):
                if self.history is not None:
                    self.history.append(waiting)
                upto = waiting[-1].revision
                waiting = []
            if done or change is None:
                break
            waiting.append(change)
        return upto

    def _run(self) -> None:
        while not self._stop.wait(EVERY_S):
            try:
                self._cache.cool(self._last_revision)
                self._last_revision = self._cache.revision
                self._store.guard.mark.flush()
                self.step(round(time.time() * 1000))
            except (Away, Frozen):
                continue  # the guard has said so
            except (redis.ResponseError, OSError) as error:
                event(log, "compact-failed", level=logging.WARNING, store=self._config.name, error=error)
            except Exception:
                log.exception("compacting the %s store", self._config.name)
