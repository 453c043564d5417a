"""What the informers hold becomes what the node wants, and only changes are computed anew."""

from loadbalancer.builder import Builder, Wanted
from loadbalancer.rules import assemble, service_rules
from loadbalancer.services import service_ports
from tests.unit.loadbalancer.make import FACTS, endpoint, endpoint_slice, node, service

NODES = [node("master", "10.77.0.10", "10.244.0.0/24"), node("worker-1", "10.77.0.11", "10.244.1.0/24")]
WEB, API = service("web"), service("api", cluster_ip="10.96.0.6")
WEB_SLICE = endpoint_slice([endpoint("10.244.1.2")])
API_SLICE = endpoint_slice([endpoint("10.244.1.3")], "api")


def build(builder: Builder, *slices: object) -> Wanted:
    return builder.build([WEB, API], slices, NODES)  # type: ignore[arg-type]  # slices, said shorter


def test_a_service_gets_the_slices_that_name_it() -> None:
    wanted = build(Builder(FACTS, "10.77.0.11"), WEB_SLICE, API_SLICE)
    api, _ = service_ports(API, [API_SLICE], "worker-1")
    web, _ = service_ports(WEB, [WEB_SLICE], "worker-1")
    assert wanted.rules == assemble([service_rules(p, FACTS) for p in (api, web)], FACTS)
    assert wanted.routes == {"10.96.0.0/16": "", "10.244.0.0/24": "10.77.0.10"}
    assert wanted.refused == ()


def test_what_did_not_change_is_the_same_object() -> None:
    builder = Builder(FACTS, "10.77.0.11")
    before = build(builder, WEB_SLICE, API_SLICE).rules.tables["nat"]
    after = build(builder, endpoint_slice([endpoint("10.244.1.9")]), API_SLICE).rules.tables["nat"]
    same = {c for c in after if c.startswith("KUBE-S") and before.get(c) is after[c]}
    assert {c for c in after if "default/api:http" in " ".join(after[c])} - {"KUBE-SERVICES"} == same


def test_a_service_whose_last_slice_went_has_no_endpoints() -> None:
    builder = Builder(FACTS, "10.77.0.11")
    build(builder, WEB_SLICE, API_SLICE)
    refused = build(builder, API_SLICE).rules.tables["filter"]["KUBE-SERVICES"]
    assert len(refused) == 1
    assert "default/web:http has no endpoints" in refused[0]


def test_a_deleted_service_leaves_nothing() -> None:
    builder = Builder(FACTS, "10.77.0.11")
    build(builder, WEB_SLICE, API_SLICE)
    assert builder.build([], [WEB_SLICE], NODES).rules == assemble([], FACTS)


def test_a_new_node_may_reach_pods() -> None:
    nodes = [*NODES, node("worker-2", "10.77.0.12", "10.244.2.0/24")]
    wanted = Builder(FACTS, "10.77.0.11").build([], [], nodes)
    assert "-s 10.77.0.12/32 -j RETURN" in wanted.rules.tables["raw"]["KUBELAB-MEMBERS"]
