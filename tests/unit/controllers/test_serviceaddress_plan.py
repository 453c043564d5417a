"""Which address a Service gets, who announces it, and how it moves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.api.addresspool import Pool
from controlplane.api.types import (
    LoadBalancerIngress,
    LoadBalancerStatus,
    ObjectMeta,
    Service,
    ServiceSpec,
    ServiceStatus,
)
from controlplane.controllers.serviceaddress_plan import Announcer, Given, Reason, announcers, plan
from tests.unit.controllers.build import ago, node

POOL = Pool.parse("10.77.0.200-10.77.0.202")
HEALTHY, ALIVE, LOST = Announcer.HEALTHY, Announcer.ALIVE, Announcer.LOST


def service(
    name: str, address: str = "", by: str = "", *, asks: str = "", age_s: float = 60, kind: str = "LoadBalancer"
) -> Service:
    return Service(
        metadata=ObjectMeta(
            name=name, namespace="default", uid=f"uid-{name}", creation_timestamp=ago(age_s),
            annotations={"kubelab.io/announced-by": by} if by else None,
        ),
        spec=ServiceSpec(type=kind, load_balancer_ip=asks),
        status=ServiceStatus(
            load_balancer=LoadBalancerStatus(ingress=[LoadBalancerIngress(ip=address)] if address else None)
        ),
    )  # fmt: skip


def give(
    services: list[Service], workers: dict[str, Announcer], releasing: frozenset[str] = frozenset()
) -> dict[str, Given]:
    held = {s.metadata.uid: (s.status.load_balancer.ingress or [LoadBalancerIngress()])[0].ip for s in services}
    return {g.service.metadata.name: g for g in plan(services, POOL, workers, held, releasing)}


def test_a_new_service_gets_the_first_free_address_and_the_worker_with_least() -> None:
    workers = {"worker-1": HEALTHY, "worker-2": HEALTHY}
    given = give([service("a", "10.77.0.200", "worker-1"), service("b", age_s=5), service("c", age_s=4)], workers)
    assert [(g.address, g.node, g.reason) for g in given.values()] == [
        ("10.77.0.200", "worker-1", Reason.ANNOUNCED),
        ("10.77.0.201", "worker-2", Reason.ANNOUNCED),
        ("10.77.0.202", "worker-1", Reason.ANNOUNCED),
    ]
    assert given["b"].message == "worker-2 announces 10.77.0.201"


@pytest.mark.parametrize(
    ("workers", "releasing", "node", "reason"),
    [
        pytest.param({"w1": HEALTHY, "w2": HEALTHY}, False, "w1", Reason.ANNOUNCED, id="stays"),
        pytest.param({"w1": LOST, "w2": HEALTHY}, False, "w2", Reason.ANNOUNCED, id="lost: at once"),
        pytest.param({"w1": ALIVE, "w2": HEALTHY}, False, "", Reason.MOVING, id="alive: first away from there"),
        pytest.param({"w2": HEALTHY}, False, "", Reason.MOVING, id="no node any more: first away from there"),
        pytest.param({"w1": LOST, "w2": ALIVE}, False, "w1", Reason.NO_HEALTHY_WORKER, id="nobody: it stays"),
        pytest.param({}, False, "w1", Reason.NO_HEALTHY_WORKER, id="no workers"),
    ],
)
def test_moving(workers: dict[str, Announcer], releasing: bool, node: str, reason: Reason) -> None:
    given = give([service("a", "10.77.0.200", "w1")], workers)["a"]
    assert (given.address, given.node, given.reason) == ("10.77.0.200", node, reason)


def test_the_second_step_of_a_move_waits() -> None:
    told = service("a", "10.77.0.200")
    assert give([told], {"w2": HEALTHY}, frozenset({"uid-a"}))["a"].reason is Reason.MOVING
    assert give([told], {"w2": HEALTHY})["a"].node == "w2"


@pytest.mark.parametrize(
    ("asks", "reason"),
    [
        ("10.77.0.201", Reason.ANNOUNCED), ("10.77.0.200", Reason.ADDRESS_TAKEN), ("8.8.8.8", Reason.NOT_IN_POOL),
        ("nonsense", Reason.NOT_IN_POOL),
    ],
)  # fmt: skip
def test_an_address_that_was_asked_for(asks: str, reason: Reason) -> None:
    given = give([service("a", "10.77.0.200", "w1"), service("b", asks=asks, age_s=1)], {"w1": HEALTHY})
    assert given["b"].reason is reason
    assert given["a"].address == "10.77.0.200"


def test_an_exhausted_pool_says_so_and_the_older_are_served_first() -> None:
    given = give([service(f"s{i}", age_s=100 - i) for i in range(4)], {"w1": HEALTHY})
    assert [g.address for g in given.values()] == ["10.77.0.200", "10.77.0.201", "10.77.0.202", ""]
    assert given["s3"].reason is Reason.POOL_EXHAUSTED
    assert given["s3"].message == "every address of the pool 10.77.0.200-10.77.0.202 is taken"


def test_the_control_plane_never_announces() -> None:
    nodes = [node("master", control_plane=True), node("w1"), node("w2", "Unknown"), node("w3", "False")]
    assert announcers(nodes) == {"w1": HEALTHY, "w2": LOST, "w3": ALIVE}


@given(
    st.lists(
        st.tuples(st.sampled_from(["", "10.77.0.200", "10.77.0.201", "1.1.1.1"]), st.sampled_from(["", "w1", "w9"]))
    ),
    st.dictionaries(st.sampled_from(["w1", "w2", "w3"]), st.sampled_from(list(Announcer))),
)
def test_no_address_is_given_twice_and_only_healthy_workers_get_one(
    states: list[tuple[str, str]], workers: dict[str, Announcer]
) -> None:
    services = [service(f"s{i}", address, by, age_s=i) for i, (address, by) in enumerate(states)]
    given = give(services, workers).values()
    addresses = [g.address for g in given if g.address]
    assert len(addresses) == len(set(addresses)) <= 3
    assert all(a in POOL for a in addresses)
    assert all(workers[g.node] is HEALTHY for g in given if g.reason is Reason.ANNOUNCED)
