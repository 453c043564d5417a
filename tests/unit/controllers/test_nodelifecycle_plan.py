"""When a node is lost, what is written then, and every rule that keeps our own troubles from becoming verdicts."""

from __future__ import annotations

import pytest

from controlplane.api.profile import KUBERNETES, LAB
from controlplane.api.types import Condition, Node, NodeSpec, NodeStatus
from controlplane.controllers.heartbeats import Heartbeats
from controlplane.controllers.nodelifecycle_plan import (
    Verdict,
    evictions_allowed,
    judge,
    plan,
)
from tests.unit.controllers.build import NOT_READY, UNREACHABLE, node

BOTH = ("NoSchedule", "NoExecute")


def taints(key: str) -> list[tuple[str, str]]:
    return [(key, effect) for effect in BOTH]


def beats(*names: str, at: float = 100.0, cold: bool = False, profile=LAB) -> Heartbeats:  # type: ignore[no-untyped-def]  # a Profile
    made = Heartbeats(profile, at, cold=cold)
    for name in names:
        made.appeared(name, at)
    return made


def test_lost_three_seconds_after_the_last_renewal_seen() -> None:
    heard = beats("w1", "w2")
    heard.renewed("w1", 101.0)
    keep_alive(heard, "w2", 100.5, 103.5)
    assert judge(node("w1"), heard, LAB, 103.99) is Verdict.READY
    assert judge(node("w1"), heard, LAB, 104.0) is Verdict.LOST
    assert judge(node("w2"), heard, LAB, 104.0) is Verdict.READY


def test_the_next_timer_is_known_so_that_nothing_polls() -> None:
    heard = beats("w1", "w2")
    heard.renewed("w1", 101.0)
    heard.renewed("w2", 102.0)
    assert plan([node("w1"), node("w2")], heard, LAB, 102.5).next_due == 104.0


@pytest.mark.parametrize(
    ("one", "verdict", "unknown", "add", "remove"),
    [
        pytest.param(node("w1"), Verdict.READY, None, None, None, id="ready and clean"),
        pytest.param(node("w1", "True", *taints(UNREACHABLE)), Verdict.READY, (), [], taints(UNREACHABLE), id="back"),
        pytest.param(node("w1", "False"), Verdict.NOT_READY, (), taints(NOT_READY), [], id="says not ready"),
        pytest.param(node("w1", ""), Verdict.NOT_READY, (), taints(NOT_READY), [], id="has not reported"),
        pytest.param(node("w1", "False", *taints(NOT_READY)), Verdict.NOT_READY, None, None, None, id="known"),
        pytest.param(
            node("w1", "False", *taints(UNREACHABLE)), Verdict.NOT_READY, (), taints(NOT_READY), taints(UNREACHABLE),
            id="back but not ready",
        ),
        pytest.param(
            node("w1", "Unknown", ("mine", "NoExecute"), *taints(UNREACHABLE)), Verdict.LOST, None, None, None,
            id="known lost, though it renews: its agent has to speak first",
        ),
        pytest.param(
            node("w1", "Unknown", (UNREACHABLE, "NoSchedule")), Verdict.LOST, (), [(UNREACHABLE, "NoExecute")], [],
            id="interrupted between two taints",
        ),
    ],
)  # fmt: skip
def test_what_is_written_on_a_node_that_renews(one, verdict, unknown, add, remove) -> None:  # type: ignore[no-untyped-def]  # a table
    heard = beats("w1")
    heard.renewed("w1", 102.0)
    made = plan([one], heard, LAB, 102.5)
    assert made.verdicts["w1"] is verdict
    if unknown is None:
        assert made.actions == ()
        return
    (action,) = made.actions
    assert action.mark_unknown == unknown
    assert sorted((t.key, t.effect) for t in action.add) == sorted(add)
    assert sorted((t.key, t.effect) for t in action.remove) == sorted(remove)


def test_a_cordoned_node_and_one_under_pressure_are_tainted_too() -> None:
    heard = beats("w1")
    heard.renewed("w1", 102.0)
    one = node("w1")
    one.spec.unschedulable = True
    one.status.conditions = [Condition(type="Ready", status="True"), Condition(type="DiskPressure", status="True")]
    (action,) = plan([one], heard, LAB, 102.5).actions
    assert {(t.key, t.effect) for t in action.add} == {
        ("node.kubernetes.io/unschedulable", "NoSchedule"),
        ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    }
    calm = applied(one, action)
    calm.status.conditions = [Condition(type="Ready", status="True"), Condition(type="DiskPressure", status="False")]
    (action,) = plan([calm], heard, LAB, 102.5).actions
    assert {t.key for t in action.remove} == {
        "node.kubernetes.io/unschedulable",
        "node.kubernetes.io/disk-pressure",
    }


@pytest.mark.parametrize("ready", ["True", "False", ""])
def test_a_lost_node_gets_unknown_conditions_and_taints(ready: str) -> None:
    heard = beats("w1", "w2")
    keep_alive(heard, "w2", 100.0, 103.0)
    made = plan([node("w1", ready, *(taints(NOT_READY) if ready == "False" else []))], heard, LAB, 103.0)
    (action,) = made.actions
    assert set(action.mark_unknown) == {"Ready", "MemoryPressure"}
    assert [(t.key, t.effect) for t in action.add] == [(UNREACHABLE, "NoSchedule"), (UNREACHABLE, "NoExecute")]
    assert bool(action.remove) == (ready == "False")


def applied(one: Node, action: object) -> Node:
    conditions = [
        Condition(type=c.type, status="Unknown" if c.type in action.mark_unknown else c.status)  # type: ignore[attr-defined]
        for c in one.status.conditions or ()
    ]
    known = {c.type for c in conditions}
    conditions += [Condition(type=t, status="Unknown") for t in action.mark_unknown if t not in known]  # type: ignore[attr-defined]
    gone = {(t.key, t.effect) for t in action.remove}  # type: ignore[attr-defined]
    kept = [t for t in one.spec.taints or () if (t.key, t.effect) not in gone]
    return Node(
        metadata=one.metadata,
        spec=NodeSpec(taints=kept + list(action.add)),  # type: ignore[attr-defined]
        status=NodeStatus(conditions=conditions),
    )


@pytest.mark.parametrize("silent", [True, False], ids=["silent", "renewing"])
@pytest.mark.parametrize("ready", ["True", "False", "Unknown", ""])
@pytest.mark.parametrize("has", [[], taints(NOT_READY), taints(UNREACHABLE), taints(NOT_READY) + taints(UNREACHABLE)])
def test_applying_a_plan_leaves_an_empty_next_plan(silent: bool, ready: str, has: list[tuple[str, str]]) -> None:
    heard = beats("w1", "w2")
    keep_alive(heard, "w2", 100.0, 104.0)
    if not silent:
        heard.renewed("w1", 104.0)
    one = node("w1", ready, *has)
    for action in plan([one], heard, LAB, 104.0).actions:
        one = applied(one, action)
    assert plan([one], heard, LAB, 104.0).actions == ()


class TestOurOwnTroubles:
    def test_when_all_are_silent_nobody_is_judged(self) -> None:
        heard = beats("w1", "w2")
        heard.renewed("w1", 100.5)
        heard.renewed("w2", 100.6)
        assert judge(node("w1"), heard, LAB, 110.0) is Verdict.READY
        made = plan([node("w1"), node("w2")], heard, LAB, 110.0)
        assert made.actions == ()
        assert made.next_due == 110.75

    def test_the_next_renewal_restarts_every_timer(self) -> None:
        heard = beats("w1", "w2")
        heard.renewed("w1", 100.5)
        assert not heard.renewed("w2", 101.0)
        assert heard.renewed("w2", 103.0)
        assert judge(node("w1"), heard, LAB, 105.99) is Verdict.READY
        keep_alive(heard, "w2", 104.0, 106.0)
        assert judge(node("w1"), heard, LAB, 106.0) is Verdict.LOST

    def test_a_long_silence_of_all_counts_as_a_start_of_the_store(self) -> None:
        heard = beats("w1", "w2")
        heard.renewed("w1", 101.0)
        heard.renewed("w2", 120.0)
        keep_alive(heard, "w2", 120.0, 180.0)
        assert judge(node("w1"), heard, LAB, 179.9) is Verdict.READY
        assert judge(node("w1"), heard, LAB, 180.0) is Verdict.LOST

    def test_a_new_leader_restarts_each_timer_once(self) -> None:
        heard = beats("w1", "w2")
        keep_alive(heard, "w2", 100.0, 103.0)
        assert judge(node("w1"), heard, LAB, 102.9) is Verdict.READY
        assert judge(node("w1"), heard, LAB, 103.0) is Verdict.LOST

    def test_after_a_cold_start_a_node_not_seen_has_a_minute(self) -> None:
        heard = beats("w1", "w2", cold=True)
        keep_alive(heard, "w2", 100.0, 160.0)
        assert judge(node("w1"), heard, LAB, 159.9) is Verdict.READY
        assert judge(node("w1"), heard, LAB, 160.0) is Verdict.LOST

    def test_after_a_cold_start_a_node_that_was_seen_is_judged_as_ever(self) -> None:
        heard = beats("w1", "w2", cold=True)
        heard.renewed("w1", 101.0)
        keep_alive(heard, "w2", 100.0, 104.0)
        assert judge(node("w1"), heard, LAB, 104.0) is Verdict.LOST

    def test_a_node_that_just_registered_has_a_minute(self) -> None:
        heard = beats("w2")
        heard.appeared("new", 130.0)
        keep_alive(heard, "w2", 100.0, 190.0)
        assert judge(node("new"), heard, LAB, 189.9) is Verdict.READY
        assert judge(node("new"), heard, LAB, 190.0) is Verdict.LOST

    def test_the_upstream_profile_waits_longer(self) -> None:
        heard = beats("w1", "w2", profile=KUBERNETES)
        keep_alive(heard, "w2", 100.0, 150.0)
        assert judge(node("w1"), heard, KUBERNETES, 149.9) is Verdict.READY
        assert judge(node("w1"), heard, KUBERNETES, 150.0) is Verdict.LOST


def keep_alive(heard: Heartbeats, name: str, start: float, end: float) -> None:
    at = start
    while at <= end:
        heard.renewed(name, at)
        at += 1.0


@pytest.mark.parametrize(
    ("workers", "down", "allowed"),
    [
        (1, 0, True), (1, 1, False), (2, 1, True), (2, 2, False), (3, 2, True), (3, 3, False),
        (4, 2, True), (4, 3, False), (8, 4, True), (8, 5, False), (20, 10, True), (20, 11, False), (0, 0, True),
    ],
)  # fmt: skip
def test_evictions_stop_when_most_workers_are_down(workers: int, down: int, allowed: bool) -> None:
    nodes = [node("master", control_plane=True), *(node(f"w{i}") for i in range(workers))]
    verdicts = {f"w{i}": Verdict.LOST if i < down else Verdict.READY for i in range(workers)}
    assert evictions_allowed(nodes, {"master": Verdict.READY, **verdicts}) is allowed
