"""Which pods leave, when, and which are known to be dead."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

import pytest

from controlplane.api.profile import KUBERNETES, LAB, Profile
from controlplane.api.types import Node, Pod, Taint, Toleration
from controlplane.controllers.eviction_plan import Plan, Situation, TaintTimes, plan, tolerated_for_s
from controlplane.controllers.heartbeats import Heartbeats
from controlplane.controllers.nodelifecycle_plan import Verdict
from tests.unit.controllers.build import DEFAULT_TOLERATIONS, NOT_READY, UNREACHABLE, node, pod, tolerate

LOST = node("worker-1", "Unknown", (UNREACHABLE, "NoSchedule"), (UNREACHABLE, "NoExecute"))
HEARD = 100.0


def situation(
    nodes: Sequence[Node],
    *,
    profile: Profile = LAB,
    allowed: bool = True,
    resumed_at: float = -inf,
    workers: int = 3,
    tainted_at: float = 103.0,
) -> Situation:
    beats = Heartbeats(profile, HEARD, cold=False)
    for one in nodes:
        beats.appeared(one.metadata.name, HEARD)
        beats.renewed(one.metadata.name, HEARD)
    seen = TaintTimes()
    seen.update(nodes, tainted_at)
    verdicts = {n.metadata.name: Verdict.READY if n.ready else Verdict.LOST for n in nodes}
    return Situation(profile, beats, verdicts, seen, allowed, resumed_at, workers)


def evict(one: Node, pods: list[Pod], now: float, **kwargs: object) -> Plan:
    return plan([one], lambda _: pods, situation([one], **kwargs), now)  # type: ignore[arg-type]  # keywords of situation


def names(made: Plan) -> list[str]:
    return [e.pod.metadata.name for e in made.evictions]


def test_replaced_four_seconds_after_the_last_renewal_seen() -> None:
    pods = [pod("a", tolerations=DEFAULT_TOLERATIONS)]
    early = evict(LOST, pods, 103.9)
    assert names(early) == []
    assert early.next_due == 104.0
    (eviction,) = evict(LOST, pods, 104.0).evictions
    assert eviction.dead
    assert eviction.why == "taint node.kubernetes.io/unreachable is tolerated for 1 s"


@pytest.mark.parametrize(
    ("tolerations", "at"),
    [
        pytest.param((), 104.0, id="no toleration: still not before the fence"),
        pytest.param((tolerate(UNREACHABLE, 0),), 104.0, id="0 s"),
        pytest.param((tolerate(UNREACHABLE, 1),), 104.0, id="1 s"),
        pytest.param((tolerate(UNREACHABLE, 30),), 133.0, id="30 s from when it was Unknown"),
        pytest.param((tolerate(UNREACHABLE, 30), tolerate(UNREACHABLE, 5)), 108.0, id="the shorter of two"),
        pytest.param((tolerate(UNREACHABLE, None),), None, id="for ever"),
        pytest.param((Toleration(operator="Exists"),), None, id="everything for ever"),
    ],
)
def test_tolerations(tolerations: tuple[Toleration, ...], at: float | None) -> None:
    made = evict(LOST, [pod("a", tolerations=tolerations)], 103.0)
    assert names(made) == []
    assert made.next_due == at


def test_upstream_profile_waits_for_the_agent() -> None:
    pods = [pod("a", tolerations=(tolerate(UNREACHABLE, 300),)), pod("b", dying=True)]
    assert evict(LOST, pods, 449.9, profile=KUBERNETES).next_due == 450.0
    (eviction,) = evict(LOST, pods, 450.0, profile=KUBERNETES).evictions
    assert (eviction.pod.metadata.name, eviction.dead) == ("a", False)


def test_a_terminating_pod_of_a_dead_node_goes_at_once() -> None:
    made = evict(LOST, [pod("a", dying=True, tolerations=(Toleration(operator="Exists"),))], 104.0)
    assert [e.dead for e in made.evictions] == [True]


def test_finished_pods_stay_where_they_are() -> None:
    assert names(evict(LOST, [pod("a", phase="Succeeded")], 200.0)) == []


@pytest.mark.parametrize(
    ("one", "workers"),
    [
        pytest.param(LOST, 1, id="the only worker never fences"),
        pytest.param(
            node("master", "Unknown", (UNREACHABLE, "NoExecute"), control_plane=True), 3, id="nor does the master"
        ),
    ],
)
def test_without_a_fence_pods_are_not_known_to_be_dead(one: Node, workers: int) -> None:
    made = evict(one, [pod("a"), pod("b", dying=True)], 200.0, workers=workers)
    assert [(e.pod.metadata.name, e.dead) for e in made.evictions] == [("a", False)]


def test_mass_failure_stops_evictions_and_their_timers_start_again() -> None:
    pods = [pod("a", tolerations=DEFAULT_TOLERATIONS), pod("b", dying=True)]
    stopped = evict(LOST, pods, 200.0, allowed=False)
    assert stopped == Plan((), None)
    assert evict(LOST, pods, 203.9, resumed_at=200.0).next_due == 204.0
    assert names(evict(LOST, pods, 204.0, resumed_at=200.0)) == ["a", "b"]


def test_a_taint_of_a_person_counts_from_when_it_was_seen() -> None:
    tainted = node("worker-1", "True", ("maintenance", "NoExecute"))
    pods = [
        pod("now"),
        pod("later", tolerations=(tolerate("maintenance", 10),)),
        pod("never", tolerations=(tolerate("maintenance", None),)),
    ]
    made = evict(tainted, pods, 103.0, allowed=False)
    assert [(e.pod.metadata.name, e.dead) for e in made.evictions] == [("now", False)]
    assert made.next_due == 113.0


def test_a_node_that_says_not_ready_is_emptied_by_its_agent() -> None:
    sick = node("worker-1", "False", (NOT_READY, "NoExecute"))
    beats = situation([sick])
    sick_now = Situation(LAB, beats.beats, {"worker-1": Verdict.NOT_READY}, beats.taints_seen, True, -inf, 3)
    made = plan([sick], lambda _: [pod("a", tolerations=DEFAULT_TOLERATIONS)], sick_now, 104.0)
    assert [e.dead for e in made.evictions] == [False]


def test_a_taint_that_went_and_came_counts_anew() -> None:
    tainted, clean = node("w", "True", ("m", "NoExecute")), node("w")
    seen = TaintTimes()
    seen.update([tainted], 1.0)
    seen.update([tainted], 2.0)
    assert seen.since("w", Taint(key="m", effect="NoExecute")) == 1.0
    seen.update([clean], 3.0)
    seen.update([tainted], 4.0)
    assert seen.since("w", Taint(key="m", effect="NoExecute")) == 4.0


def test_negative_seconds_mean_at_once() -> None:
    assert tolerated_for_s([tolerate("m", -5)], Taint(key="m", effect="NoExecute")) == 0.0
