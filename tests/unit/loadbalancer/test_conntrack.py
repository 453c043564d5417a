"""Which of the kernel's UDP flows are stale."""

from collections.abc import Sequence

import pytest

from loadbalancer.commands import CommandError
from loadbalancer.conntrack import Conntrack, StaleFlows, stale_flows, udp_endpoints
from tests.unit.loadbalancer.make import backends, port

DNS = port(
    name="kube-system/dns",
    protocol="udp",
    cluster_ip="10.96.0.10",
    port=53,
    node_port=30053,
    public_ips=("10.77.0.200",),
    everywhere=backends("10.244.1.2", port=1053),
)
ENDPOINTS = udp_endpoints([DNS, port()], "10.77.0.11")


def flow(dst: str, dport: int, answered_by: str, answered_from: int = 1053, mark: str = "[UNREPLIED] ") -> str:
    return (
        f"udp      17 28 src=10.244.1.9 dst={dst} sport=4444 dport={dport} "
        f"{mark}src={answered_by} dst=10.244.1.9 sport={answered_from} dport=4444 mark=0 use=1"
    )


def test_a_udp_service_is_reached_under_each_of_its_addresses() -> None:
    assert ENDPOINTS.keys() == {
        ("10.96.0.10", 53),
        ("10.77.0.200", 53),
        ("10.77.0.11", 30053),
        ("10.77.0.200", 30053),
    }
    assert set(ENDPOINTS.values()) == {frozenset(backends("10.244.1.2", port=1053))}


@pytest.mark.parametrize(
    ("line", "stale"),
    [
        pytest.param(flow("10.96.0.10", 53, "10.244.1.2"), [], id="to-an-endpoint"),
        pytest.param(flow("10.96.0.10", 53, "10.244.1.2", mark=""), [], id="answered"),
        pytest.param(
            flow("10.96.0.10", 53, "10.244.2.2"), [StaleFlows("10.96.0.10", 53, "10.244.2.2")], id="endpoint-gone"
        ),
        pytest.param(
            flow("10.96.0.10", 53, "10.244.1.2", 2053), [StaleFlows("10.96.0.10", 53, "10.244.1.2")], id="other-port"
        ),
        pytest.param(
            flow("10.96.0.10", 53, "10.96.0.10", 53),
            [StaleFlows("10.96.0.10", 53, "10.96.0.10")],
            id="from-before-the-service-had-endpoints",
        ),
        pytest.param(
            flow("10.77.0.11", 30053, "10.244.2.2"), [StaleFlows("10.77.0.11", 30053, "10.244.2.2")], id="node-port"
        ),
        pytest.param(flow("198.51.100.1", 53, "198.51.100.1", 53), [], id="not-a-service"),
        pytest.param(flow("198.51.100.1", 30053, "198.51.100.1", 30053), [], id="another-machines-node-port"),
        pytest.param("conntrack v1.4.7 (conntrack-tools): 0 flow entries have been shown.", [], id="no-flow"),
    ],
)
def test_stale(line: str, stale: list[StaleFlows]) -> None:
    assert stale_flows(line + "\n", ENDPOINTS) == stale


def test_without_endpoints_every_flow_is_stale() -> None:
    gone = udp_endpoints([port(protocol="udp", everywhere=())], "10.77.0.11")
    assert stale_flows(flow("10.96.0.5", 80, "10.244.1.2", 8080), gone) == [StaleFlows("10.96.0.5", 80, "10.244.1.2")]


class FakeConntrack:
    def __init__(self, refusal: str = "") -> None:
        self.deleted: list[list[str]] = []
        self.refusal = refusal

    def __call__(self, args: Sequence[str], stdin: str = "", timeout_s: float = 30.0) -> str:
        if "-L" in args:
            return flow("10.96.0.10", 53, "10.244.2.2") + "\n" + flow("10.96.0.10", 53, "10.244.2.2") + "\n"
        if self.refusal:
            raise CommandError(args, 1, self.refusal)
        self.deleted.append(list(args))
        return ""


def test_flows_of_one_kind_are_dropped_by_one_call() -> None:
    tool = FakeConntrack()
    Conntrack(tool).drop_stale(ENDPOINTS)
    where = ["--orig-dst", "10.96.0.10", "--orig-port-dst", "53", "--reply-src", "10.244.2.2"]
    assert tool.deleted == [["conntrack", "-D", "-p", "udp", *where]]


def test_flows_that_ended_meanwhile_are_no_error() -> None:
    Conntrack(FakeConntrack("conntrack v1.4.7: 0 flow entries have been deleted.")).drop_stale(ENDPOINTS)
    with pytest.raises(CommandError):
        Conntrack(FakeConntrack("Operation not permitted")).drop_stale(ENDPOINTS)
