"""Three guards that ask each other over TLS: the master goes, one is cut off, two are cut off together.

Renewals are made by the test; questions, answers, verdicts and the watchdog's datagrams are real. How long it takes
is the profile's, so each scenario lasts a few seconds; only outcomes are asserted.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from controlplane.api.profile import LAB
from controlplane.client import SystemClock
from nodeagent.fence import Answer, Peers
from nodeagent.guard import Callbacks, Guard, GuardConfig
from nodeagent.loop import EventLoop
from nodeagent.peers import PeerAsker
from nodeagent.runtime.base import Container
from nodeagent.server import AgentServer, tls_context
from tests.integration.nodeagent.machine import Machine
from tests.support.pki import Authority

pytestmark = pytest.mark.root

PORT = 10250
NAMES = ("worker-1", "worker-2", "worker-3")
ADDRESSES = {name: f"127.0.0.{11 + index}" for index, name in enumerate(NAMES)}


@dataclass(frozen=True)
class OnlyFence:
    """What the server needs for `/fence`."""

    guard: Guard

    def last_reached_seconds_ago(self) -> float:
        return self.guard.last_reached_seconds_ago()

    def log_target(self, *_: str | bool) -> Container:
        raise NotImplementedError

    def log_path(self, _: Container) -> Path:
        raise NotImplementedError

    def runs(self, _: str) -> bool:
        return False

    def pods_here(self) -> list[Any]:
        return []


class Worker:
    """One guard with its server and its renewals; `cut` takes it off the network."""

    def __init__(self, name: str, folder: Path, authority: Authority, loop: EventLoop, phase_s: float) -> None:
        self.name, self.cut, self.master_up = name, False, True
        self._phase_s = phase_s
        self._stopping = threading.Event()
        client = authority.client(f"system:node:{name}", "system:nodes")
        context = ssl.create_default_context(cafile=str(authority.cert))
        context.load_cert_chain(str(client.cert), str(client.key))
        self._asker = PeerAsker(loop.loop, context, PORT, SystemClock())
        self._others = frozenset(a for n, a in ADDRESSES.items() if n != name)
        self.workers: dict[str, Worker] = {}
        run_dir = folder / name
        run_dir.mkdir()
        callbacks = Callbacks(lambda: Peers(self._others, True), self.ask, lambda: True, lambda _: None)
        self.guard = Guard(GuardConfig(LAB, False, run_dir, f"/no-such-cgroup/{name}"), callbacks, SystemClock())
        serving = authority.server(f"serving-{name}", (ADDRESSES[name],), (name,))
        self._server = AgentServer(OnlyFence(self.guard))
        serving_context = tls_context(str(serving.cert), str(serving.key), str(authority.cert))
        loop.run(self._server.start(ADDRESSES[name], PORT, serving_context))
        self._loop = loop
        self._thread = threading.Thread(target=self._renew, daemon=True)

    def ask(self, peer: str, heard: Callable[[str, Answer], None]) -> None:
        asked = next(w for w in self.workers.values() if ADDRESSES[w.name] == peer)
        if not self.cut and not asked.cut:
            self._asker.ask(peer, heard)

    def _renew(self) -> None:
        self._stopping.wait(self._phase_s)
        while not self._stopping.wait(LAB.lease_period_s):
            if self.master_up and not self.cut:
                self.guard.renewed(SystemClock().monotonic())

    def start(self, workers: dict[str, Worker]) -> None:
        self.workers = workers
        self.guard.start()
        self.guard.renewed(SystemClock().monotonic())
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(5)
        self.guard.stop()
        self._loop.run(self._server.stop())


@pytest.fixture
def workers(machine: Machine, tmp_path: Path) -> Iterator[dict[str, Worker]]:
    assert machine.namespace
    loop = EventLoop()
    loop.start()
    authority = Authority(tmp_path / "pki")
    made = {name: Worker(name, tmp_path, authority, loop, 0.3 * n) for n, name in enumerate(NAMES)}
    for worker in made.values():
        worker.start(made)
    yield made
    for worker in made.values():
        worker.stop()
    loop.stop()


def settle() -> None:
    """Longer than the deadline and two rounds of questions."""
    threading.Event().wait(4.2)


def states(workers: dict[str, Worker]) -> dict[str, tuple[bool, bool]]:
    """(fenced, may start containers) of each worker."""
    return {name: (w.guard.fenced, w.guard.may_start()) for name, w in workers.items()}


KEEPS, FENCED = (False, True), (True, False)


def test_the_master_goes_and_comes_back(workers: dict[str, Worker]) -> None:
    for worker in workers.values():
        worker.master_up = False
    settle()
    assert states(workers) == dict.fromkeys(NAMES, KEEPS)
    for worker in workers.values():
        worker.master_up = True
    threading.Event().wait(1.5)
    assert states(workers) == dict.fromkeys(NAMES, KEEPS)


def test_one_is_cut_off(workers: dict[str, Worker]) -> None:
    workers["worker-2"].cut = True
    settle()
    assert states(workers) == {"worker-1": KEEPS, "worker-2": FENCED, "worker-3": KEEPS}
    workers["worker-2"].cut = False
    threading.Event().wait(2.0)
    assert states(workers) == dict.fromkeys(NAMES, KEEPS)


def test_one_loses_the_master_only(workers: dict[str, Worker]) -> None:
    """Its peers answer, and say that they still reach the API."""
    workers["worker-3"].master_up = False
    settle()
    assert states(workers)["worker-3"] == FENCED


def test_two_are_cut_off_together(workers: dict[str, Worker]) -> None:
    workers["worker-1"].cut = workers["worker-2"].cut = True
    settle()
    assert states(workers) == {"worker-1": FENCED, "worker-2": FENCED, "worker-3": KEEPS}
