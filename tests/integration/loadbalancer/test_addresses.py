"""A public address moves between two machines: neighbours follow, and it is never answered for by two."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from controlplane.client import SystemClock
from loadbalancer.arp import Arp
from loadbalancer.external import Announcer, InterfaceAddresses
from loadbalancer.routes import Routes
from tests.integration.loadbalancer import network
from tests.integration.loadbalancer.network import CLIENT, NODE_A, NODE_B, Namespace, ask

pytestmark = pytest.mark.root

PUBLIC = "10.77.0.200"
WEB = ("default", "web")


class ArpThere:
    """ARP in a namespace: each call visits it."""

    def __init__(self, where: Namespace) -> None:
        self._where = where
        self._arp = Arp("eth0")

    def announce(self, address: str) -> None:
        with self._where.visited():
            self._arp.announce(address)

    def in_use(self, addresses: Iterable[str]) -> dict[str, str]:
        with self._where.visited():
            return self._arp.in_use(addresses)


class Node:
    """An announcer on a node, with a fence marker of its own."""

    def __init__(self, where: Namespace, run_dir: Path) -> None:
        self.addresses = InterfaceAddresses("eth0", where.run)
        self.fenced = run_dir / f"fenced-{where.short}"
        self._announcer = Announcer(
            self.addresses, ArpThere(where), self.fenced.exists, lambda _address, _key: True, SystemClock()
        )

    def step(self, *wanted: str) -> set[str]:
        self._announcer.step(dict.fromkeys(wanted, WEB))
        return self.addresses.held()


@pytest.fixture(scope="module", autouse=True)
def _network() -> Iterator[None]:
    try:
        network.build()
        yield
    finally:
        network.remove()


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[tuple[Node, Node]]:
    yield Node(NODE_A, tmp_path), Node(NODE_B, tmp_path)
    for where in (NODE_A, NODE_B):
        with contextlib.suppress(Exception):
            where.run(["ip", "addr", "del", f"{PUBLIC}/32", "dev", "eth0"])


def hardware_address(where: Namespace) -> str:
    shown = where.run(["ip", "link", "show", "eth0"]).split()
    return shown[shown.index("link/ether") + 1]


def call(address: str) -> None:
    """The client speaks to a machine, which has nothing at that port: so it must find out which machine that is."""
    with pytest.raises(ConnectionRefusedError):
        ask(CLIENT, address, 9)


def neighbour(address: str) -> str:
    """Whom the client believes to have an address."""
    shown = CLIENT.run(["ip", "neigh", "show", address]).split()
    return shown[shown.index("lladdr") + 1] if "lladdr" in shown else ""


def test_the_client_follows_a_takeover_at_once(nodes: tuple[Node, Node]) -> None:
    a, b = nodes
    assert a.step(PUBLIC) == {PUBLIC}
    call(PUBLIC)
    assert neighbour(PUBLIC) == hardware_address(NODE_A)
    assert a.step() == set()
    assert b.step(PUBLIC) == {PUBLIC}
    assert neighbour(PUBLIC) == hardware_address(NODE_B)
    call(PUBLIC)


def test_a_node_takes_nothing_that_another_still_answers_for(nodes: tuple[Node, Node]) -> None:
    a, b = nodes
    a.step(PUBLIC)
    assert b.step(PUBLIC) == set()
    a.step()
    assert b.step(PUBLIC) == {PUBLIC}


def test_a_fenced_node_lets_go_and_takes_nothing(nodes: tuple[Node, Node]) -> None:
    a, b = nodes
    a.step(PUBLIC)
    a.fenced.touch()
    assert a.step(PUBLIC) == set()
    assert b.step(PUBLIC) == {PUBLIC}
    assert a.step(PUBLIC) == set()
    a.fenced.unlink()
    assert a.step(PUBLIC) == set()  # b answers for it


def test_the_address_has_the_label_by_which_the_agent_drops_it(nodes: tuple[Node, Node]) -> None:
    nodes[0].step(PUBLIC)
    assert f"inet {PUBLIC}/32 scope global eth0:lb" in NODE_A.run(["ip", "addr", "show", "label", "eth0:lb"])
    NODE_A.run(["ip", "addr", "flush", "label", "eth0:lb"])
    assert nodes[0].addresses.held() == set()
    nodes[0].addresses.add(PUBLIC)
    nodes[0].addresses.remove(PUBLIC)
    nodes[0].addresses.remove(PUBLIC)  # gone already is no error


def test_routes_come_and_go_and_others_stay() -> None:
    routes = Routes("eth0", NODE_A.address, NODE_A.run)
    NODE_A.run(["ip", "route", "add", "10.244.7.0/24", "via", NODE_B.address])
    assert routes.sync({"10.244.2.0/24": NODE_B.address, "10.244.3.0/24": CLIENT.address})
    assert routes.sync({"10.244.2.0/24": NODE_B.address, "10.244.3.0/24": CLIENT.address}) == []
    assert routes.sync({"10.244.3.0/24": NODE_B.address}) == [
        f"10.244.3.0/24 via {NODE_B.address}",
        "10.244.2.0/24 removed",
    ]
    assert routes.read() == {"10.244.3.0/24": NODE_B.address}
    assert "10.244.7.0/24" in NODE_A.run(["ip", "route"])
    NODE_A.run(["ip", "route", "del", "10.244.7.0/24"])
    assert routes.sync({}) == ["10.244.3.0/24 removed"]
