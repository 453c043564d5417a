"""The guard: what may start when, what the watchdog hears, and the way back after a fence."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from controlplane.api.profile import KUBERNETES, LAB
from nodeagent import cutoff
from nodeagent.fence import Answer, Peers
from nodeagent.guard import NEVER_REACHED_S, Callbacks, Guard, GuardConfig
from nodeagent.watchdog import SOCKET
from tests.unit.nodeagent.builders import FakeClock


class Rig:
    """A guard whose clock, peers and lists are the test's."""

    def __init__(self, folder: Path, profile: str = "lab", control_plane: bool = False) -> None:
        self.folder = folder
        self.clock = FakeClock()
        self.peers = Peers(frozenset({"10.77.0.12"}), True)
        self.lists = [True]
        self.released = threading.Event()
        self.watchdog = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.watchdog.bind(str(folder / SOCKET))
        self.watchdog.settimeout(5)
        config = GuardConfig(LAB if profile == "lab" else KUBERNETES, control_plane, folder, "/no-such-cgroup")
        callbacks = Callbacks(lambda: self.peers, self.ask, self.relist, lambda _: self.released.set())
        self.guard = Guard(config, callbacks, self.clock)

    def ask(self, peer: str, heard: Callable[[str, Answer], None]) -> None:
        pass

    def relist(self) -> bool:
        return self.lists.pop(0)

    def close(self) -> None:
        self.guard.stop()
        self.watchdog.close()

    def heard(self) -> dict[str, float | bool]:
        said: dict[str, float | bool] = json.loads(self.watchdog.recv(1000))
        return said


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    yield made
    made.close()


def test_nothing_may_start_before_the_first_renewal(rig: Rig) -> None:
    assert not rig.guard.may_start()
    assert rig.guard.last_reached_seconds_ago() == NEVER_REACHED_S
    rig.guard.renewed(rig.clock.at)
    assert rig.guard.may_start()


def test_a_stale_lease_stops_starts_at_the_deadline(rig: Rig) -> None:
    rig.guard.renewed(1000.0)
    rig.clock.at = 1002.4
    assert rig.guard.may_start()
    rig.clock.at = 1002.5
    assert not rig.guard.may_start()
    assert rig.guard.last_reached_seconds_ago() == 2.5


def test_each_renewal_pushes_the_watchdogs_deadline_on(rig: Rig) -> None:
    rig.guard.renewed(1000.0)
    assert rig.heard() == {"armed": True, "deadline": pytest.approx(1002.8)}


def test_the_only_worker_leaves_the_watchdog_unarmed(rig: Rig) -> None:
    rig.peers = Peers(frozenset(), False)
    rig.guard.renewed(1000.0)
    assert rig.heard()["armed"] is False


@pytest.mark.parametrize(("profile", "control_plane"), [("lab", True), ("kubernetes", False)])
def test_who_takes_no_part_may_always_start(tmp_path: Path, profile: str, control_plane: bool) -> None:
    rig = Rig(tmp_path, profile, control_plane)
    rig.guard.renewed(1000.0)
    rig.clock.at = 9999.0
    assert rig.guard.may_start()
    assert rig.heard()["armed"] is False
    rig.close()


def test_a_mark_of_the_watchdog_counts_until_the_pods_were_listed_again(rig: Rig) -> None:
    cutoff.mark(rig.folder, "the watchdog was here")
    assert (rig.guard.fenced, rig.guard.may_start()) == (True, False)
    rig.lists = [False, True]  # the first list fails
    rig.guard.renewed(1000.0)
    assert rig.released.wait(5)
    assert not cutoff.is_marked(rig.folder)
    assert not rig.guard.fenced
    assert rig.guard.may_start()
    assert rig.lists == []


def test_cut_off_again_while_listing_keeps_the_mark(rig: Rig) -> None:
    cutoff.mark(rig.folder, "fenced")
    listing = threading.Event()

    def relist() -> bool:
        rig.clock.at += 60
        listing.set()
        return True

    guard = Guard(
        GuardConfig(LAB, False, rig.folder, "/no-such-cgroup"),
        Callbacks(lambda: rig.peers, rig.ask, relist, lambda _: rig.released.set()),
        rig.clock,
    )
    guard.renewed(1000.0)
    assert listing.wait(5)
    assert cutoff.is_marked(rig.folder)
    assert not guard.may_start()
    guard.stop()
