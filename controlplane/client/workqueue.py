"""A queue of keys: one key is never processed twice at once, bursts merge, errors come back later.

Handlers add keys; workers take them, look at the world as it is then, and act. A key added while it is being
processed is processed once more afterwards. A failed key returns after a capped, jittered exponential back-off that
success forgets.

Follows client-go/util/workqueue (queue.go, delaying_queue.go, default_rate_limiters.go).
"""

from __future__ import annotations

import heapq
import itertools
import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable

from controlplane.api.errors import ApiError
from controlplane.client.clock import Clock, SystemClock
from controlplane.daemon import event

log = logging.getLogger(__name__)

Key = tuple[str, str]
"""(namespace, name); the namespace is empty for cluster-scoped objects."""

_BACKOFF_FIRST_S = 0.05
_BACKOFF_MAX_S = 30.0


class WorkQueue:
    """A thread-safe queue of keys with delays and per-key back-off."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock: Clock = clock or SystemClock()
        self._changed = threading.Condition()
        self._queue: deque[Key] = deque()
        self._dirty: set[Key] = set()
        self._processing: set[Key] = set()
        self._delayed: list[tuple[float, int, Key]] = []
        self._due: dict[Key, float] = {}
        self._sequence = itertools.count()
        self._failures: dict[Key, int] = {}
        self._shut = False

    def add(self, key: Key) -> None:
        """Queue the key, unless it already waits."""
        with self._changed:
            self._add(key)

    def _add(self, key: Key) -> None:
        if self._shut or key in self._dirty:
            return
        self._dirty.add(key)
        if key not in self._processing:
            self._queue.append(key)
            self._changed.notify()

    def add_after(self, key: Key, delay_s: float) -> None:
        """Queue the key after a delay; the earliest of several delays counts."""
        if delay_s <= 0:
            self.add(key)
            return
        with self._changed:
            due = self._clock.monotonic() + delay_s
            if self._due.get(key, float("inf")) <= due:
                return
            self._due[key] = due
            heapq.heappush(self._delayed, (due, next(self._sequence), key))
            self._changed.notify()

    def add_failed(self, key: Key) -> float:
        """Queue the key again after its back-off; the seconds until then."""
        with self._changed:
            failures = self._failures.get(key, 0)
            self._failures[key] = failures + 1
        delay_s = min(_BACKOFF_FIRST_S * 2.0 ** min(failures, 30), _BACKOFF_MAX_S)
        delay_s *= random.uniform(0.75, 1.0)  # noqa: S311  # jitter, not a secret
        self.add_after(key, delay_s)
        return delay_s

    def forget(self, key: Key) -> None:
        """The key succeeded: its next failure starts with the shortest back-off."""
        with self._changed:
            self._failures.pop(key, None)

    def get(self, timeout_s: float | None = None) -> Key | None:
        """The next key, now in the caller's hands until `done`; None when shut down or out of time."""
        deadline = None if timeout_s is None else self._clock.monotonic() + timeout_s
        with self._changed:
            while True:
                now = self._clock.monotonic()
                self._release_due(now)
                if self._queue:
                    key = self._queue.popleft()
                    self._dirty.discard(key)
                    self._processing.add(key)
                    return key
                if self._shut or (deadline is not None and now >= deadline):
                    return None
                waits = [self._delayed[0][0] - now] if self._delayed else []
                if deadline is not None:
                    waits.append(deadline - now)
                self._changed.wait(min(waits) if waits else None)

    def _release_due(self, now: float) -> None:
        while self._delayed and self._delayed[0][0] <= now:
            due, _, key = heapq.heappop(self._delayed)
            if self._due.get(key) == due:
                del self._due[key]
                self._add(key)

    def done(self, key: Key) -> None:
        """Give the key back; if it was added meanwhile it is queued again."""
        with self._changed:
            self._processing.discard(key)
            if key in self._dirty:
                self._queue.append(key)
                self._changed.notify()

    def shut_down(self) -> None:
        """Take no more keys and let every worker's `get` return None."""
        with self._changed:
            self._shut = True
            self._queue.clear()
            self._changed.notify_all()

    def __len__(self) -> int:
        with self._changed:
            return len(self._queue)


def run_controller(
    name: str,
    queue: WorkQueue,
    reconcile: Callable[[Key], float | None],
    on_stale_term: Callable[[], None] | None = None,
    workers: int = 1,
) -> list[threading.Thread]:
    """Start worker threads that reconcile keys until the queue shuts down.

    `reconcile` observes, plans, applies; it may return seconds after which it wants the key again. A write conflict
    re-queues quietly, any other error with its traceback; a stale leader's term ends the process's work.
    """

    def work() -> None:
        while (key := queue.get()) is not None:
            try:
                process(key)
            finally:
                queue.done(key)

    def process(key: Key) -> None:
        started = time.monotonic()
        try:
            again_s = reconcile(key)
        except ApiError as error:
            if error.reason == "StaleTerm" and on_stale_term is not None:
                on_stale_term()
                return
            quiet = error.reason in ("Conflict", "Unreachable")
            event(
                log,
                "retry",
                level=logging.DEBUG if quiet else logging.WARNING,
                controller=name,
                key="/".join(key),
                error=error.message,
                duration_s=time.monotonic() - started,
                again_s=queue.add_failed(key),
            )
        except Exception:
            log.exception("controller %s: %s", name, "/".join(key))
            queue.add_failed(key)
        else:
            queue.forget(key)
            if again_s is not None:
                queue.add_after(key, again_s)

    threads = [threading.Thread(target=work, name=f"{name}-{n}", daemon=True) for n in range(workers)]
    for thread in threads:
        thread.start()
    return threads
