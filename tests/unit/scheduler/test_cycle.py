"""Which node a pod goes to, and the exact words when none takes it."""

from __future__ import annotations

from typing import Any

import pytest

from controlplane.api.types import Node, Pod, Taint, Toleration
from controlplane.scheduler.cycle import Placement, Unfit, choose
from controlplane.scheduler.demand import demand_of
from controlplane.scheduler.table import NodeTable
from tests.unit.scheduler.build import demand, node, pod, table

MASTER = node("master", taints=(Taint(key="node-role.kubernetes.io/control-plane", effect="NoSchedule"),))
UNREACHABLE = Taint(key="node.kubernetes.io/unreachable", effect="NoSchedule")
GPU: dict[str, Any] = {"example.com/gpu": "1"}
GONE = Taint(key="node.kubernetes.io/unreachable", effect="NoExecute")


def lab(*more: Node) -> NodeTable:
    return table(MASTER, node("worker-1"), node("worker-2"), *more)


def unfit(one: Pod, nodes: NodeTable) -> Unfit:
    decision = choose(demand_of(one), nodes)
    assert isinstance(decision, Unfit)
    return decision


def placed(one: Pod, nodes: NodeTable) -> str:
    decision = choose(demand_of(one), nodes)
    assert isinstance(decision, Placement), decision
    return decision.node


@pytest.mark.parametrize(
    ("one", "nodes", "message"),
    [
        pytest.param(
            pod(cpu="500m"),
            table(MASTER, node("worker-1", cpu="320m"), node("worker-2", cpu="100m", memory="4Gi")),
            "0/3 nodes are available: 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, "
            "2 Insufficient cpu. master: taint node-role.kubernetes.io/control-plane:NoSchedule is not tolerated; "
            "worker-1: cpu: needs 500m, 320m free; worker-2: cpu: needs 500m, 100m free",
            id="cpu",
        ),
        pytest.param(
            pod(cpu="3", memory="8Gi"),
            table(node("worker-1")),
            "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory. "
            "worker-1: cpu: needs 3, 2 free, memory: needs 8Gi, 4Gi free",
            id="two resources of one node",
        ),
        pytest.param(
            pod(selector={"kubernetes.io/hostname": "worker-1"}),
            table(node("worker-1", ready="Unknown", taints=(UNREACHABLE, GONE)), node("worker-2")),
            "0/2 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, "
            "1 node(s) were not ready. worker-1: node is not ready (Unknown since 2026-01-02T03:04:05Z), "
            "taint node.kubernetes.io/unreachable:NoExecute is not tolerated; "
            "worker-2: label kubernetes.io/hostname is 'worker-2', wanted 'worker-1'",
            id="pinned to a node that is off",
        ),
        pytest.param(
            pod(), table(node("worker-1", cordoned=True)),
            "0/1 nodes are available: 1 node(s) were unschedulable. worker-1: node is cordoned (unschedulable)",
            id="cordoned",
        ),
        pytest.param(
            pod(), table(node("worker-1", pods="0")),
            "0/1 nodes are available: 1 Too many pods. worker-1: pods: all 0 are taken",
            id="too many pods",
        ),
        pytest.param(
            pod(ephemeral_storage="20Gi"), table(node("worker-1")),
            "0/1 nodes are available: 1 Insufficient ephemeral-storage. "
            "worker-1: ephemeral-storage: needs 20Gi, 10Gi free",
            id="disk",
        ),
        pytest.param(
            pod(**GPU), table(node("worker-1")),
            "0/1 nodes are available: 1 Insufficient example.com/gpu. worker-1: example.com/gpu: needs 1, 0 free",
            id="extended resource that no node has",
        ),
        pytest.param(pod(), table(), "no nodes available to schedule pods", id="no nodes"),
    ],
)  # fmt: skip
def test_the_refusal_says_node_by_node_what_is_missing(one: Pod, nodes: NodeTable, message: str) -> None:
    assert unfit(one, nodes).message() == message


def test_a_toleration_of_unreachable_by_time_alone_does_not_schedule_there() -> None:
    default = Toleration(
        key="node.kubernetes.io/unreachable", operator="Exists", effect="NoExecute", toleration_seconds=1
    )
    nodes = table(node("worker-1", ready="Unknown", taints=(UNREACHABLE, GONE)))
    assert unfit(pod(tolerations=(default,)), nodes).summary.endswith("1 node(s) were not ready.")


@pytest.mark.parametrize("ready", ["True", "False", "Unknown"])
def test_a_pod_that_tolerates_everything_goes_anywhere(ready: str) -> None:
    everything = (Toleration(operator="Exists"),)
    nodes = table(node("worker-1", ready=ready, cordoned=True, taints=(UNREACHABLE, GONE)))
    assert placed(pod(tolerations=everything), nodes) == "worker-1"


def test_many_nodes_are_counted_and_the_first_are_told() -> None:
    nodes = table(*(node(f"n-{i:03}", cpu="1") for i in range(200)))
    message = unfit(pod(cpu="2"), nodes).message()
    assert message.startswith("0/200 nodes are available: 200 Insufficient cpu. n-000: cpu: needs 2, 1 free; n-001:")
    assert message.endswith("; and 190 more")
    assert len(message) < 1024


def test_host_ports_collide_per_node_and_protocol() -> None:
    nodes = table(node("worker-1"), node("worker-2"))
    nodes.place(demand("one", host_port=8080), "worker-1")
    assert placed(pod("two", host_port=8080), nodes) == "worker-2"
    nodes.place(demand("two", host_port=8080), "worker-2")
    assert unfit(pod("three", host_port=8080), nodes).verdicts[0].refusals[0].detail == (
        "host port 8080/TCP is taken by another pod"
    )
    nodes.remove("uid-one")
    assert placed(pod("three", host_port=8080), nodes) == "worker-1"


def test_pods_of_one_controller_spread_over_the_nodes() -> None:
    nodes = lab(node("worker-3"))
    where = []
    for i in range(6):
        one = pod(f"web-{i}", owner="rc")
        where.append(placed(one, nodes))
        nodes.place(demand_of(one), where[-1])
    assert where == ["worker-1", "worker-2", "worker-3"] * 2


def test_a_pod_prefers_the_emptier_node() -> None:
    nodes = lab()
    nodes.place(demand("busy", cpu="1", memory="1Gi"), "worker-1")
    assert placed(pod(cpu="100m"), nodes) == "worker-2"


def test_prefer_no_schedule_is_a_preference() -> None:
    shy = Taint(key="shy", effect="PreferNoSchedule")
    nodes = table(node("worker-1", taints=(shy,)), node("worker-2", cpu="500m"))
    assert placed(pod(), nodes) == "worker-2"
    assert placed(pod(cpu="1"), nodes) == "worker-1"
    assert placed(pod(tolerations=(Toleration(key="shy", operator="Exists"),)), nodes) == "worker-1"


def test_the_placement_records_the_parts_of_its_score() -> None:
    decision = choose(demand(), lab())
    assert isinstance(decision, Placement)
    assert decision.record().startswith(
        "2 of 3 nodes fit: worker-1 695 (taint-preference 300, spread-by-controller 200, least-allocated 95, "
    )
