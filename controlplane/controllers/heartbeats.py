"""When each node was last heard, on the leader's own monotonic clock. Pure: time is a parameter.

A renewal counts from when it was *seen* here; the time written in a lease is never read, so no clock is compared with
another machine's. Three rules keep our own troubles from becoming verdicts about nodes:

    all silent    no node at all has renewed for `all_silent_s`: the fault is on this side. Nobody is judged, and with
                  the next renewal every timer starts again.
    new leader    what was heard before is unknown: every timer starts at the start.
    cold start    the machine, or the store, has just started: machines boot at different times, so a node that has
                  not been seen since isn't judged before `startup_grace_s`. The same for one that just registered.

After pkg/controller/nodelifecycle (nodeHealthMap, "probe timestamp"), which has only the first half of this.
"""

from __future__ import annotations

from controlplane.api.profile import Profile

STORE_WAS_DOWN = 3.0
"""An API that was away for so many times `node_unknown_s` counts as a start of the store."""


class Heartbeats:
    """The renewals seen since this leader started."""

    def __init__(self, profile: Profile, now: float, *, cold: bool) -> None:
        self._profile = profile
        self._epoch = now
        self._cold = cold
        self._heard_any = now
        self._known: dict[str, float] = {}
        self._heard: dict[str, float] = {}

    def appeared(self, node: str, now: float) -> None:
        """The node exists; only the first time counts."""
        self._known.setdefault(node, now)

    def renewed(self, node: str, now: float) -> bool:
        """A renewal was seen; True when it ended a silence of all, so that every timer starts again."""
        silence_s = now - self._heard_any
        ended = silence_s >= self._profile.all_silent_s
        if ended:
            self._epoch = now
            self._cold = silence_s >= STORE_WAS_DOWN * self._profile.node_unknown_s
        self._heard_any = now
        self._heard[node] = now
        return ended

    def forget(self, node: str) -> None:
        self._known.pop(node, None)
        self._heard.pop(node, None)

    def all_silent(self, now: float) -> bool:
        """Whether nobody has been heard for so long that the fault must be here."""
        return now - self._heard_any >= self._profile.all_silent_s

    def since(self, node: str) -> float:
        """From when this node's silence counts; in the future while a grace lasts."""
        heard = self._heard.get(node)
        if heard is not None and heard >= self._epoch:
            return heard
        known = self._known.get(node, self._epoch)
        start = max(self._epoch, known)
        if self._cold or (heard is None and known > self._epoch):
            return start + self._profile.startup_grace_s - self._profile.node_unknown_s
        return start

    def heard_s_ago(self, node: str, now: float) -> float | None:
        """Seconds since the last renewal that this leader saw, if it saw one; for people."""
        heard = self._heard.get(node)
        return None if heard is None else now - heard
