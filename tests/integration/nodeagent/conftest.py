"""A real node in a network namespace: containerd, nerdctl, an API server, and the agent as a process of its own."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator

import pytest

from tests.integration.nodeagent import machine as machines
from tests.integration.nodeagent.machine import Machine
from tests.integration.nodeagent.node import Node
from tests.support.server import RunningServer, running_server

_CLONE_NEWNET = 0x40000000


def _enter(namespace: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


@pytest.fixture(scope="package")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """The machine; the test process itself lives in its network while the tests run."""
    made = machines.start(tmp_path_factory.mktemp("m"))
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{made.namespace}", os.O_RDONLY)
    try:
        _enter(there)
        yield made
    finally:
        _enter(home)
        os.close(home)
        os.close(there)
        machines.stop(made)


@pytest.fixture(scope="package")
def server(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    assert machine.namespace
    with running_server(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="package")
def running_node(machine: Machine, server: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    made = Node(machine, server, tmp_path_factory.mktemp("node"))
    made.start()
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture
def node(running_node: Node) -> Iterator[Node]:
    """The node with no pods; what a test leaves is deleted and must be gone without a trace."""
    yield running_node
    running_node.clear()
    assert running_node.leftovers() == []
