"""The node as the API shows it, and who its peers are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from controlplane.api.types import Node, NodeStatus
from nodeagent.fence import Peers
from nodeagent.host import Room
from nodeagent.nodestatus import CONTROL_PLANE, Facts, node_body, status_body, without_times
from nodeagent.peerlist import PeerList
from nodeagent.runtime.base import Image
from tests.unit.nodeagent.builders import CONFIG, WALL

ROOM = Room(2**30, 2**34, 0.5, 0.5, 0.9)
FACTS = Facts(
    ROOM, "", "containerd://1.6.20", "boot", "machine", "6.18", "Debian GNU/Linux 12", (Image("a", "b", 9),)
)
MASTER = msgspec.structs.replace(CONFIG, node_name="master", control_plane=True)


def conditions(facts: Facts) -> dict[str, str]:
    return {c["type"]: c["status"] for c in status_body(CONFIG, facts, None, WALL)["conditions"]}


def test_a_worker_and_a_master_register_themselves() -> None:
    worker, master = node_body(CONFIG), node_body(MASTER)
    assert worker["metadata"]["labels"]["kubernetes.io/hostname"] == "worker-1"
    assert worker["spec"] == {"podCIDR": "10.244.1.0/24", "podCIDRs": ["10.244.1.0/24"]}
    assert master["spec"]["taints"] == [{"key": CONTROL_PLANE, "effect": "NoSchedule"}]
    assert CONTROL_PLANE in master["metadata"]["labels"]


def test_capacity_is_the_configurations() -> None:
    body = status_body(CONFIG, FACTS, None, WALL)
    assert body["capacity"] == body["allocatable"]
    assert body["capacity"] == {"cpu": "1", "memory": "1048576Ki", "ephemeral-storage": "1048576Ki", "pods": "110"}


@pytest.mark.parametrize(
    ("facts", "true"),
    [
        (FACTS, {"Ready"}),
        (replace(FACTS, runtime_error="refused"), set()),
        (replace(FACTS, room=replace(ROOM, memory_bytes=2**20)), {"Ready", "MemoryPressure"}),
        (replace(FACTS, room=replace(ROOM, disk_fraction=0.05, disk_bytes=2**20)), {"Ready", "DiskPressure"}),
        (replace(FACTS, room=replace(ROOM, disk_fraction=0.05)), {"Ready"}),
        (replace(FACTS, room=replace(ROOM, inode_fraction=0.01)), {"Ready", "DiskPressure"}),
        (replace(FACTS, room=replace(ROOM, process_fraction=0.01)), {"Ready", "PIDPressure"}),
    ],
    ids=["fine", "no runtime", "memory", "disk", "a small share of a big disk", "inodes", "processes"],
)
def test_conditions(facts: Facts, true: set[str]) -> None:
    assert {name for name, status in conditions(facts).items() if status == "True"} == true


def test_only_time_has_passed() -> None:
    first = status_body(CONFIG, FACTS, None, WALL)
    later = status_body(CONFIG, FACTS, None, WALL.replace(hour=13))
    assert first != later
    assert without_times(first) == without_times(later)


def test_a_transition_keeps_its_time() -> None:
    old = msgspec.convert(
        {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": WALL}]}, NodeStatus
    )
    body = status_body(CONFIG, FACTS, old, WALL.replace(hour=13))
    times = {c["type"]: c["lastTransitionTime"] for c in body["conditions"]}
    assert times["Ready"] == WALL
    assert times["DiskPressure"] == WALL.replace(hour=13)


# --- peers ----------------------------------------------------------------------------------------------------------


def node(name: str, address: str, ready: str = "True", **labels: str) -> Node:
    body: dict[str, Any] = {
        "metadata": {"name": name, "labels": labels},
        "status": {
            "addresses": [{"type": "InternalIP", "address": address}],
            "conditions": [{"type": "Ready", "status": ready}],
        },
    }
    return msgspec.convert(body, Node)


NODES = [
    node("master", "10.77.0.10", **{CONTROL_PLANE: ""}),
    node("worker-1", "10.77.0.11"),
    node("worker-2", "10.77.0.12"),
    node("worker-3", "10.77.0.13", ready="Unknown"),
]


@pytest.mark.parametrize(
    ("nodes", "peers"),
    [
        (NODES, Peers(frozenset({"10.77.0.12"}), True)),
        (NODES[:2], Peers(frozenset(), False)),
        ([*NODES[:2], NODES[3]], Peers(frozenset(), True)),
    ],
    ids=["ready ones", "the only worker", "the other one is away"],
)
def test_peers_are_the_other_workers_that_are_ready(tmp_path: Path, nodes: list[Node], peers: Peers) -> None:
    known = PeerList(tmp_path / "peers.json", "worker-1")
    known.update(nodes)
    assert known.peers == peers


def test_a_restarted_agent_remembers_its_peers(tmp_path: Path) -> None:
    first = PeerList(tmp_path / "peers.json", "worker-1")
    assert not first.peers.known
    first.update(NODES)
    assert PeerList(tmp_path / "peers.json", "worker-1").peers == first.peers
