"""Watchers, and how changes reach them: from the cache's thread into an event loop, once per batch.

A hub belongs to one event loop, and all its state is touched only there, so there are no locks: the cache's thread
schedules `deliver` with one call_soon_threadsafe per batch, in the order of the log. A watcher's queue is bounded;
a slow one is closed with 410 (the client relists) and hurts nobody else. Follows
apiserver/pkg/storage/cacher/cache_watcher.go.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Sequence

from controlplane.api.errors import ApiError
from controlplane.store.model import Change

MAX_WAITING = 4096
"""Changes that may wait for one watcher; documents are shared, so this bounds references, not copies."""
MAX_TAKEN = 512
"""Changes that `next` hands out at once."""

SLOW = "the watcher was too slow and missed changes: list again"


class Watcher:
    """One watch: its changes in order, from where it began, without gap or repeat. Used in its event loop only."""

    def __init__(self, hub: Hub, scope: tuple[str, str, str], backlog: Sequence[Change], revision: int) -> None:
        self._hub = hub
        self.resource, self._namespace, self._name = scope
        self._waiting = [change for change in backlog if self._wants(change)]
        self._backlog = len(self._waiting)
        self._begun_at = revision
        self._wake: asyncio.Future[None] | None = None
        self._ended = ""

    @property
    def revision(self) -> int:
        """Up to here the watcher has been given everything: what a bookmark may say."""
        return self._waiting[0].revision - 1 if self._waiting else max(self._begun_at, self._hub.revision)

    async def next(self, timeout_s: float) -> list[Change] | None:
        """The next changes, or None when there were none for `timeout_s`.

        Raises: ApiError expired when the watch can't go on.
        """
        if not self._waiting and not self._ended:
            self._wake = asyncio.get_running_loop().create_future()
            handle = asyncio.get_running_loop().call_later(timeout_s, self._rouse)
            try:
                await self._wake
            finally:
                handle.cancel()
                self._wake = None
        if self._ended:
            raise ApiError.expired(self._ended)
        if not self._waiting:
            return None
        taken, self._waiting = self._waiting[:MAX_TAKEN], self._waiting[MAX_TAKEN:]
        self._backlog = max(0, self._backlog - len(taken))
        return taken

    def close(self) -> None:
        self._hub.drop(self)
        self.end("the watch is closed")

    def offer(self, changes: Sequence[Change]) -> None:
        """From the hub: the log has gone on (a batch that was scheduled before this watch began is in its
        backlog)."""
        wanted = [change for change in changes if change.revision > self._begun_at and self._wants(change)]
        if not wanted:
            return
        if len(self._waiting) - self._backlog + len(wanted) > MAX_WAITING:
            self._hub.drop(self)
            self.end(SLOW)
            return
        self._waiting.extend(wanted)
        self._rouse()

    def end(self, why: str) -> None:
        """No more changes: the next `next` raises."""
        if not self._ended:
            self._ended = why
            self._waiting = []
            self._rouse()

    def _wants(self, change: Change) -> bool:
        key = change.key
        return (not self._namespace or key.namespace == self._namespace) and (
            not self._name or key.name == self._name
        )

    def _rouse(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)


class Hub:
    """The watchers of one event loop, and who waits for a revision there."""

    def __init__(self, loop: asyncio.AbstractEventLoop, revision: int) -> None:
        self.loop = loop
        self.revision = revision
        self._watchers: dict[str, dict[int, Watcher]] = {}
        self._waiters: list[tuple[int, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()

    def post(self, changes: Sequence[Change], revision: int) -> bool:
        """From the cache's thread: schedule a batch. False when the loop is closed and the hub is of no more use."""
        try:
            self.loop.call_soon_threadsafe(self._deliver, changes, revision)
        except RuntimeError:
            return False
        return True

    def post_end(self, why: str) -> bool:
        """From the cache's thread: the log was interrupted; all watchers must relist."""
        try:
            self.loop.call_soon_threadsafe(self._end_all, why)
        except RuntimeError:
            return False
        return True

    def add(self, watcher: Watcher) -> None:
        self._watchers.setdefault(watcher.resource, {})[id(watcher)] = watcher

    def drop(self, watcher: Watcher) -> None:
        self._watchers.get(watcher.resource, {}).pop(id(watcher), None)

    async def wait_for(self, revision: int, timeout_s: float) -> bool:
        """Whether the log reached `revision` in time."""
        if self.revision >= revision:
            return True
        future: asyncio.Future[None] = self.loop.create_future()
        heapq.heappush(self._waiters, (revision, next(self._numbers), future))
        done, _ = await asyncio.wait([future], timeout=timeout_s)
        if not done:
            future.cancel()
        return bool(done)

    def _deliver(self, changes: Sequence[Change], revision: int) -> None:
        self.revision = max(self.revision, revision)
        by_resource: dict[str, list[Change]] = {}
        for change in changes:
            by_resource.setdefault(change.key.resource, []).append(change)
        for resource, wanted in by_resource.items():
            for watcher in list(self._watchers.get(resource, {}).values()):
                watcher.offer(wanted)
        while self._waiters and self._waiters[0][0] <= self.revision:
            future = heapq.heappop(self._waiters)[2]
            if not future.done():
                future.set_result(None)

    def _end_all(self, why: str) -> None:
        for watchers in self._watchers.values():
            for watcher in watchers.values():
                watcher.end(why)
        self._watchers.clear()
