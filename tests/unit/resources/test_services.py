"""Services: defaults, addresses and ports as claims, changes of type, columns (rows 9 and 16)."""

from __future__ import annotations

from typing import Any

import pytest

from controlplane.api.errors import ApiError
from controlplane.apiserver.resources import services
from controlplane.store import Claim
from tests.unit.resources.build import changed, create, row, update

RESOURCE = services.RESOURCE


def service(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}], **spec}}


def test_a_cluster_ip_is_drawn_and_claimed() -> None:
    found = create(RESOURCE, service())
    spec = found.obj["spec"]
    assert spec["clusterIP"].startswith("10.96.")
    assert found.drawn == {Claim("clusterips", spec["clusterIP"])} == set(found.claims)
    assert spec == {
        "selector": {"app": "web"},
        "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}],
        "type": "ClusterIP",
        "sessionAffinity": "None",
        "internalTrafficPolicy": "Cluster",
        "clusterIP": spec["clusterIP"],
        "clusterIPs": [spec["clusterIP"]],
        "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
    }
    assert found.obj["status"] == {"loadBalancer": {}}


def test_node_ports_are_drawn_and_claimed() -> None:
    found = create(RESOURCE, service(type="NodePort", ports=[{"port": 80, "name": "a"}, {"port": 81, "name": "b"}]))
    ports = [port["nodePort"] for port in found.obj["spec"]["ports"]]
    assert len(set(ports)) == 2
    assert all(30000 <= port <= 32767 for port in ports)
    assert {Claim("nodeports", f"{port}/TCP") for port in ports} < set(found.claims)
    assert found.obj["spec"]["externalTrafficPolicy"] == "Cluster"


def test_one_port_for_tcp_and_udp() -> None:
    ports = [{"port": 53, "name": "t"}, {"port": 53, "name": "u", "protocol": "UDP"}]
    found = create(RESOURCE, service(type="NodePort", ports=ports)).obj["spec"]["ports"]
    assert found[0]["nodePort"] == found[1]["nodePort"]


def test_a_load_balancer_has_node_ports_unless_it_wants_none() -> None:
    found = create(RESOURCE, service(type="LoadBalancer"))
    assert found.obj["spec"]["allocateLoadBalancerNodePorts"] is True
    assert found.obj["spec"]["ports"][0]["nodePort"]
    found = create(RESOURCE, service(type="LoadBalancer", allocateLoadBalancerNodePorts=False))
    assert "nodePort" not in found.obj["spec"]["ports"][0]
    found = create(RESOURCE, service(type="LoadBalancer", externalTrafficPolicy="Local"))
    assert Claim("nodeports", f"{found.obj['spec']['healthCheckNodePort']}/TCP") in found.claims


def test_headless_and_external_names_draw_nothing() -> None:
    headless = create(RESOURCE, service(clusterIP="None"))
    assert (headless.drawn, headless.claims) == (frozenset(), ())
    assert headless.obj["spec"]["clusterIPs"] == ["None"]
    outside = create(RESOURCE, {"metadata": {"name": "web"}, "spec": {"type": "ExternalName", "externalName": "a.b"}})
    assert (outside.causes, outside.claims) == ([], ())
    assert "clusterIP" not in outside.obj["spec"]


def test_session_affinity_has_a_time() -> None:
    found = create(RESOURCE, service(sessionAffinity="ClientIP")).obj["spec"]
    assert found["sessionAffinityConfig"] == {"clientIP": {"timeoutSeconds": 10800}}


def test_what_is_asked_for_is_claimed_but_not_drawn() -> None:
    found = create(
        RESOURCE, service(type="NodePort", clusterIP="10.96.0.10", ports=[{"port": 80, "nodePort": 30080}])
    )
    assert found.drawn == frozenset()
    assert set(found.claims) == {Claim("clusterips", "10.96.0.10"), Claim("nodeports", "30080/TCP")}


@pytest.mark.parametrize(
    ("spec", "field", "words"),
    [
        ({"clusterIP": "10.97.0.1"}, "spec.clusterIPs", "The range of valid IPs is 10.96.0.0/16"),
        ({"clusterIP": "10.96.0.0"}, "spec.clusterIPs", "can't be used"),
        (
            {"type": "NodePort", "ports": [{"port": 80, "nodePort": 80}]},
            "spec.ports[0].nodePort",
            "provided port is not in the valid range. The range of valid ports is 30000-32767",
        ),
    ],
)
def test_values_out_of_range_are_a_422(spec: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(ApiError, match=words.replace("(", r"\(")) as error:
        create(RESOURCE, service(**spec))
    assert error.value.code == 422
    assert error.value.details["causes"][0]["field"] == field


def test_values_taken_have_a_cause() -> None:
    obj = create(RESOURCE, service(type="NodePort", ports=[{"port": 80, "nodePort": 30080}])).obj
    strategy = RESOURCE.strategy
    port = strategy.claim_taken(obj, Claim("nodeports", "30080/TCP"))
    assert (port.field, port.message) == (
        "spec.ports[0].nodePort",
        "Invalid value: 30080: provided port is already allocated",
    )
    address = strategy.claim_taken(obj, Claim("clusterips", "10.96.0.10"))
    assert address.field == "spec.clusterIPs"
    assert "provided IP is already allocated" in address.message


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"ports": []}, "spec.ports"),
        ({"type": "Magic"}, "spec.type"),
        ({"ports": [{"port": 0}]}, "spec.ports[0].port"),
        ({"ports": [{"port": 80, "targetPort": 70000}]}, "spec.ports[0].targetPort"),
        ({"ports": [{"port": 80, "targetPort": "no_port"}]}, "spec.ports[0].targetPort"),
        ({"ports": [{"port": 80, "protocol": "ICMP"}]}, "spec.ports[0].protocol"),
        ({"ports": [{"port": 80, "nodePort": 30000}]}, "spec.ports[0].nodePort"),
        ({"ports": [{"port": 80, "name": "A"}]}, "spec.ports[0].name"),
        ({"ports": [{"port": 80, "name": "a"}, {"port": 81}]}, "spec.ports[1].name"),
        ({"ports": [{"port": 80, "name": "a"}, {"port": 81, "name": "a"}]}, "spec.ports[1].name"),
        ({"ports": [{"port": 80, "name": "a"}, {"port": 80, "name": "b"}]}, "spec.ports[1]"),
        ({"clusterIP": "x"}, "spec.clusterIPs[0]"),
        ({"clusterIP": "10.96.0.7", "clusterIPs": ["10.96.0.8"]}, "spec.clusterIPs[0]"),
        ({"clusterIP": "None", "type": "NodePort"}, "spec.clusterIPs[0]"),
        ({"selector": {"a b": "c"}}, "spec.selector"),
        ({"sessionAffinity": "Sticky"}, "spec.sessionAffinity"),
        (
            {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 86401}}},
            "spec.sessionAffinityConfig.clientIP.timeoutSeconds",
        ),
        ({"externalIPs": ["x"]}, "spec.externalIPs[0]"),
        ({"externalTrafficPolicy": "Local"}, "spec.externalTrafficPolicy"),
        ({"internalTrafficPolicy": "Global"}, "spec.internalTrafficPolicy"),
        ({"type": "ExternalName"}, "spec.externalName"),
        ({"type": "ExternalName", "externalName": "a b"}, "spec.externalName"),
        ({"loadBalancerClass": "x/y"}, "spec.loadBalancerClass"),
        ({"type": "LoadBalancer", "loadBalancerSourceRanges": ["x"]}, "spec.loadBalancerSourceRanges[0]"),
        ({"type": "LoadBalancer", "loadBalancerIP": "x"}, "spec.loadBalancerIP"),
        ({"healthCheckNodePort": 30000}, "spec.healthCheckNodePort"),
        ({"ipFamilies": ["IPv6"]}, "spec.ipFamilies[0]"),
    ],
)
def test_each_mistake_names_its_field(spec: dict[str, Any], field: str) -> None:
    assert create(RESOURCE, service(**spec)).fields == [field]


def test_names_are_dns_1035_labels() -> None:
    assert create(RESOURCE, changed(service(), "metadata.name", "1web")).fields == ["metadata.name"]


def test_known_fields_without_a_deed_are_named() -> None:
    found = create(RESOURCE, service(trafficDistribution="PreferClose"))
    assert [text.partition(":")[0] for text in found.warnings] == ["spec.trafficDistribution"]
    assert create(RESOURCE, service()).warnings == []


STORED = create(RESOURCE, service(type="NodePort")).obj


def test_an_update_keeps_what_was_allocated() -> None:
    found = update(RESOURCE, {**service(type="NodePort"), "metadata": STORED["metadata"]}, STORED)
    assert found.obj == STORED
    assert found.drawn == frozenset()
    assert update(RESOURCE, changed(STORED, "status", {"loadBalancer": {"ingress": []}}), STORED).obj == STORED


def test_a_cluster_ip_stays() -> None:
    new = changed(changed(STORED, "spec.clusterIP", "10.96.9.9"), "spec.clusterIPs", ["10.96.9.9"])
    found = update(RESOURCE, new, STORED)
    assert found.fields == ["spec.clusterIPs[0]"]
    assert "may not change once set" in found.message("spec.clusterIPs[0]")


def test_a_change_of_type_lets_go_of_ports() -> None:
    found = update(RESOURCE, changed(STORED, "spec.type", "ClusterIP"), STORED)
    assert found.causes == []
    assert found.obj["spec"]["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    assert found.claims == (Claim("clusterips", STORED["spec"]["clusterIP"]),)
    assert "externalTrafficPolicy" not in found.obj["spec"]


def test_a_change_to_an_external_name_lets_go_of_everything() -> None:
    new = changed(changed(STORED, "spec.type", "ExternalName"), "spec.externalName", "a.b")
    found = update(RESOURCE, new, STORED)
    assert (found.causes, found.claims) == ([], ())


def test_a_change_to_a_load_balancer_keeps_the_ports() -> None:
    found = update(RESOURCE, changed(STORED, "spec.type", "LoadBalancer"), STORED)
    assert found.causes == []
    assert found.obj["spec"]["ports"] == STORED["spec"]["ports"]
    assert found.obj["spec"]["allocateLoadBalancerNodePorts"] is True


def test_a_new_port_gets_a_new_node_port() -> None:
    ports = [{"port": 80, "name": "a"}, {"port": 81, "name": "b"}]
    found = update(RESOURCE, changed(STORED, "spec.ports", ports), STORED)
    assert found.obj["spec"]["ports"][0]["nodePort"] == STORED["spec"]["ports"][0]["nodePort"]
    assert len(found.drawn) == 1


INGRESS = {"loadBalancer": {"ingress": [{"ip": "10.77.0.200"}]}}


@pytest.mark.parametrize(
    ("spec", "status", "cells"),
    [
        ({"type": "ClusterIP", "clusterIP": "10.96.0.1"}, {}, ["10.96.0.1", "<none>", "80/TCP"]),
        ({"type": "ClusterIP", "clusterIP": "None", "ports": []}, {}, ["None", "<none>", "<none>"]),
        (
            {"type": "NodePort", "clusterIP": "i", "ports": [{"port": 80, "nodePort": 30080}]},
            {},
            ["i", "<none>", "80:30080/TCP"],
        ),
        ({"type": "LoadBalancer", "clusterIP": "i"}, {}, ["i", "<pending>", "80/TCP"]),
        ({"type": "LoadBalancer", "clusterIP": "i"}, INGRESS, ["i", "10.77.0.200", "80/TCP"]),
        (
            {"type": "LoadBalancer", "clusterIP": "i", "externalIPs": ["1.2.3.4"]},
            INGRESS,
            ["i", "10.77.0.200,1.2.3.4", "80/TCP"],
        ),
        ({"type": "ClusterIP", "clusterIP": "i", "externalIPs": ["1.2.3.4"]}, {}, ["i", "1.2.3.4", "80/TCP"]),
        ({"type": "ExternalName", "externalName": "a.b"}, {}, ["<none>", "a.b", "80/TCP"]),
    ],
)
def test_columns(spec: dict[str, Any], status: dict[str, Any], cells: list[str]) -> None:
    obj = {
        "metadata": {"name": "web"},
        "spec": {"ports": [{"port": 80, "protocol": "TCP"}], **spec},
        "status": status,
    }
    found = row(RESOURCE, obj, wide=True)
    assert list(found) == ["Name", "Type", "Cluster-IP", "External-IP", "Port(s)", "Age", "Selector"]
    assert list(found.values())[2:5] == cells
