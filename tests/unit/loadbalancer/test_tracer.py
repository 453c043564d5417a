"""Where packets end: what a service promises to whom, asked of the rules themselves."""

import pytest

from loadbalancer.rules import Jump, RuleSet
from loadbalancer.tracer import Outcome, Packet, Tracer
from tests.unit.loadbalancer.make import OWN_ADDRESSES, backends, port, ruleset

CLIENT = "10.77.0.9"
POD_HERE = "10.244.1.9"
POD_ELSEWHERE = "10.244.2.9"
OTHER_NODE = "10.77.0.10"
OWN = "10.77.0.11"
PUBLIC = "10.77.0.200"
HERE = backends("10.244.1.2")


def from_client(destination: str, number: int = 80, protocol: str = "tcp") -> Packet:
    return Packet(CLIENT, destination, number, protocol, "eth0")


def from_pod(destination: str, number: int = 80) -> Packet:
    return Packet(POD_HERE, destination, number, "tcp", "kubelab0")


def from_node(destination: str, number: int = 80) -> Packet:
    return Packet(OWN, destination, number, "tcp", "")


def shown(outcomes: list[Outcome]) -> set[tuple[str, str, bool]]:
    """{(how it ended, where, masqueraded)}, and a check that all ways together are certain."""
    assert sum(o.probability for o in outcomes) == pytest.approx(1, abs=1e-6)
    return {(o.ending, f"{o.destination}:{o.port}", o.masqueraded) for o in outcomes}


def trace(rules: RuleSet, packet: Packet) -> set[tuple[str, str, bool]]:
    return shown(Tracer(rules, (*OWN_ADDRESSES, PUBLIC)).trace(packet))


PUBLISHED = port(node_port=30080, public_ips=(PUBLIC,), external_ips=("192.0.2.1",))
EITHER_POD = {("forwarded", "10.244.1.2:8080", False), ("forwarded", "10.244.2.2:8080", False)}
EITHER_POD_MASQUERADED = {(e, d, True) for e, d, _ in EITHER_POD}


@pytest.mark.parametrize(
    ("packet", "expected"),
    [
        pytest.param(from_pod("10.96.0.5"), EITHER_POD, id="pod-cluster-ip"),
        pytest.param(from_node("10.96.0.5"), EITHER_POD_MASQUERADED, id="node-cluster-ip"),
        pytest.param(from_client(OWN, 30080), EITHER_POD_MASQUERADED, id="client-node-port"),
        pytest.param(from_client(PUBLIC), EITHER_POD_MASQUERADED, id="client-public-address"),
        pytest.param(from_client("192.0.2.1"), EITHER_POD_MASQUERADED, id="client-external-address"),
        pytest.param(from_pod(OWN, 30080), EITHER_POD_MASQUERADED, id="pod-node-port"),
        pytest.param(from_pod(PUBLIC), EITHER_POD_MASQUERADED, id="pod-public-address"),
        pytest.param(from_client("10.96.0.5"), {("dropped", "10.96.0.5:80", False)}, id="client-cluster-ip"),
        pytest.param(from_client("10.244.1.2", 8080), {("dropped", "10.244.1.2:8080", False)}, id="client-pod"),
        pytest.param(from_client("10.244.2.2", 8080), {("dropped", "10.244.2.2:8080", False)}, id="client-pod-far"),
        pytest.param(from_client("10.244.1.1", 30080), {("dropped", "10.244.1.1:30080", False)}, id="client-bridge"),
        pytest.param(from_client(PUBLIC, 22), {("rejected", f"{PUBLIC}:22", False)}, id="client-public-other-port"),
        pytest.param(from_client(OWN, 22), {("delivered here", f"{OWN}:22", False)}, id="client-node"),
        pytest.param(
            Packet(OTHER_NODE, "10.244.1.2", 8080), {("forwarded", "10.244.1.2:8080", False)}, id="other-node-pod"
        ),
        pytest.param(
            Packet(POD_ELSEWHERE, "10.244.1.2", 8080), {("forwarded", "10.244.1.2:8080", False)}, id="pod-pod"
        ),
        pytest.param(from_pod("10.244.2.2", 8080), {("forwarded", "10.244.2.2:8080", False)}, id="pod-pod-elsewhere"),
        pytest.param(from_pod("198.51.100.1", 443), {("forwarded", "198.51.100.1:443", True)}, id="pod-outside"),
        pytest.param(from_client(OWN, 30081), {("delivered here", f"{OWN}:30081", False)}, id="port-not-published"),
        pytest.param(from_client(OWN, 30080, "udp"), {("delivered here", f"{OWN}:30080", False)}, id="udp"),
        pytest.param(from_node("127.0.0.1", 30080), {("delivered here", "127.0.0.1:30080", False)}, id="loopback"),
    ],
)
def test_who_reaches_what(packet: Packet, expected: set[tuple[str, str, bool]]) -> None:
    assert trace(ruleset(PUBLISHED), packet) == expected


def test_a_pod_that_reaches_itself_through_the_service_is_masqueraded() -> None:
    rules = ruleset(port(everywhere=backends("10.244.1.2")))
    packet = Packet("10.244.1.2", "10.96.0.5", 80, "tcp", "kubelab0")
    assert trace(rules, packet) == {("forwarded", "10.244.1.2:8080", True)}


@pytest.mark.parametrize(
    "packet", [from_pod("10.96.0.5"), from_node("10.96.0.5"), from_client(OWN, 30080), from_client(PUBLIC)]
)
def test_without_endpoints_a_connection_is_refused_at_once(packet: Packet) -> None:
    rules = ruleset(port(everywhere=(), node_port=30080, public_ips=(PUBLIC,)))
    assert {ending for ending, _, _ in trace(rules, packet)} == {"rejected"}


def test_every_endpoint_is_equally_likely() -> None:
    many = backends(*(f"10.244.1.{n}" for n in range(2, 9)))
    outcomes = Tracer(ruleset(port(everywhere=many)), OWN_ADDRESSES).trace(from_pod("10.96.0.5"))
    assert len(outcomes) == 7
    assert all(o.probability == pytest.approx(1 / 7, rel=1e-6) for o in outcomes)


class TestExternalTrafficPolicyLocal:
    rules = ruleset(port(node_port=30080, public_ips=(PUBLIC,), external_local=True, here=HERE))
    nobody_here = ruleset(port(node_port=30080, public_ips=(PUBLIC,), external_local=True))

    @pytest.mark.parametrize("packet", [from_client(PUBLIC), from_client(OWN, 30080)])
    def test_a_client_keeps_its_address_and_stays_on_this_node(self, packet: Packet) -> None:
        assert trace(self.rules, packet) == {("forwarded", "10.244.1.2:8080", False)}

    def test_pods_use_all_endpoints(self) -> None:
        assert trace(self.rules, from_pod(PUBLIC)) == EITHER_POD

    def test_the_nodes_own_processes_use_all_endpoints(self) -> None:
        assert trace(self.rules, from_node(PUBLIC)) == EITHER_POD_MASQUERADED

    @pytest.mark.parametrize("packet", [from_client(PUBLIC), from_client(OWN, 30080)])
    def test_without_local_endpoints_a_client_is_dropped(self, packet: Packet) -> None:
        assert {ending for ending, _, _ in trace(self.nobody_here, packet)} == {"dropped"}


def test_internal_traffic_policy_local() -> None:
    rules = ruleset(port(internal_local=True, here=HERE))
    assert trace(rules, from_pod("10.96.0.5")) == {("forwarded", "10.244.1.2:8080", False)}
    nobody_here = ruleset(port(internal_local=True))
    assert {ending for ending, _, _ in trace(nobody_here, from_pod("10.96.0.5"))} == {"dropped"}


def test_source_ranges_keep_others_out_and_leave_the_node_port_open() -> None:
    rules = ruleset(port(node_port=30080, public_ips=(PUBLIC,), source_ranges=("192.0.2.0/24",)))
    assert {ending for ending, _, _ in trace(rules, from_client(PUBLIC))} == {"dropped"}
    assert trace(rules, Packet("192.0.2.7", PUBLIC, 80)) == EITHER_POD_MASQUERADED
    assert trace(rules, from_client(OWN, 30080)) == EITHER_POD_MASQUERADED


def test_the_path_names_the_chains_in_order() -> None:
    [outcome] = Tracer(ruleset(port(everywhere=HERE)), OWN_ADDRESSES).trace(from_pod("10.96.0.5"))
    kinds = [chain[:8] for chain in outcome.chains]
    assert kinds[:3] == ["KUBELAB-", "KUBE-SER", "KUBE-SVC"]
    assert "KUBE-SEP" in kinds


def test_a_match_that_it_does_not_know_is_an_error() -> None:
    jump = Jump("raw", "PREROUTING", "-m ttl --ttl-eq 1 -j DROP")
    with pytest.raises(ValueError, match="--ttl-eq"):
        Tracer(RuleSet({}, (jump,)), OWN_ADDRESSES).trace(from_client(OWN))
