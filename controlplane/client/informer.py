"""An informer: a local copy of one resource that follows the API, and handlers that hear of every change.

One thread lists, then watches from the list's revision. When the watch ends it resumes from the last revision seen;
when that has been compacted (410) it lists again and tells handlers the difference. What it holds may be stale, but
never goes backwards: a store that came back older than what was seen is refused. Handlers run in the informer's
thread and must be quick: they enqueue keys.

Follows client-go/tools/cache (reflector.go, shared_informer.go).
"""

from __future__ import annotations

import logging
import random
import threading
from collections import defaultdict
from collections.abc import Callable
from typing import Generic, TypeVar

from controlplane.api.errors import ApiError
from controlplane.api.resources import ResourceType
from controlplane.api.types import Object
from controlplane.client.clock import Clock, SystemClock
from controlplane.client.http import Client, Unreachable, Watch
from controlplane.daemon import event

log = logging.getLogger(__name__)

T = TypeVar("T", bound=Object)
Handler = Callable[[T | None, T | None], None]
Indexer = Callable[[T], list[str]]

_BACKOFF_FIRST_S = 0.1
_BACKOFF_MAX_S = 2.0


class Informer(Generic[T]):
    """A local, read-only copy of one resource (of one namespace or selection of it). Objects must not be mutated."""

    def __init__(
        self,
        client: Client,
        resource: ResourceType[T],
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        clock: Clock | None = None,
    ) -> None:
        self.resource = resource
        self._client = client
        self._namespace = namespace
        self._label_selector = label_selector
        self._field_selector = field_selector
        self._clock: Clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._objects: dict[tuple[str, str], T] = {}
        self._indexers: dict[str, Indexer[T]] = {}
        self._indices: dict[str, defaultdict[str, set[tuple[str, str]]]] = {}
        self._handlers: list[Handler[T]] = []
        self._synced = threading.Event()
        self._stopping = threading.Event()
        self._relist = True
        self._watch: Watch[T] | None = None
        self._thread = threading.Thread(target=self._run, name=f"informer-{resource.plural}", daemon=True)
        self.resource_version = ""
        self.last_heard: float | None = None
        """Monotonic seconds when the API last said anything here; None before the first list."""

    # --- reading -------------------------------------------------------------------------------------------------

    def get(self, key: tuple[str, str]) -> T | None:
        return self._objects.get(key)

    def items(self) -> list[T]:
        with self._lock:
            return list(self._objects.values())

    def index(self, name: str, value: str) -> list[T]:
        """The objects for which the indexer `name` gave `value`."""
        with self._lock:
            return [self._objects[key] for key in self._indices[name].get(value, ())]

    # --- setting up ----------------------------------------------------------------------------------------------

    def add_handler(self, handler: Handler[T]) -> None:
        """Call `handler(old, new)` on every change; old is None for an addition, new is None for a removal."""
        self._handlers.append(handler)

    def add_indexer(self, name: str, indexer: Indexer[T]) -> None:
        """Keep an index that `index(name, value)` reads; to be called before `start`."""
        self._indexers[name] = indexer
        self._indices[name] = defaultdict(set)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the watch and wait for the thread."""
        self._stopping.set()
        self._abort()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout=5)

    @property
    def has_synced(self) -> bool:
        return self._synced.is_set()

    def synced(self, timeout_s: float | None = None) -> bool:
        """Wait until the first list is in; whether it is."""
        return self._synced.wait(timeout_s)

    def relist(self) -> None:
        """Throw away the watch and list again; `has_synced` is false until that list is in."""
        self._synced.clear()
        self._relist = True
        self._abort()

    def _abort(self) -> None:
        watch = self._watch
        if watch is not None:
            watch.close()

    # --- the loop ------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        delay_s = _BACKOFF_FIRST_S
        while not self._stopping.is_set():
            try:
                if self._relist:
                    self._list()
                self._follow()
                delay_s = _BACKOFF_FIRST_S
                continue
            except ApiError as error:
                if error.code == 410:
                    self._relist = True
                    event(log, "relist", kind=self.resource.kind, error=error.message)
                    continue
                level = logging.DEBUG if isinstance(error, Unreachable) else logging.WARNING
                event(log, "watch-failed", level=level, kind=self.resource.kind, error=error.message)
            except Exception:
                log.exception("informer of %s", self.resource.qualified)
                self._relist = True
            self._stopping.wait(delay_s * random.uniform(0.5, 1.0))  # noqa: S311  # jitter, not a secret
            delay_s = min(delay_s * 2, _BACKOFF_MAX_S)

    def _list(self) -> None:
        self._relist = False
        try:
            listing = self._client.list(
                self.resource,
                self._namespace,
                label_selector=self._label_selector,
                field_selector=self._field_selector,
            )
        except Exception:
            self._relist = True
            raise
        self.last_heard = self._clock.monotonic()
        self._refuse_the_past(listing.resource_version)
        fresh = {obj.key: obj for obj in listing.items}
        for key in [key for key in self._objects if key not in fresh]:
            self._apply(key, None)
        for key, obj in fresh.items():
            old = self._objects.get(key)
            if old is None or old.metadata.resource_version != obj.metadata.resource_version:
                self._apply(key, obj)
        self.resource_version = listing.resource_version
        if not self._relist:
            self._synced.set()

    def _refuse_the_past(self, version: str) -> None:
        """A store that came back empty or old must not make us delete what runs: keep what we have, and wait.

        Raises: ApiError 503, so that the list is tried again.
        """
        if self.resource_version and int(version) < int(self.resource_version):
            self._relist = True
            raise ApiError.unavailable(
                f"the API is at revision {version}, but {self.resource_version} was seen before: its store is empty "
                "or old; nothing is changed until that is mended, or this daemon is restarted"
            )

    def _follow(self) -> None:
        watch = self._client.watch(
            self.resource,
            self._namespace,
            resource_version=self.resource_version,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
        )
        self._watch = watch
        try:
            if self._stopping.is_set() or self._relist:
                return
            for change in watch:
                self.last_heard = self._clock.monotonic()
                self.resource_version = change.object.metadata.resource_version
                if change.type != "BOOKMARK":
                    self._apply(change.object.key, None if change.type == "DELETED" else change.object)
                if self._stopping.is_set() or self._relist:
                    return
        finally:
            self._watch = None
            watch.close()

    def _apply(self, key: tuple[str, str], new: T | None) -> None:
        with self._lock:
            old = self._objects.pop(key, None)
            if new is not None:
                self._objects[key] = new
            for name, indexer in self._indexers.items():
                index = self._indices[name]
                for value in indexer(old) if old is not None else ():
                    index[value].discard(key)
                    if not index[value]:
                        del index[value]
                for value in indexer(new) if new is not None else ():
                    index[value].add(key)
        if old is None and new is None:
            return
        for handler in self._handlers:
            try:
                handler(old, new)
            except Exception:
                log.exception("handler of %s %s", self.resource.kind, key)
