"""Real connections through real rules: who reaches what, and as whom."""

from __future__ import annotations

import socket
from collections import Counter

import pytest

from loadbalancer.conntrack import Conntrack, StaleFlows, udp_endpoints
from loadbalancer.services import Backend, ServicePort
from tests.integration.loadbalancer.conftest import Lab
from tests.integration.loadbalancer.network import CLIENT, NODE_A, NODE_B, POD_1, POD_2, POD_3, ask, ask_udp

pytestmark = pytest.mark.root

PUBLIC = "10.77.0.200"
PODS = tuple(Backend(pod.address, 8080) for pod in (POD_1, POD_3, POD_2))
WEB = ServicePort("default/web:http", "tcp", "10.96.0.5", 80, node_port=30080, public_ips=(PUBLIC,), everywhere=PODS)
ALONE = ServicePort("default/alone", "tcp", "10.96.0.6", 80, everywhere=PODS[:1])
EMPTY = ServicePort("default/empty", "tcp", "10.96.0.7", 80, node_port=30081)
STICKY = ServicePort("default/sticky", "tcp", "10.96.0.8", 80, affinity_s=60, everywhere=PODS)
LOCAL = ServicePort(
    "default/local", "tcp", "10.96.0.9", 80, node_port=30082, external_local=True, everywhere=PODS[:2], here=PODS[:2]
)
DNS = ServicePort("default/dns", "udp", "10.96.0.10", 53, node_port=30053, everywhere=PODS[2:])


@pytest.fixture(scope="module", autouse=True)
def served(lab: Lab) -> Lab:
    lab.serve(WEB, ALONE, EMPTY, STICKY, LOCAL, DNS)
    return lab


def test_all_endpoints_answer_a_pod_and_see_its_own_address() -> None:
    answers = Counter(ask(POD_1, WEB.cluster_ip, 80) for _ in range(60))
    assert answers.keys() == {"p1 10.244.1.1", "p2 10.244.1.2", "p3 10.244.1.2"}
    assert min(answers.values()) >= 6


def test_a_node_uses_a_cluster_ip() -> None:
    assert {ask(NODE_A, WEB.cluster_ip, 80).split()[0] for _ in range(30)} == {"p1", "p2", "p3"}


def test_a_pod_reaches_itself_through_its_service() -> None:
    assert ask(POD_1, ALONE.cluster_ip, 80) == f"p1 {POD_1.gateway}"


@pytest.mark.parametrize("node", [NODE_A, NODE_B], ids=["a", "b"])
def test_the_public_uses_a_node_port_on_any_node(node: object) -> None:
    address = node.address  # type: ignore[attr-defined]  # a Namespace
    assert {ask(CLIENT, address, 30080).split()[0] for _ in range(30)} == {"p1", "p2", "p3"}


def test_the_public_uses_the_public_address() -> None:
    NODE_B.run(["ip", "addr", "add", f"{PUBLIC}/32", "dev", "eth0", "label", "eth0:lb"])
    try:
        assert {ask(CLIENT, PUBLIC, 80).split()[0] for _ in range(30)} == {"p1", "p2", "p3"}
        with NODE_B.socket(socket.SOCK_STREAM) as of_the_node:
            of_the_node.bind(("0.0.0.0", 22))
            of_the_node.listen()
            with pytest.raises(ConnectionRefusedError):
                ask(CLIENT, PUBLIC, 22)
    finally:
        NODE_B.run(["ip", "addr", "del", f"{PUBLIC}/32", "dev", "eth0"])


@pytest.mark.parametrize(
    ("address", "port"),
    [
        pytest.param(POD_1.address, 8080, id="pod"),
        pytest.param(POD_2.address, 8080, id="pod-of-another-node"),
        pytest.param(WEB.cluster_ip, 80, id="cluster-ip"),
        pytest.param("10.244.1.1", 30080, id="inner-address-of-a-node"),
    ],
)
def test_the_public_reaches_nothing_that_is_not_published(address: str, port: int) -> None:
    with pytest.raises(TimeoutError):
        ask(CLIENT, address, port, timeout_s=0.5)


def test_pods_reach_each_other_and_their_nodes_reach_them() -> None:
    assert ask(POD_1, POD_2.address, 8080) == f"p2 {POD_1.address}"
    assert ask(POD_1, POD_3.address, 8080) == f"p3 {POD_1.address}"
    assert ask(NODE_A, POD_2.address, 8080) == f"p2 {NODE_A.address}"


def test_beyond_the_cluster_a_pod_appears_as_its_node() -> None:
    listener = CLIENT.socket(socket.SOCK_STREAM)
    with listener, POD_2.socket(socket.SOCK_STREAM) as connection:
        listener.bind((CLIENT.address, 9000))
        listener.listen()
        connection.connect((CLIENT.address, 9000))
        accepted, (seen, _) = listener.accept()
        accepted.close()
    assert seen == NODE_B.address


@pytest.mark.parametrize("who", [POD_1, NODE_A], ids=["pod", "node"])
def test_a_service_without_endpoints_refuses_at_once(who: object) -> None:
    with pytest.raises(ConnectionRefusedError):
        ask(who, EMPTY.cluster_ip, 80)  # type: ignore[arg-type]  # a Namespace


def test_a_node_port_without_endpoints_refuses_at_once() -> None:
    with pytest.raises(ConnectionRefusedError):
        ask(CLIENT, NODE_A.address, 30081)


def test_session_affinity_stays_with_the_first_endpoint() -> None:
    assert len({ask(POD_1, STICKY.cluster_ip, 80).split()[0] for _ in range(20)}) == 1


def test_external_traffic_policy_local_keeps_the_clients_address() -> None:
    answers = {ask(CLIENT, NODE_A.address, 30082) for _ in range(20)}
    assert answers == {f"p1 {CLIENT.address}", f"p3 {CLIENT.address}"}


def test_udp() -> None:
    with POD_1.socket(socket.SOCK_DGRAM) as pod, CLIENT.socket(socket.SOCK_DGRAM) as client:
        assert ask_udp(pod, DNS.cluster_ip, 53) == f"p2 {POD_1.address}"
        assert ask_udp(client, NODE_A.address, 30053).startswith("p2 ")


def test_a_udp_client_leaves_a_dead_endpoint_once_its_flow_is_dropped(lab: Lab) -> None:
    moved = ServicePort("default/dns", "udp", "10.96.0.10", 53, node_port=30053, everywhere=PODS[1:2])
    try:
        with POD_1.socket(socket.SOCK_DGRAM) as pod:
            assert ask_udp(pod, DNS.cluster_ip, 53).startswith("p2 ")
            lab.serve(moved)
            assert ask_udp(pod, DNS.cluster_ip, 53).startswith("p2 ")
            dropped = Conntrack(NODE_A.run).drop_stale(udp_endpoints([moved], NODE_A.address))
            assert StaleFlows(DNS.cluster_ip, 53, POD_2.address) in dropped
            assert ask_udp(pod, DNS.cluster_ip, 53).startswith("p3 ")
            assert Conntrack(NODE_A.run).drop_stale(udp_endpoints([moved], NODE_A.address)) == []
    finally:
        lab.serve(WEB, ALONE, EMPTY, STICKY, LOCAL, DNS)


def test_a_dead_endpoint_gets_no_connection_after_its_removal(lab: Lab) -> None:
    without_p2 = ServicePort("default/web:http", "tcp", "10.96.0.5", 80, node_port=30080, everywhere=PODS[:2])
    try:
        lab.serve(without_p2)
        assert {ask(CLIENT, NODE_A.address, 30080).split()[0] for _ in range(30)} == {"p1", "p3"}
    finally:
        lab.serve(WEB, ALONE, EMPTY, STICKY, LOCAL, DNS)
