"""When must this node stop its pods because it may be cut off? The decision, as a pure state machine.

The master gives a lost node's pods to other nodes 4 s after the last renewal it saw. So a worker that can't renew its
lease must have stopped its own by then, unless the fault is the master's. From `fence_ask_s` on it asks the other
workers that were Ready when it last saw the node list. At its deadline, and every half second after it, it keeps its
pods only if every one of them has answered, and none of them reached the API more than 1.2 s later than it did
itself. Any other answer, and any silence, means that this node is the one that is cut off.

When the master comes back the workers renew one after the other, and the first to do so contradicts the rest. So the
first other answer after a unanimous one is taken for the master's return: the deadline starts again at the unanimous
answer, as all of the master's own timers do when nobody at all has renewed (`docs/decisions/0007`).

What must hold:
- the deadline counts from the *sending* of the last renewal that succeeded, on this machine's monotonic clock; ages
  are compared with peers, never clocks;
- an answer counts for little more than half a second from when it was asked for;
- the only worker of a cluster, the master, and a node with the `kubernetes` profile never fence;
- once fenced, a node stays so until a renewal succeeds.
A worker that saw no other worker Ready has nobody to ask and keeps its pods: nobody could replace them.

`lease.py` drives it, `guard.py` carries it out, `watchdog.py` stands in for an agent that is stuck. Follows
`docs/failover.md`; Kubernetes has nothing like it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum

from controlplane.api.profile import Profile

ASK_EVERY_S = 0.5
ANSWER_WITHIN_S = 0.5
ANSWER_COUNTS_S = ANSWER_WITHIN_S + 0.1
AGE_TOLERANCE_S = 1.2
LAST_ASK_BEFORE_S = 0.25
"""One more round this long before the deadline: by then every healthy peer has renewed again."""
WATCHDOG_MARGIN_S = 0.3
"""The watchdog fires this much later than the agent decides, so that a living agent always decides first."""

Instant = float


@dataclass(frozen=True)
class Peers:
    """The other workers: those that were Ready in the last node list, and whether there are others at all.

    `known` is false as long as no node list has been seen: nobody can be asked then, and silence is silence.
    """

    ready: frozenset[str] = frozenset()
    any_other_worker: bool = False
    known: bool = True

    @property
    def may_lose_pods(self) -> bool:
        """Whether another worker may be given this node's pods."""
        return self.any_other_worker or not self.known


@dataclass(frozen=True)
class Answer:
    """What a peer said: asked at, answered at (our clock), and how long ago it had reached the API then."""

    asked: Instant
    answered: Instant
    age_s: float


class Verdict(Enum):
    """NORMAL: nothing to do. ASK: ask the peers now. KEEP: the master is down. FENCE: this node is cut off."""

    NORMAL = "normal"
    ASK = "ask"
    KEEP = "keep"
    FENCE = "fence"


@dataclass(frozen=True)
class Fence:
    """The state: the last renewal, what peers said since, and when the next questions and verdicts are due."""

    last_sent: Instant
    """When the last renewal that succeeded was sent."""
    ask_at: Instant
    judge_at: Instant
    answers: Mapping[str, Answer]
    deadline_s: float
    fenced: bool = False
    kept_at: Instant | None = None
    """Until when every peer had lost the API for sure, while the node keeps its pods for that reason."""

    @property
    def keeping(self) -> bool:
        return self.kept_at is not None


def renewed(profile: Profile, sent: Instant) -> Fence:
    """The state after a renewal that was sent at `sent` and succeeded."""
    ask_s = profile.fence_ask_s if profile.fence_ask_s is not None else float("inf")
    deadline_s = profile.fence_deadline_s if profile.fence_deadline_s is not None else float("inf")
    return Fence(last_sent=sent, ask_at=sent + ask_s, judge_at=sent + deadline_s, answers={}, deadline_s=deadline_s)


def answered(fence: Fence, peer: str, answer: Answer) -> Fence:
    """The state with a peer's answer; a late one and one older than what is known change nothing."""
    known = fence.answers.get(peer)
    if answer.answered - answer.asked > ANSWER_WITHIN_S or (known is not None and known.asked >= answer.asked):
        return fence
    return replace(fence, answers={**fence.answers, peer: answer})


def step(fence: Fence, peers: Peers, now: Instant) -> tuple[Fence, Verdict]:
    """What is due at `now`; call again at `due`."""
    if fence.fenced:
        return fence, Verdict.NORMAL
    if now >= fence.judge_at:
        agreed = peers.known and all(_agrees(fence, peer, now) for peer in peers.ready)
        if agreed or not peers.may_lose_pods:
            ask_at = min(fence.ask_at, now) if peers.ready else float("inf")
            kept_at = now - ANSWER_COUNTS_S
            kept = replace(fence, judge_at=fence.judge_at + ASK_EVERY_S, ask_at=ask_at, kept_at=kept_at)
            if kept.judge_at <= now:  # the process slept through several verdicts
                kept = replace(kept, judge_at=now + ASK_EVERY_S)
            return kept, Verdict.KEEP
        if fence.kept_at is not None and now < fence.kept_at + fence.deadline_s:
            return _since_return(fence, fence.kept_at, now), Verdict.ASK
        return replace(fence, fenced=True, kept_at=None), Verdict.FENCE
    if now >= fence.ask_at:
        next_ask = fence.ask_at + ASK_EVERY_S
        last = fence.judge_at - LAST_ASK_BEFORE_S
        if not fence.keeping and fence.ask_at < last < next_ask:
            next_ask = last
        return replace(fence, ask_at=max(next_ask, now)), Verdict.ASK
    return fence, Verdict.NORMAL


def _since_return(fence: Fence, kept_at: Instant, now: Instant) -> Fence:
    """The master is back for somebody: the deadline counts from when it was surely away for all."""
    return replace(
        fence,
        last_sent=kept_at,
        judge_at=kept_at + fence.deadline_s,
        ask_at=now + ASK_EVERY_S,
        answers={},
        kept_at=None,
    )


def _agrees(fence: Fence, peer: str, now: Instant) -> bool:
    """Whether the peer's newest answer counts and says that it lost the API when we did."""
    answer = fence.answers.get(peer)
    if answer is None or now - answer.asked > ANSWER_COUNTS_S:
        return False
    peer_reached = answer.answered - answer.age_s
    return peer_reached - fence.last_sent <= AGE_TOLERANCE_S


def due(fence: Fence) -> Instant:
    """When `step` has something to do next."""
    return float("inf") if fence.fenced else min(fence.ask_at, fence.judge_at)


def watchdog_deadline(fence: Fence) -> Instant:
    """When the watchdog must fence if nothing newer comes."""
    return fence.judge_at + WATCHDOG_MARGIN_S


def may_fence(profile: Profile, control_plane: bool) -> bool:
    """Whether this node takes part at all."""
    return profile.fence_deadline_s is not None and not control_plane
