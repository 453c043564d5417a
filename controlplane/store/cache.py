"""The watch cache: the whole store in memory, following the change stream in one thread.

Lists and gets are served from here, watches resume from here; Redis is read once, at the start. The cache loads
everything, then follows the stream (XREAD), so it is always some revision of the log, whole. When Redis was away it
goes on where it was; when that isn't possible (compacted, or leases that restarted) it loads anew and all watchers
must relist: never a gap. While the store is frozen the cache keeps what it knows. Follows
apiserver/pkg/storage/cacher/cacher.go and watch_cache.go.

Called by the API server, from its event loop and from its threads.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import redis

from controlplane.api.document import Document
from controlplane.api.errors import ApiError
from controlplane.daemon import event
from controlplane.store.compaction import Compactor
from controlplane.store.guard import Facts, Frozen
from controlplane.store.link import Away, Link
from controlplane.store.model import Change, Key
from controlplane.store.store import Store
from controlplane.store.stream import entries, read_after
from controlplane.store.table import Listing, Memory
from controlplane.store.watch import Hub, Watcher

log = logging.getLogger(__name__)

BATCH = 256
BLOCK_MS = 1000
RETRY_S = 0.1
FROZEN_RETRY_S = 1.0
INTERRUPTED = "the store was interrupted and can't continue this watch: list again"


class WatchCache:
    """Start it once; it is ready when the first load is done. Thread-safe but for `subscribe` and `wait_for_async`,
    which belong to an event loop (any number of loops)."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._memory = Memory()
        self._hubs: dict[asyncio.AbstractEventLoop, Hub] = {}
        self._moved = threading.Condition()
        self._ready = threading.Event()
        self._stop = threading.Event()
        self._client_id = 0
        name = f"store-{store.config.name}"
        self._thread = threading.Thread(target=self._run, name=f"{name}-cache", daemon=True)
        self._compactor = Compactor(store, self)

    def start(self) -> None:
        self._thread.start()
        self._compactor.start()

    def stop(self) -> None:
        """Ends both threads; watchers are told to relist."""
        self._stop.set()
        self._compactor.stop()
        while self._thread.is_alive():
            self._store.unblock(self._client_id)
            self._thread.join(RETRY_S)
        self._end_watchers("the API server stops")

    def ready(self) -> bool:
        return self._ready.is_set()

    @property
    def revision(self) -> int:
        """Everything up to here is in the cache."""
        return self._memory.revision

    @property
    def compacted(self) -> int:
        """A watch can resume from here on."""
        return self._memory.compacted

    def get(self, key: Key) -> Document | None:
        with self._moved:
            table = self._memory.tables.get(key.resource)
            return table.documents.get((key.namespace, key.name)) if table else None

    def list(self, resource: str, namespace: str = "") -> Listing:
        """All objects of a resource, sorted by namespace and name. The list is shared: don't change it."""
        with self._moved:
            table = self._memory.tables.get(resource)
            return Listing(self._memory.revision, table.list(namespace) if table else [])

    def counts(self) -> dict[str, int]:
        """How many objects of each resource there are."""
        with self._moved:
            return {resource: len(table.documents) for resource, table in self._memory.tables.items()}

    def wait_for(self, revision: int, timeout_s: float) -> None:
        """Block this thread until the cache has applied `revision`.

        Raises: ApiError timeout.
        """
        with self._moved:
            if not self._moved.wait_for(lambda: self._memory.revision >= revision, timeout_s):
                raise self._too_new(revision)

    async def wait_for_async(self, revision: int, timeout_s: float) -> None:
        """The same, for a coroutine."""
        if self._memory.revision < revision and not await self._hub().wait_for(revision, timeout_s):
            raise self._too_new(revision)

    def subscribe(self, resource: str, namespace: str, from_revision: int, name: str = "") -> Watcher:
        """Watch a resource from the change after `from_revision` on. Needs a running event loop, the watcher's own.

        Raises: ApiError expired below the compacted revision, timeout for a revision that is not there yet.
        """
        hub = self._hub()
        with self._moved:
            memory = self._memory
            if from_revision > memory.revision:
                if self._store.guard.frozen:
                    raise ApiError.expired(f"the store is read-only: {self._store.guard.frozen}")
                raise self._too_new(from_revision)
            if from_revision < memory.compacted:
                raise ApiError.expired(f"too old resource version: {from_revision} ({memory.compacted})")
            window = memory.windows.get(resource)
            backlog = window.since(from_revision) if window else []
            revision = memory.revision
        watcher = Watcher(hub, (resource, namespace, name), backlog, revision)
        hub.add(watcher)
        return watcher

    def forget(self, revision: int) -> None:
        """From the compactor: the log before `revision` is gone."""
        with self._moved:
            self._memory.forget(revision)

    def cool(self, revision: int) -> None:
        """From the compactor: what was decoded of the changes before `revision` is needed no more."""
        more = True
        while more:
            with self._moved:  # in short turns: readers wait for this lock
                more = self._memory.cool(revision)

    def _too_new(self, revision: int) -> ApiError:
        return ApiError.timeout(f"Too large resource version: {revision}, current: {self._memory.revision}")

    def _hub(self) -> Hub:
        loop = asyncio.get_running_loop()
        hub = self._hubs.get(loop)
        if hub is None:
            with self._moved:
                hub = Hub(loop, self._memory.revision)
                self._hubs[loop] = hub
        return hub

    # The thread.

    def _run(self) -> None:
        while not self._stop.is_set():
            pause_s = RETRY_S
            link: Link | None = None
            try:
                link, facts = self._store.guard.connect()
                self._client_id = link.client_id
                if not self._continues(facts):
                    self._load(link, facts)
                self._follow(link)
            except Frozen:
                pause_s = FROZEN_RETRY_S
                self._freeze()
            except (Away, redis.ResponseError) as error:
                self._store.guard.lost(str(error))
            except Exception:
                log.exception("following the %s store", self._store.config.name)
            finally:
                if link is not None:
                    link.close()
            self._stop.wait(pause_s)

    def _continues(self, facts: Facts) -> bool:
        """Whether the log still has everything after what the cache knows."""
        return self._ready.is_set() and facts.compacted <= self._memory.revision <= facts.revision

    def _load(self, link: Link, facts: Facts) -> None:
        """Read everything; afterwards the cache is the store at some revision, with the changes that led there."""
        began = time.monotonic()
        memory = Memory()
        memory.compacted = facts.compacted
        latest: dict[Key, Change] = {}
        for change in entries(link, facts.compacted, facts.revision):
            known = latest.get(change.key)
            if known is not None and change.before is not None:
                change = Change(change.revision, change.key, change.type, known.after, change.after, change.at_ms)
            latest[change.key] = change
            memory.window(change.key.resource).append(change)
        for key, revision, raw in _objects(link):
            known = latest.get(key)
            same = known is not None and known.revision == revision and known.after is not None
            memory.put(key, known.after if same and known and known.after else Document(raw), revision)
        memory.revision = facts.revision
        newest = int(link.call("HGET", "meta", "revision"))
        memory.apply(entries(link, facts.revision, newest))
        if memory.revision != newest:
            raise Away(f"the log ends at {memory.revision}, the store is at {newest}")
        self._store.guard.mark.observe(newest)
        self._publish(memory)
        name = self._store.config.name
        event(log, "cache-loaded", store=name, revision=newest, duration_s=time.monotonic() - began)

    def _publish(self, memory: Memory) -> None:
        reload = self._ready.is_set()
        with self._moved:
            self._memory = memory
            self._moved.notify_all()
            hubs = list(self._hubs.values())
        if reload:
            self._end_watchers(INTERRUPTED)
        for hub in hubs:
            hub.post((), memory.revision)
        self._ready.set()

    def _follow(self, link: Link) -> None:
        while not self._stop.is_set():
            if self._store.guard.frozen:
                raise Frozen(self._store.guard.frozen)
            changes = read_after(link, self._memory.revision, BATCH, BLOCK_MS)
            if changes:
                self._store.guard.mark.observe(changes[-1].revision)
                self._apply(changes)

    def _apply(self, changes: Sequence[Change]) -> None:
        with self._moved:
            if changes[0].revision != self._memory.revision + 1:
                raise Away(f"the log jumps from {self._memory.revision} to {changes[0].revision}")
            applied = self._memory.apply(changes)
            self._moved.notify_all()
            hubs = list(self._hubs.items())
            revision = self._memory.revision
        for loop, hub in hubs:
            if not hub.post(applied, revision):
                self._hubs.pop(loop, None)

    def _freeze(self) -> None:
        """The store can't be trusted: older watches get 410, and what the cache knows stays for readers."""
        if self._memory.compacted < self._memory.revision:
            self.forget(self._memory.revision)
            self._end_watchers(f"the store is read-only: {self._store.guard.frozen}")

    def _end_watchers(self, why: str) -> None:
        for loop, hub in list(self._hubs.items()):
            if not hub.post_end(why):
                self._hubs.pop(loop, None)


def _objects(link: Link) -> Iterator[tuple[Key, int, bytes]]:
    """All objects; one that changes meanwhile may come twice, or at a newer revision than the scan began with."""
    cursor = b"0"
    while True:
        reply: list[Any] = link.call("HSCAN", "objects", cursor, "COUNT", "500")
        cursor, pairs = reply
        for text, value in zip(pairs[::2], pairs[1::2], strict=True):
            revision, _, raw = value.partition(b" ")
            yield Key.parse(text.decode()), int(revision), raw
        if cursor == b"0":
            return
