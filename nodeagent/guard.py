"""Holds the fence's state, asks the peers, and carries out the verdicts; the only owner of "may this node run pods".

What must hold: nothing is started while the node is fenced, marked, or past its deadline without a verdict; a fenced
node runs pods again only after its lease was renewed *and* its pods were listed afresh, since they may run elsewhere
by now. The watchdog may have fenced behind the agent's back (the mark says so): that counts the same.

`lease.py` reports renewals; `main.py` gives the callbacks; a thread of its own keeps the time.
"""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from controlplane.api.profile import Profile
from controlplane.client.clock import Clock
from controlplane.daemon import event
from nodeagent import cutoff, fence, kill
from nodeagent.fence import Answer, Peers, Verdict
from nodeagent.watchdog import SOCKET

log = logging.getLogger(__name__)

NEVER_REACHED_S = 1e6
"""The age that a peer is told before the API was ever reached: it contradicts nobody."""
_IDLE_S = 60.0
_SWEEP_EVERY_S = 0.25


class AskPeer(Protocol):
    """Asks one peer without waiting; the answer comes to `heard` later, or never."""

    def __call__(self, peer: str, heard: Callable[[str, Answer], None]) -> None: ...


@dataclass(frozen=True)
class GuardConfig:
    """Who this node is to the fence, and where its marks and cgroups are."""

    profile: Profile
    control_plane: bool
    run_dir: Path
    cgroup_parent: str


@dataclass(frozen=True)
class Callbacks:
    """What the guard asks of the agent."""

    peers: Callable[[], Peers]
    ask: AskPeer
    relist: Callable[[], bool]
    """List the node's pods afresh and wait for it; whether that worked. Called on a thread of the guard."""
    released: Callable[[str], None]
    """The node runs pods again; called with a line for people."""


class Guard:
    """Thread-safe."""

    def __init__(self, config: GuardConfig, callbacks: Callbacks, clock: Clock) -> None:
        self._config = config
        self._callbacks = callbacks
        self._clock = clock
        self._takes_part = fence.may_fence(config.profile, config.control_plane)
        self._changed = threading.Condition()
        self._fence = fence.renewed(config.profile, clock.monotonic())
        self._reached: float | None = None
        self._recovering = False
        self._stopping = False
        self._watchdog = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._watchdog.setblocking(False)
        self._thread = threading.Thread(target=self._run, name="guard", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread. The watchdog stays armed: an agent that doesn't come back is one that is stuck."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(timeout=2)
        self._watchdog.close()

    # --- questions -----------------------------------------------------------------------------------------------

    def may_start(self) -> bool:
        """Whether a container may be started now."""
        if self._reached is None or self._recovering:
            return False
        if not self._takes_part:
            return True
        state = self._fence
        return not state.fenced and self._clock.monotonic() < state.judge_at and not self._marked()

    @property
    def fenced(self) -> bool:
        return self._fence.fenced or self._recovering or self._marked()

    def last_reached_seconds_ago(self) -> float:
        """How long ago the newest successful renewal was sent: what a peer is told."""
        reached = self._reached
        return NEVER_REACHED_S if reached is None else self._clock.monotonic() - reached

    def _marked(self) -> bool:
        return cutoff.is_marked(self._config.run_dir)

    # --- what happens --------------------------------------------------------------------------------------------

    def renewed(self, sent: float) -> None:
        """A renewal that was sent at `sent` succeeded."""
        with self._changed:
            self._reached = sent
            self._fence = fence.renewed(self._config.profile, sent)
            recover = self._marked() and not self._recovering
            self._recovering = self._recovering or recover
            self._changed.notify()
        self._push()
        if recover:
            threading.Thread(target=self._recover, name="recover", daemon=True).start()

    def heard(self, peer: str, answer: Answer) -> None:
        """A peer has answered."""
        with self._changed:
            self._fence = fence.answered(self._fence, peer, answer)

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._stopping:
                    return
                now = self._clock.monotonic()
                wait_s = min(fence.due(self._fence) - now, _IDLE_S) if self._takes_part else _IDLE_S
                if self._fence.fenced:
                    wait_s = _SWEEP_EVERY_S
                if wait_s > 0:
                    self._changed.wait(wait_s)
                    sweep = self._fence.fenced
                    verdict, peers, was_keeping = Verdict.NORMAL, Peers(), False
                else:
                    sweep = False
                    peers, was_keeping = self._callbacks.peers(), self._fence.keeping
                    self._fence, verdict = fence.step(self._fence, peers, now)
            if sweep:  # a start that was under way when the fence fell
                kill.kill_below(self._config.cgroup_parent)
            self._follow(verdict, peers, was_keeping)

    def _follow(self, verdict: Verdict, peers: Peers, was_keeping: bool) -> None:
        if verdict is Verdict.ASK:
            if was_keeping:
                self._push()  # the deadline may have started again
            for peer in peers.ready:
                self._callbacks.ask(peer, self.heard)
        elif verdict is Verdict.KEEP:
            self._push()
            if not was_keeping:
                why = f"{len(peers.ready)} peers lost the API, too" if peers.ready else "no other worker is Ready"
                event(log, "keep", level=logging.WARNING, reason=f"the API is away, and {why}: the pods run on")
        elif verdict is Verdict.FENCE and (self._reached is not None or kill.any_process(self._config.cgroup_parent)):
            age_s = self.last_reached_seconds_ago()
            why = f"no lease renewal for {age_s:.2f}s and not every peer lost the API: this node is cut off"
            done = cutoff.fence(self._config.run_dir, self._config.cgroup_parent, why)
            event(log, "fence", level=logging.WARNING, result=done)

    def _recover(self) -> None:
        """Back in touch: learn which pods are still ours, and only then run them."""
        try:
            while not self._stopping:
                if not self._callbacks.relist():
                    continue
                with self._changed:
                    if self._clock.monotonic() >= self._fence.judge_at or self._fence.fenced:
                        return  # cut off again; the next renewal tries anew
                    cutoff.unmark(self._config.run_dir)
                    self._recovering = False
                break
        finally:
            self._recovering = False
        if not self._marked():
            event(log, "release", reason="the lease is renewed and the pods are listed: the node runs pods again")
            self._callbacks.released("the node reached the API again and runs pods again")

    def _push(self) -> None:
        """Tell the watchdog the new deadline; it may be away, systemd brings it back."""
        peers = self._callbacks.peers()
        armed = self._takes_part and peers.may_lose_pods
        deadline = fence.watchdog_deadline(self._fence) if armed else self._clock.monotonic()
        body = json.dumps({"armed": armed, "deadline": deadline}).encode()
        with contextlib.suppress(OSError):
            self._watchdog.sendto(body, str(self._config.run_dir / SOCKET))
