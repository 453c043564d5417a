"""The store of containers: events in any order, listings that merge, ends that only it knows."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from nodeagent.observe import ContainerStore, Stop, failed_start
from nodeagent.runtime.base import EventKind, RuntimeEvent, State
from tests.unit.nodeagent.builders import UID, WALL, FakeClock, make_container
from tests.unit.nodeagent.fakes import FakeRuntime

EXIT = RuntimeEvent(EventKind.EXITED, "c-0", exit_code=3, at=WALL)


class Rig:
    def __init__(self) -> None:
        self.clock, self.runtime = FakeClock(), FakeRuntime()
        self.woken: list[str] = []
        self.is_fenced = False
        self.store = ContainerStore(self.runtime, self.clock, self.woken.append, "boot", lambda: self.is_fenced)


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_an_exit_is_seen_and_wakes_the_pod(rig: Rig) -> None:
    rig.store.add(make_container())
    rig.store.on_event(EXIT)
    (seen,) = rig.store.of_pod(UID)
    assert (seen.state, seen.exit_code, seen.ended, seen.finished_at) == (State.EXITED, 3, 1000.0, WALL)
    assert rig.woken == [UID]


def test_an_exit_before_the_start_returned_is_not_lost(rig: Rig) -> None:
    rig.store.on_event(EXIT)
    rig.store.add(make_container())
    assert rig.store.of_pod(UID)[0].state is State.EXITED


def test_out_of_memory_is_remembered(rig: Rig) -> None:
    rig.store.add(make_container())
    rig.store.on_event(RuntimeEvent(EventKind.OOM, "c-0", at=WALL))
    rig.store.on_event(EXIT)
    assert rig.store.of_pod(UID)[0].oom_killed


def test_a_container_that_somebody_removed_is_forgotten(rig: Rig) -> None:
    rig.store.add(make_container())
    rig.store.stopping("c-0", Stop(5.0))
    rig.store.on_event(RuntimeEvent(EventKind.REMOVED, "c-0", at=WALL))
    assert rig.store.of_pod(UID) == ()
    assert rig.store.stops() == {}


def test_a_listing_after_a_gap_finds_what_ended(rig: Rig) -> None:
    rig.store.add(make_container())
    ended = make_container(state=State.EXITED, finished_at=WALL - timedelta(seconds=7), started=None, ended=None)
    rig.runtime.here = {"c-0": ended}
    rig.store.on_event(RuntimeEvent(EventKind.CONNECTED))
    (seen,) = rig.store.of_pod(UID)
    assert (seen.state, seen.ended, seen.started) == (State.EXITED, 993.0, 900.0)
    assert rig.woken == [UID]


def test_a_listing_that_says_the_same_wakes_nobody(rig: Rig) -> None:
    rig.store.add(make_container())
    rig.runtime.here = {"c-0": make_container(started=None, started_at=None)}
    rig.store.resync()
    assert rig.woken == []


def test_what_the_power_cut_stopped_counts_as_ended(rig: Rig) -> None:
    rig.runtime.here = {"c-0": make_container(state=State.CREATED, boot_id="an earlier boot")}
    rig.store.resync()
    (seen,) = rig.store.of_pod(UID)
    assert (seen.state, seen.exit_code, seen.finished_at, seen.blameless) == (State.EXITED, 255, None, True)


def test_what_ends_while_the_node_is_fenced_is_blameless(rig: Rig) -> None:
    rig.store.add(make_container("c"))
    rig.store.add(make_container("d"))
    rig.store.on_event(EXIT)
    rig.is_fenced = True
    rig.store.on_event(replace(EXIT, id="d-0"))
    assert [c.blameless for c in rig.store.of_pod(UID)] == [False, True]


def test_what_never_started_in_this_boot_is_only_created(rig: Rig) -> None:
    rig.runtime.here = {"c-0": make_container(state=State.CREATED)}
    rig.store.resync()
    assert rig.store.of_pod(UID)[0].state is State.CREATED


def test_an_end_that_was_seen_outlives_a_runtime_that_forgot_the_task(rig: Rig) -> None:
    rig.store.add(make_container())
    rig.store.on_event(EXIT)
    rig.runtime.here = {"c-0": make_container(state=State.CREATED)}
    rig.store.resync()
    assert rig.store.of_pod(UID)[0].exit_code == 3


def test_a_failed_start_outlives_listings_until_it_is_removed(rig: Rig) -> None:
    rig.store.add(failed_start(replace(make_container(), id=""), "no such file", rig.clock))
    rig.store.resync()
    (seen,) = rig.store.of_pod(UID)
    assert (seen.error, seen.exit_code, seen.state) == ("no such file", 128, State.EXITED)
    rig.store.forget(seen.id)
    assert rig.store.of_pod(UID) == ()
