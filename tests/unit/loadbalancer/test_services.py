"""Which ports a Service has on this node, and which endpoints get its traffic."""

from typing import Any

import pytest

from controlplane.api.types import EndpointPort, LoadBalancerIngress, ServicePort
from loadbalancer.services import Backend, service_ports
from tests.unit.loadbalancer.make import endpoint, endpoint_slice, public_service, service


def ips(backends: tuple[Backend, ...]) -> list[str]:
    return [b.ip for b in backends]


@pytest.mark.parametrize(
    ("endpoints", "everywhere", "here"),
    [
        pytest.param([endpoint("10.244.1.2")], ["10.244.1.2"], ["10.244.1.2"], id="no-conditions-is-ready"),
        pytest.param(
            [endpoint("10.244.1.2", ready=True), endpoint("10.244.2.2", "worker-2", ready=True)],
            ["10.244.1.2", "10.244.2.2"],
            ["10.244.1.2"],
            id="ready-here-and-elsewhere",
        ),
        pytest.param(
            [endpoint("10.244.1.2", ready=False), endpoint("10.244.2.2", "worker-2", ready=True)],
            ["10.244.2.2"],
            [],
            id="not-ready-is-out",
        ),
        pytest.param(
            [endpoint("10.244.1.2", ready=False, serving=True, terminating=True)],
            ["10.244.1.2"],
            ["10.244.1.2"],
            id="terminating-serves-when-none-is-ready",
        ),
        pytest.param(
            [
                endpoint("10.244.1.2", ready=False, serving=True, terminating=True),
                endpoint("10.244.2.2", "worker-2", ready=True),
            ],
            ["10.244.2.2"],
            ["10.244.1.2"],
            id="terminating-is-out-when-one-is-ready",
        ),
        pytest.param([endpoint("10.244.1.2", ready=False, serving=False, terminating=True)], [], [], id="dead"),
        pytest.param([endpoint("127.0.0.1"), endpoint("fd00::1"), endpoint("-j ACCEPT")], [], [], id="no-address"),
    ],
)
def test_who_gets_traffic(endpoints: list[object], everywhere: list[str], here: list[str]) -> None:
    ports, refused = service_ports(service(), [endpoint_slice(endpoints)], "worker-1")  # type: ignore[arg-type]
    assert (ips(ports[0].everywhere), ips(ports[0].here)) == (everywhere, here)
    assert not refused


def test_endpoints_of_several_slices_are_merged_and_doubles_vanish() -> None:
    both = endpoint_slice([endpoint("10.244.1.2"), endpoint("10.244.1.3")])
    slices = [both, endpoint_slice([endpoint("10.244.1.2")])]
    ports, _ = service_ports(service(), slices, "worker-1")
    assert ips(ports[0].everywhere) == ["10.244.1.2", "10.244.1.3"]


def test_the_target_port_is_the_slices_port_of_the_same_name_and_protocol() -> None:
    spec_ports = [ServicePort(port=53, name="dns", protocol="UDP"), ServicePort(port=53, name="dns-tcp")]
    slice_ports = [
        EndpointPort(port=1053, name="dns", protocol="UDP"),
        EndpointPort(port=2053, name="dns-tcp", protocol="TCP"),
    ]
    slices = [endpoint_slice([endpoint("10.244.1.2")], ports=slice_ports)]
    ports, _ = service_ports(service(ports=spec_ports), slices, "worker-1")
    assert [(p.protocol, p.everywhere[0].address) for p in ports] == [
        ("udp", "10.244.1.2:1053"),
        ("tcp", "10.244.1.2:2053"),
    ]


@pytest.mark.parametrize("number", [None, 0, 70000])
def test_a_slice_without_a_usable_port_gives_no_endpoints(number: int | None) -> None:
    slices = [endpoint_slice([endpoint("10.244.1.2")], ports=[EndpointPort(port=number, name="http")])]
    ports, _ = service_ports(service(), slices, "worker-1")
    assert ports[0].everywhere == ()


@pytest.mark.parametrize("spec", [{"cluster_ip": "None"}, {"cluster_ip": ""}, {"type": "ExternalName"}])
def test_services_without_an_address_have_no_rules(spec: dict[str, Any]) -> None:
    assert service_ports(service(**spec), [], "worker-1") == ((), ())


def test_a_node_port_counts_only_on_a_service_that_publishes() -> None:
    api_port = ServicePort(port=80, name="http", node_port=30080)
    [plain], _ = service_ports(service(ports=[api_port]), [], "worker-1")
    [published], _ = service_ports(service(ports=[api_port], type="NodePort"), [], "worker-1")
    assert (plain.node_port, published.node_port) == (0, 30080)


def test_the_public_address_comes_from_the_status() -> None:
    given = public_service("web", "10.77.0.200", "worker-1")
    given.status.load_balancer.ingress = [
        LoadBalancerIngress(ip="10.77.0.200"),
        LoadBalancerIngress(ip="10.77.0.201", ip_mode="Proxy"),
        LoadBalancerIngress(hostname="example.org"),
    ]
    [port], _ = service_ports(given, [], "worker-1")
    assert port.public_ips == ("10.77.0.200",)


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        pytest.param(None, None, id="none-is-everybody"),
        pytest.param(["10.1.2.3/8", " 10.9.0.0/16"], ("10.0.0.0/8", "10.9.0.0/16"), id="canonical"),
        pytest.param(["0.0.0.0/0", "10.0.0.0/8"], None, id="everybody"),
        pytest.param(["-j ACCEPT"], (), id="nonsense-opens-nothing"),
    ],
)
def test_source_ranges(ranges: list[str] | None, expected: tuple[str, ...] | None) -> None:
    [port], _ = service_ports(service(load_balancer_source_ranges=ranges), [], "worker-1")
    assert port.source_ranges == expected


def test_affinity_and_policies() -> None:
    given = service(affinity_s=60, external_traffic_policy="Local", internal_traffic_policy="Local")
    [port], _ = service_ports(given, [], "worker-1")
    assert (port.affinity_s, port.external_local, port.internal_local) == (60, True, True)


@pytest.mark.parametrize(
    ("bad", "word"),
    [
        pytest.param(service(name='web" -j ACCEPT'), "name", id="name"),
        pytest.param(service(cluster_ip="10.96.0.5/32 -j DROP"), "cluster IP", id="cluster-ip"),
        pytest.param(service(ports=[ServicePort(port=80, name="a\n-A INPUT")]), "port", id="port-name"),
        pytest.param(service(ports=[ServicePort(port=80, protocol="SCTP")]), "SCTP", id="protocol"),
    ],
)
def test_what_is_out_of_form_is_refused_in_words(bad: object, word: str) -> None:
    ports, refused = service_ports(bad, [], "worker-1")  # type: ignore[arg-type]
    assert ports == ()
    assert word in refused[0]


def test_slices_of_other_addresses_are_refused_in_words_and_the_rest_is_served() -> None:
    six = endpoint_slice([endpoint("fd00::1")])
    six.address_type = "IPv6"
    [port], [refused] = service_ports(service(), [six, endpoint_slice([endpoint("10.244.1.2")])], "worker-1")
    assert [backend.ip for backend in port.everywhere] == ["10.244.1.2"]
    assert "web-abc" in refused
    assert "IPv6" in refused
