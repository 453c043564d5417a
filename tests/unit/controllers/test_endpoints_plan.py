"""What stands behind a Service, and that one change writes one slice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.api.types import (
    Container,
    ContainerPort,
    EndpointSlice,
    ObjectMeta,
    Pod,
    Service,
    ServicePort,
    ServiceSpec,
)
from controlplane.controllers.endpoints_plan import SLICE_SIZE, SlicePlan, plan_slices, subsets, targets
from tests.unit.controllers.build import LABELS, pod


def service(*, not_ready: bool = False, port: int | str = 8080, headless: bool = False) -> Service:
    return Service(
        metadata=ObjectMeta(name="web", namespace="default", uid="svc", labels={"team": "a"}),
        spec=ServiceSpec(
            selector=LABELS,
            publish_not_ready_addresses=not_ready,
            cluster_ip="None" if headless else "10.96.0.7",
            ports=[ServicePort(name="http", port=80, target_port=port)],
        ),
    )


def backend(number: int, **kwargs: object) -> Pod:
    return pod(f"web-{number:03}", ip=f"10.244.1.{number}", **kwargs)  # type: ignore[arg-type]  # keywords of `pod`


def slices(plan: SlicePlan) -> list[EndpointSlice]:
    """The slices as they are after the plan, named as the API would name them."""
    for i, one in enumerate(plan.create):
        one.metadata.name = f"web-{i}"
    return [*plan.create, *plan.update]


@pytest.mark.parametrize(
    ("one", "not_ready", "lost", "conditions", "where"),
    [
        pytest.param(backend(1), False, False, (True, True, False), "addresses", id="ready"),
        pytest.param(backend(1, ready_s=None), False, False, (False, False, False), "not ready", id="not ready"),
        pytest.param(backend(1, dying=True), False, False, (False, True, True), "nowhere", id="terminating"),
        pytest.param(backend(1), False, True, (False, False, False), "not ready", id="its node is lost"),
        pytest.param(
            backend(1, ready_s=None), True, False, (True, False, False), "addresses", id="published not ready"
        ),
    ],
)
def test_conditions(one: Pod, not_ready: bool, lost: bool, conditions: tuple[bool, ...], where: str) -> None:
    svc = service(not_ready=not_ready)
    found = targets(svc, [one], frozenset({"worker-1"} if lost else ()))
    (endpoint,) = plan_slices(svc, found, []).create[0].endpoints
    told = endpoint.conditions
    assert (told.ready, told.serving, told.terminating) == conditions
    assert endpoint.target_ref is not None
    assert endpoint.target_ref.uid == one.metadata.uid
    listed = subsets(svc, found)
    if where == "nowhere":
        assert listed == []
    else:
        assert bool(listed[0].addresses) == (where == "addresses")
        assert bool(listed[0].not_ready_addresses) == (where == "not ready")


@pytest.mark.parametrize(
    "one",
    [
        pytest.param(backend(1, labels={"app": "other"}), id="other labels"),
        pytest.param(backend(1, phase="Succeeded"), id="finished"),
        pytest.param(pod("web"), id="no address yet"),
    ],
)
def test_who_does_not_stand_behind_it(one: Pod) -> None:
    assert targets(service(), [one], frozenset()) == []


def test_named_ports_are_resolved_for_each_pod() -> None:
    svc = service(port="http")
    pods = [backend(1), backend(2), backend(3)]
    for one, number in zip(pods, (8080, 9090, None), strict=True):
        ports = [ContainerPort(name="http", container_port=number)] if number else []
        one.spec.containers = [Container(name="c", ports=ports)]
    plan = plan_slices(svc, targets(svc, pods, frozenset()), [])
    assert [[p.port for p in s.ports or ()] for s in plan.create] == [[8080], [9090], []]
    assert [[p.port for p in s.ports or ()] for s in subsets(svc, targets(svc, pods, frozenset()))] == [
        [],
        [8080],
        [9090],
    ]


def test_labels_and_the_empty_slice() -> None:
    (one,) = plan_slices(service(headless=True), [], []).create
    assert one.endpoints == []
    assert one.metadata.labels == {
        "team": "a", "kubernetes.io/service-name": "web", "service.kubernetes.io/headless": "",
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
    }  # fmt: skip


def test_one_change_among_many_writes_one_slice() -> None:
    svc = service()
    pods = [backend(i) for i in range(1, 251)]
    existing = slices(plan_slices(svc, targets(svc, pods, frozenset()), []))
    assert [len(s.endpoints) for s in existing] == [100, 100, 50]
    pods[120] = backend(121, ready_s=None)
    plan = plan_slices(svc, targets(svc, pods, frozenset()), existing)
    assert (len(plan.create), [s.metadata.name for s in plan.update], plan.delete) == (0, ["web-1"], ())
    del pods[5]
    plan = plan_slices(
        svc, targets(svc, pods, frozenset()), [plan.update[0] if s.metadata.name == "web-1" else s for s in existing]
    )
    assert [s.metadata.name for s in plan.update] == ["web-0"]


@given(
    st.sets(st.integers(1, 250), max_size=220), st.sets(st.integers(1, 250), max_size=220),
    st.sets(st.integers(1, 250), max_size=20),
)  # fmt: skip
def test_every_plan_converges_and_loses_nobody(before: set[int], after: set[int], odd: set[int]) -> None:
    def pods(numbers: set[int]) -> list[Pod]:
        return [backend(n, ready_s=None if n in odd else 60) for n in sorted(numbers)]

    svc = service()
    existing = slices(plan_slices(svc, targets(svc, pods(before), frozenset()), []))
    plan = plan_slices(svc, targets(svc, pods(after), frozenset()), existing)
    changed = {s.metadata.name for s in (*plan.update, *plan.delete)}
    for i, one in enumerate(plan.create):
        one.metadata.name = f"new-{i}"
    now = [s for s in existing if s.metadata.name not in changed] + [*plan.update, *plan.create]
    assert sorted(e.addresses[0] for s in now for e in s.endpoints) == sorted(f"10.244.1.{n}" for n in after)
    assert all(len(s.endpoints) <= SLICE_SIZE for s in now)
    assert plan_slices(svc, targets(svc, pods(after), frozenset()), now) == SlicePlan()
