"""Which public addresses a node answers for: the decision, and each step of taking and leaving one."""

from collections.abc import Iterable
from datetime import datetime

import pytest

from controlplane.api.addresspool import Pool
from controlplane.api.types import Service
from controlplane.client import Unreachable
from loadbalancer.external import (
    FENCE_POLL_S,
    IDLE_POLL_S,
    LOOK_EVERY_S,
    REPEAT_ANNOUNCEMENT_AFTER_S,
    RETRY_S,
    Announcer,
    addresses_of,
    wanted_addresses,
)
from tests.unit.loadbalancer.make import public_service, service

A, B = "10.77.0.200", "10.77.0.201"
POOL = Pool.parse("10.77.0.200-10.77.0.250")
WEB = ("default", "web")


class TestDecision:
    def test_an_address_is_ours_when_the_annotation_names_us(self) -> None:
        services = [public_service("web", A, "worker-1"), public_service("api", B, "worker-2")]
        assert wanted_addresses(services, "worker-1", POOL) == {A: WEB}

    @pytest.mark.parametrize("service_without", [service(), public_service("web", A, "")])
    def test_nobodys_address_is_not_ours(self, service_without: Service) -> None:
        assert wanted_addresses([service_without], "worker-1", POOL) == {}

    @pytest.mark.parametrize("address", ["10.77.0.10", "10.77.0.199", "10.77.0.251", "", "nonsense"])
    def test_an_address_outside_of_the_pool_is_never_taken(self, address: str) -> None:
        assert addresses_of(public_service("web", address, "worker-1"), POOL) == []

    def test_a_service_that_is_no_longer_a_load_balancer_has_none(self) -> None:
        given = public_service("web", A, "worker-1")
        given.spec.type = "NodePort"
        assert wanted_addresses([given], "worker-1", POOL) == {}

    def test_of_two_services_with_one_address_all_nodes_choose_the_same(self) -> None:
        services = [public_service("web", A, "worker-1"), public_service("api", A, "worker-2")]
        assert wanted_addresses(services, "worker-1", POOL) == {}
        assert wanted_addresses(services, "worker-2", POOL) == {A: ("default", "api")}


class World:
    """The machine, its network and the API server, as an announcer sees them."""

    def __init__(self) -> None:
        self.time_s = 100.0
        self.addresses: set[str] = set()
        self.looks = 0
        self.announced: list[str] = []
        self.others: dict[str, str] = {}
        self.is_fenced = False
        self.fence_while_adding = False
        self.ours = True
        self.api_is_away = False
        self.announcer = Announcer(self, self, lambda: self.is_fenced, self.still_ours, self)

    # Holder
    def held(self) -> set[str]:
        self.looks += 1
        return set(self.addresses)

    def add(self, address: str) -> None:
        self.addresses.add(address)
        self.is_fenced = self.is_fenced or self.fence_while_adding

    def remove(self, address: str) -> None:
        self.addresses.remove(address)

    # Neighbours
    def announce(self, address: str) -> None:
        assert address in self.addresses
        self.announced.append(address)

    def in_use(self, addresses: Iterable[str]) -> dict[str, str]:
        return {a: self.others[a] for a in addresses if a in self.others}

    # API server and clock
    def still_ours(self, _address: str, _key: tuple[str, str]) -> bool:
        if self.api_is_away:
            raise Unreachable("no answer")
        return self.ours

    def now(self) -> datetime:
        raise AssertionError("the wall clock is nobody's business here")

    def monotonic(self) -> float:
        return self.time_s

    def step(self, *wanted: str, after_s: float = 0.0) -> float:
        self.time_s += after_s
        return self.announcer.step(dict.fromkeys(wanted, WEB))


@pytest.fixture
def world() -> World:
    return World()


def test_an_address_is_taken_and_announced_several_times(world: World) -> None:
    assert world.step(A) == pytest.approx(REPEAT_ANNOUNCEMENT_AFTER_S[0])
    assert world.addresses == {A}
    assert world.announced == [A]
    for _ in range(20):
        world.step(A, after_s=0.5)
    assert world.announced == [A] * (1 + len(REPEAT_ANNOUNCEMENT_AFTER_S))


def test_an_address_that_went_to_another_node_is_dropped(world: World) -> None:
    world.step(A, B)
    world.step(B)
    assert world.addresses == {B}
    world.announced.clear()
    world.step(B, after_s=10)
    assert A not in world.announced


def test_what_an_earlier_run_left_is_kept_when_ours_and_dropped_when_not(world: World) -> None:
    world.addresses = {A, B}
    world.step(A)
    assert world.addresses == {A}
    assert world.announced == []


def test_nothing_is_taken_while_another_machine_answers(world: World) -> None:
    world.others = {A: "02:00:00:00:00:07"}
    assert world.step(A, B) == RETRY_S
    assert world.addresses == {B}
    world.others = {}
    world.step(A, B, after_s=RETRY_S)
    assert world.addresses == {A, B}


def test_nothing_is_taken_that_the_api_server_gave_to_another_node_meanwhile(world: World) -> None:
    world.ours = False
    assert world.step(A) == RETRY_S
    assert world.addresses == set()


def test_nothing_is_taken_while_the_api_server_is_away_but_what_is_held_stays(world: World) -> None:
    world.step(A)
    world.api_is_away = True
    world.step(A, B, after_s=LOOK_EVERY_S)
    assert world.addresses == {A}
    world.api_is_away = False
    world.step(A, B, after_s=RETRY_S)
    assert world.addresses == {A, B}


class TestFence:
    def test_while_fenced_everything_is_dropped_and_nothing_taken(self, world: World) -> None:
        world.step(A)
        world.is_fenced = True
        assert world.step(A, B) == FENCE_POLL_S
        assert world.addresses == set()
        looks = world.looks
        world.step(A, B, after_s=1)
        assert world.looks == looks

    def test_once_lifted_the_api_server_is_asked_before_the_address_is_taken_again(self, world: World) -> None:
        world.step(A)
        world.is_fenced = True
        world.step(A)
        world.is_fenced = False
        world.ours = False
        world.step(A)
        assert world.addresses == set()
        world.ours = True
        world.step(A, after_s=RETRY_S)
        assert world.addresses == {A}

    def test_a_fence_that_comes_while_an_address_is_added_wins(self, world: World) -> None:
        world.fence_while_adding = True
        world.step(A)
        assert world.addresses == set()
        assert world.announced == []

    def test_a_fence_that_came_and_went_unseen_is_noticed(self, world: World) -> None:
        world.step(A)
        world.addresses.clear()
        world.step(A, after_s=LOOK_EVERY_S)
        assert world.addresses == {A}


def test_a_node_without_addresses_does_not_keep_looking(world: World) -> None:
    assert world.step() == IDLE_POLL_S
    for _ in range(10):
        world.step(after_s=LOOK_EVERY_S)
    assert world.looks == 2
