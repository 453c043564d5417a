"""The fence's decision: time lines of renewals, questions and answers, and the verdict at each moment."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from controlplane.api.profile import KUBERNETES, LAB
from nodeagent import fence
from nodeagent.fence import Answer, Fence, Peers, Verdict

A, B = "10.77.0.12", "10.77.0.13"
BOTH = Peers(frozenset({A, B}), True)


@dataclass(frozen=True)
class Said:
    """A peer's answer: asked when, how long it took, and when the peer itself last reached the API (our clock)."""

    peer: str
    asked: float
    took: float
    reached: float

    def give(self, state: Fence) -> Fence:
        at = self.asked + self.took
        return fence.answered(state, self.peer, Answer(self.asked, at, at - self.reached))


def verdict_at(now: float, said: tuple[Said, ...], peers: Peers = BOTH) -> Verdict:
    """The verdict at `now` when the last renewal was sent at 0."""
    state = fence.renewed(LAB, 0.0)
    for answer in said:
        state = answer.give(state)
    return fence.step(state, peers, now)[1]


@pytest.mark.parametrize(
    ("now", "said", "peers", "verdict"),
    [
        pytest.param(1.4, (), BOTH, Verdict.NORMAL, id="renewed a moment ago"),
        pytest.param(1.5, (), BOTH, Verdict.ASK, id="1.5 s: ask"),
        pytest.param(2.5, (), BOTH, Verdict.FENCE, id="deadline, nobody answered"),
        pytest.param(
            2.5, (Said(A, 2.25, 0.01, 0.5), Said(B, 2.25, 0.01, 0.9)), BOTH, Verdict.KEEP,
            id="all lost the API when I did: the master is down",
        ),
        pytest.param(
            2.5, (Said(A, 2.25, 0.01, 0.5), Said(B, 2.25, 0.01, 1.9)), BOTH, Verdict.FENCE,
            id="one reached the API later than I: I am cut off",
        ),
        pytest.param(2.5, (Said(A, 2.25, 0.01, 0.5),), BOTH, Verdict.FENCE, id="one is silent"),
        pytest.param(
            2.5, (Said(A, 2.25, 0.01, 1.2), Said(B, 2.25, 0.01, -0.5)), BOTH, Verdict.KEEP,
            id="1.2 s later is still the same moment",
        ),
        pytest.param(
            2.5, (Said(A, 2.25, 0.01, 1.21), Said(B, 2.25, 0.01, 0.0)), BOTH, Verdict.FENCE,
            id="more than 1.2 s later is not",
        ),
        pytest.param(
            2.5, (Said(A, 1.5, 0.01, 0.5), Said(B, 2.25, 0.01, 0.5)), BOTH, Verdict.FENCE,
            id="an old answer does not count",
        ),
        pytest.param(
            2.7, (Said(A, 2.2, 0.6, 0.5), Said(B, 2.25, 0.01, 0.5)), BOTH, Verdict.FENCE,
            id="an answer after 0.5 s does not count",
        ),
        pytest.param(2.5, (), Peers(frozenset(), False), Verdict.KEEP, id="the only worker never fences"),
        pytest.param(2.5, (), Peers(frozenset(), True), Verdict.KEEP, id="no other worker was Ready: nobody to ask"),
        pytest.param(2.5, (), Peers(known=False), Verdict.FENCE, id="no node list seen yet"),
        pytest.param(
            2.5, (Said(A, 2.25, 0.01, -1e6),), Peers(frozenset({A}), True), Verdict.KEEP,
            id="a peer that never reached the API contradicts nobody",
        ),
    ],
)  # fmt: skip
def test_verdict(now: float, said: tuple[Said, ...], peers: Peers, verdict: Verdict) -> None:
    assert verdict_at(now, said, peers) is verdict


def follow(last_reached: dict[str, float | None], until: float) -> list[tuple[float, Verdict]]:
    """Run the machine until `until`; each peer answers at once, or is silent (None)."""
    state, events = fence.renewed(LAB, 0.0), []
    peers = Peers(frozenset(last_reached), True)
    while (now := fence.due(state)) <= until:
        state, verdict = fence.step(state, peers, now)
        events.append((round(now, 2), verdict))
        if verdict is Verdict.ASK:
            for peer, reached in last_reached.items():
                if reached is not None:
                    state = Said(peer, now, 0.01, reached).give(state)
    return events


def test_questions_and_verdicts_while_the_master_is_down() -> None:
    asked_and_kept = follow({A: 0.3, B: -0.2}, 4.1)
    assert asked_and_kept == [
        (1.5, Verdict.ASK), (2.0, Verdict.ASK), (2.25, Verdict.ASK), (2.5, Verdict.KEEP), (2.5, Verdict.ASK),
        (3.0, Verdict.KEEP), (3.0, Verdict.ASK), (3.5, Verdict.KEEP), (3.5, Verdict.ASK), (4.0, Verdict.KEEP),
        (4.0, Verdict.ASK),
    ]  # fmt: skip


def test_a_node_that_is_cut_off_fences_once_at_its_deadline() -> None:
    assert follow({A: None, B: None}, 100.0)[-1] == (2.5, Verdict.FENCE)


@pytest.mark.parametrize("phase", [0.05 * n for n in range(20)])
def test_whatever_the_phase_of_a_healthy_peer_the_last_question_finds_it(phase: float) -> None:
    """The peer renews every second, at `phase`; by 2.25 s it has renewed more than 1.2 s after we did."""
    reached = max(t for t in (phase + n for n in range(-1, 4)) if t <= 2.25)
    state = Said(A, 2.25, 0.0, reached).give(fence.renewed(LAB, 0.0))
    assert fence.step(state, Peers(frozenset({A}), True), 2.5)[1] is Verdict.FENCE


def test_after_a_long_stop_the_verdict_is_taken_now() -> None:
    state, verdict = fence.step(fence.renewed(LAB, 0.0), BOTH, 3600.0)
    assert verdict is Verdict.FENCE
    assert state.fenced
    assert fence.due(state) == float("inf")


def test_a_renewal_ends_everything() -> None:
    state = fence.renewed(LAB, 10.0)
    assert not state.fenced
    assert fence.step(state, BOTH, 11.0)[1] is Verdict.NORMAL
    assert fence.watchdog_deadline(state) == pytest.approx(12.8)


def test_with_the_kubernetes_profile_nothing_is_ever_due() -> None:
    assert fence.due(fence.renewed(KUBERNETES, 0.0)) == float("inf")
    assert not fence.may_fence(KUBERNETES, control_plane=False)


def test_the_master_takes_no_part() -> None:
    assert fence.may_fence(LAB, control_plane=False)
    assert not fence.may_fence(LAB, control_plane=True)


def kept_at_deadline() -> Fence:
    """The state of a node that keeps its pods at 2.5 s, since both peers lost the API when it did."""
    state = fence.renewed(LAB, 0.0)
    for answer in (Said(A, 2.25, 0.01, 0.5), Said(B, 2.25, 0.01, 0.9)):
        state = answer.give(state)
    state, verdict = fence.step(state, BOTH, 2.5)
    assert verdict is Verdict.KEEP
    return state


def test_when_the_master_returns_a_peer_that_was_faster_fences_nobody_at_once() -> None:
    state = Said(B, 2.95, 0.01, 2.9).give(kept_at_deadline())
    state, verdict = fence.step(state, BOTH, 3.0)
    assert verdict is Verdict.ASK
    assert not state.fenced
    assert state.judge_at == pytest.approx(2.5 - fence.ANSWER_COUNTS_S + 2.5), (
        "2.5 s from when all surely had lost it"
    )
    assert fence.watchdog_deadline(state) > state.judge_at


def test_who_stays_without_the_api_after_its_return_is_cut_off() -> None:
    state, _ = fence.step(Said(B, 2.95, 0.01, 2.9).give(kept_at_deadline()), BOTH, 3.0)
    late = state.judge_at
    for answer in (Said(A, late - 0.2, 0.01, late - 0.5), Said(B, late - 0.2, 0.01, late - 0.5)):
        state = answer.give(state)
    state, verdict = fence.step(state, BOTH, late)
    assert verdict is Verdict.FENCE
    assert state.fenced


def test_a_process_that_slept_past_the_second_deadline_fences_at_once() -> None:
    state, verdict = fence.step(kept_at_deadline(), BOTH, 9.0)
    assert verdict is Verdict.FENCE
    assert state.fenced
