"""What a controller has done that its cache doesn't show yet; until it does, nothing more is created or deleted.

A creation is expected by the name that we minted, a deletion by uid, both noted *before* the request, so that the
event can't come first. An expectation ends when the informer shows it, when the API refused the request, or after a
time-out (a cache that old was listed anew). When no answer came, the pod may exist: it is expected for a moment only.
After pkg/controller/controller_utils.go (ControllerExpectations), which counts where we name.
"""

from __future__ import annotations

import threading

from controlplane.client.workqueue import Key

TIMEOUT_S = 30.0
UNSURE_S = 2.0


class Expectations:
    """Expected changes, by the key of the object that made them. Thread-safe; time is a parameter."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until: dict[Key, dict[str, float]] = {}

    def expect(self, key: Key, what: str, now: float) -> None:
        """`what` is the name of a pod about to be created, or the uid of one about to be deleted."""
        with self._lock:
            self._until.setdefault(key, {})[what] = now + TIMEOUT_S

    def met(self, key: Key, what: str) -> None:
        """The cache shows it, or it was refused."""
        with self._lock:
            expected = self._until.get(key)
            if expected is not None:
                expected.pop(what, None)
                if not expected:
                    del self._until[key]

    def unsure(self, key: Key, what: str, now: float) -> None:
        """No answer came."""
        with self._lock:
            if what in self._until.get(key, {}):
                self._until[key][what] = now + UNSURE_S

    def forget(self, key: Key) -> None:
        """The object is gone."""
        with self._lock:
            self._until.pop(key, None)

    def wait_s(self, key: Key, now: float) -> float | None:
        """None when nothing is expected; else how long at most to wait for it."""
        with self._lock:
            expected = self._until.get(key, {})
            for what in [what for what, until in expected.items() if until <= now]:
                del expected[what]
            if not expected:
                self._until.pop(key, None)
                return None
            return min(expected.values()) - now
