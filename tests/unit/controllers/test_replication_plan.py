"""How many pods a ReplicationController creates or deletes, which, and what its status says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.api.types import Condition, ObjectMeta, Pod, ReplicationControllerStatus
from controlplane.controllers.expectations import Expectations
from controlplane.controllers.replication_plan import (
    FAILURE,
    Failure,
    deletion_order,
    next_available_s,
    plan,
    status,
    status_differs,
)
from tests.unit.controllers.build import NOW, ago, pod, rc

OTHER = {"app": "other"}


@pytest.mark.parametrize(
    ("pods", "create", "delete"),
    [
        pytest.param([], 3, [], id="none yet"),
        pytest.param([pod("a"), pod("b")], 1, [], id="one missing"),
        pytest.param([pod("a"), pod("b"), pod("c")], 0, [], id="enough"),
        pytest.param([pod("a"), pod("b"), pod("c", dying=True)], 1, [], id="a terminating pod doesn't count"),
        pytest.param([pod("a"), pod("b"), pod("c", phase="Failed")], 1, [], id="a failed pod doesn't count"),
        pytest.param([pod("a"), pod("b"), pod("c", owner="x")], 1, [], id="another's pod doesn't count"),
        pytest.param([pod("a"), pod("b"), pod("c"), pod("d", age_s=1)], 0, ["d"], id="one too many"),
        pytest.param([pod("a"), pod("b"), pod("c", owner="")], 0, [], id="an orphan is adopted and counts"),
        pytest.param([pod("a"), pod("b"), pod("c", labels=OTHER)], 1, [], id="a relabelled pod no longer counts"),
    ],
)
def test_scaling(pods: list[Pod], create: int, delete: list[str]) -> None:
    made = plan(rc(3), pods, may_scale=True)
    assert (made.create, [p.metadata.name for p in made.delete]) == (create, delete)


def test_it_adopts_orphans_and_releases_those_that_no_longer_match() -> None:
    pods = [pod("mine"), pod("orphan", owner=""), pod("gone", labels=OTHER), pod("dying", owner="", dying=True)]
    made = plan(rc(), pods, may_scale=True)
    assert [p.metadata.name for p in made.adopt] == ["orphan"]
    assert [p.metadata.name for p in made.release] == ["gone"]


def test_while_it_is_deleted_it_touches_nothing() -> None:
    made = plan(rc(5, dying=True), [pod("a"), pod("orphan", owner=""), pod("x", labels=OTHER)], may_scale=True)
    assert made == type(made)()


def test_nothing_is_scaled_while_the_cache_lags() -> None:
    made = plan(rc(3), [pod("orphan", owner="")], may_scale=False)
    assert made.create == 0
    assert len(made.adopt) == 1


def test_the_order_of_deletion() -> None:
    ordered = [
        pod("unassigned", node="", phase="Pending", ready_s=None),
        pod("pending", node="worker-2", phase="Pending", ready_s=None),
        pod("not-ready", node="worker-3", ready_s=None),
        pod("doubled-ready-later", node="worker-1", ready_s=10),
        pod("doubled", node="worker-1", ready_s=60),
        pod("ready-later", node="worker-4", ready_s=20),
        pod("restarted", node="worker-5", restarts=2),
        pod("newer", node="worker-6", age_s=100),
        pod("older", node="worker-7", age_s=200),
    ]
    for start in range(len(ordered)):
        assert deletion_order(ordered[start:] + ordered[:start]) == ordered


@given(st.integers(0, 12), st.lists(st.sampled_from(["mine", "orphan", "other", "dying", "failed", "astray"])))
def test_applying_a_plan_leaves_an_empty_next_plan(replicas: int, kinds: list[str]) -> None:
    make = {
        "mine": lambda n: pod(n), "orphan": lambda n: pod(n, owner=""), "other": lambda n: pod(n, owner="x"),
        "dying": lambda n: pod(n, dying=True), "failed": lambda n: pod(n, phase="Failed"),
        "astray": lambda n: pod(n, labels=OTHER),
    }  # fmt: skip
    pods = {f"p{i}": make[kind](f"p{i}") for i, kind in enumerate(kinds)}
    made = plan(rc(replicas), list(pods.values()), may_scale=True)
    for one in made.adopt:
        pods[one.metadata.name] = pod(one.metadata.name)
    for one in made.release:
        pods[one.metadata.name] = pod(one.metadata.name, owner="", labels=OTHER)
    for one in made.delete:
        del pods[one.metadata.name]
    for i in range(made.create):
        pods[f"new-{i}"] = pod(f"new-{i}", node="", phase="Pending", ready_s=None)
    again = plan(rc(replicas), list(pods.values()), may_scale=True)
    assert again == type(again)()
    assert status(rc(replicas), list(pods.values()), None, NOW)["replicas"] == replicas


def test_status_counts() -> None:
    pods = [pod("a", ready_s=60), pod("b", ready_s=5), pod("c", ready_s=None), pod("x", dying=True)]
    counted = status(rc(min_ready=10), pods, None, NOW)
    assert [counted[k] for k in ("replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas")] == [
        3,
        3,
        2,
        1,
    ]
    assert next_available_s(rc(min_ready=10), pods, NOW) == 5.0


def test_a_failure_becomes_a_condition_and_keeps_its_time() -> None:
    failing = rc()
    told = Condition(type=FAILURE, status="True", reason="FailedCreate", message="no", last_transition_time=ago(50))
    failing.status = ReplicationControllerStatus(conditions=[told])
    wanted = status(failing, [], Failure("FailedCreate", "no"), NOW)
    assert wanted["conditions"][0]["lastTransitionTime"] == ago(50)
    assert status_differs(failing, wanted)
    failing.status.observed_generation = 1
    assert not status_differs(failing, wanted)
    assert status_differs(failing, status(failing, [], None, NOW))


def test_the_cost_annotation_decides_among_equals() -> None:
    cheap = pod("cheap", age_s=500)
    cheap.metadata = ObjectMeta(**{**{f: getattr(cheap.metadata, f) for f in cheap.metadata.__struct_fields__},
                                   "annotations": {"controller.kubernetes.io/pod-deletion-cost": "-5"}})  # fmt: skip
    assert deletion_order([pod("new", age_s=1), cheap])[0] is cheap


class TestExpectations:
    KEY = ("default", "web")

    def test_nothing_is_expected_at_first(self) -> None:
        assert Expectations().wait_s(self.KEY, 0.0) is None

    def test_they_end_when_met(self) -> None:
        expected = Expectations()
        expected.expect(self.KEY, "web-1", 0.0)
        expected.expect(self.KEY, "web-2", 0.0)
        expected.met(self.KEY, "web-1")
        assert expected.wait_s(self.KEY, 1.0) == 29.0
        expected.met(self.KEY, "web-2")
        assert expected.wait_s(self.KEY, 1.0) is None

    def test_they_time_out(self) -> None:
        expected = Expectations()
        expected.expect(self.KEY, "web-1", 0.0)
        assert expected.wait_s(self.KEY, 30.0) is None

    def test_without_an_answer_they_last_a_moment(self) -> None:
        expected = Expectations()
        expected.expect(self.KEY, "web-1", 0.0)
        expected.unsure(self.KEY, "web-1", 5.0)
        assert expected.wait_s(self.KEY, 6.0) == 1.0
        assert expected.wait_s(self.KEY, 7.0) is None

    def test_an_answer_before_the_unsure_one_counts(self) -> None:
        expected = Expectations()
        expected.expect(self.KEY, "web-1", 0.0)
        expected.met(self.KEY, "web-1")
        expected.unsure(self.KEY, "web-1", 5.0)
        assert expected.wait_s(self.KEY, 5.0) is None
