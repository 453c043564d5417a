"""One pass after a change, one check now and then, and the loop around them."""

import threading

import pytest

from controlplane.api.types import EndpointSlice, Node, Service
from controlplane.client import SystemClock
from loadbalancer import proxier
from loadbalancer.builder import Builder
from loadbalancer.commands import CommandError
from loadbalancer.conntrack import StaleFlows, UdpEndpoints
from loadbalancer.proxier import Proxier
from loadbalancer.routes import RouteTable
from loadbalancer.rules import RuleSet
from tests.unit.loadbalancer.make import FACTS, endpoint, endpoint_slice, node, service

FAILURE = CommandError(["iptables-legacy-restore"], 4, "lock")


class Kernel:
    """Rules, routes and flows; and what the API server says. Remembers what was done, in order."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.fails: list[str] = []
        self.udp: list[UdpEndpoints] = []
        self.the_services: list[Service] = [service()]

    def services(self) -> list[Service]:
        return self.the_services

    def slices(self) -> list[EndpointSlice]:
        return [endpoint_slice([endpoint("10.244.1.2")])]

    def nodes(self) -> list[Node]:
        return [node("worker-2", "10.77.0.12", "10.244.2.0/24")]

    def _do(self, what: str) -> None:
        if what in self.fails:
            self.fails.remove(what)
            raise FAILURE
        self.done.append(what)

    def apply(self, _wanted: RuleSet) -> int:
        self._do("apply")
        return 1

    def repair(self, _wanted: RuleSet) -> int:
        self._do("repair")
        return 0

    def sync(self, _wanted: RouteTable) -> list[str]:
        self._do("routes")
        return []

    def drop_stale(self, endpoints: UdpEndpoints) -> list[StaleFlows]:
        self._do("flows")
        self.udp.append(endpoints)
        return []


@pytest.fixture
def kernel() -> Kernel:
    return Kernel()


@pytest.fixture
def subject(kernel: Kernel) -> Proxier:
    return Proxier(kernel, Builder(FACTS, "10.77.0.11"), kernel, kernel, kernel, SystemClock())


def udp_service() -> Service:
    result = service("dns", cluster_ip="10.96.0.10")
    assert result.spec.ports
    result.spec.ports[0].protocol = "UDP"
    return result


def test_a_pass_sets_rules_then_flows_then_routes(kernel: Kernel, subject: Proxier) -> None:
    kernel.the_services = [udp_service()]
    subject.sync()
    assert kernel.done == ["apply", "flows", "routes"]


def test_flows_are_looked_at_only_when_udp_endpoints_changed(kernel: Kernel, subject: Proxier) -> None:
    kernel.the_services = [udp_service()]
    subject.sync()
    kernel.the_services = [*kernel.the_services, service("web")]
    subject.sync()
    assert len(kernel.udp) == 1


def test_without_udp_services_flows_are_never_looked_at(kernel: Kernel, subject: Proxier) -> None:
    subject.sync()
    assert kernel.done == ["apply", "routes"]


def test_flows_that_can_not_be_dropped_stop_nothing_and_are_tried_again(kernel: Kernel, subject: Proxier) -> None:
    kernel.the_services = [udp_service()]
    kernel.fails = ["flows"]
    subject.sync()
    assert kernel.done == ["apply", "routes"]
    subject.sync()
    assert kernel.done[2:] == ["apply", "flows", "routes"]


def test_a_check_before_the_first_pass_touches_nothing(kernel: Kernel, subject: Proxier) -> None:
    subject.check()
    assert kernel.done == []


def test_a_check_repairs_rules_and_routes(kernel: Kernel, subject: Proxier) -> None:
    subject.sync()
    kernel.done.clear()
    subject.check()
    assert kernel.done == ["repair", "routes"]


def test_what_is_refused_is_told_once(subject: Proxier, kernel: Kernel, caplog: pytest.LogCaptureFixture) -> None:
    bad = udp_service()
    assert bad.spec.ports
    bad.spec.ports[0].protocol = "SCTP"
    kernel.the_services = [bad]
    subject.sync()
    subject.sync()
    assert len([r for r in caplog.records if "SCTP" in r.message]) == 1


def test_the_loop_tries_a_failed_pass_again_and_then_is_ready(
    kernel: Kernel, subject: Proxier, monkeypatch: pytest.MonkeyPatch
) -> None:
    for pause in ("MIN_INTERVAL_S", "RETRY_FIRST_S", "RETRY_MAX_S"):
        monkeypatch.setattr(proxier, pause, 0.001)
    kernel.fails = ["apply", "routes"]
    changed, stop = threading.Event(), threading.Event()
    ready: list[list[str]] = []

    def on_ready() -> None:
        ready.append(list(kernel.done))
        stop.set()

    proxier.run(subject, changed, stop, after_first=on_ready)
    assert ready == [["apply", "apply", "routes"]]
