"""The text of the rules, and what must hold for any services."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadbalancer import chains
from loadbalancer.rules import RuleSet, probability
from loadbalancer.services import ServicePort
from tests.unit.loadbalancer.make import backends, port, ruleset

GOLDEN = Path(__file__).parent / "golden"
PUBLISHED = {"node_port": 30080, "public_ips": ("10.77.0.200",)}
CASES = {
    "nothing": ruleset(),
    "cluster-ip": ruleset(port()),
    "no-endpoints": ruleset(port(everywhere=(), **PUBLISHED)),
    "published": ruleset(port(external_ips=("192.0.2.1",), **PUBLISHED)),
    "udp-with-affinity": ruleset(port(name="kube-system/dns", protocol="udp", port=53, affinity_s=10800)),
    "external-policy-local": ruleset(port(external_local=True, here=backends("10.244.1.2"), **PUBLISHED)),
    "external-policy-local-nobody-here": ruleset(port(external_local=True, **PUBLISHED)),
    "internal-policy-local": ruleset(port(internal_local=True, here=backends("10.244.1.2"))),
    "source-ranges": ruleset(port(source_ranges=("192.0.2.0/24",), **PUBLISHED)),
}


def saved(rules: RuleSet) -> str:
    """A rule set as iptables-save shows it, without counters and policies."""
    lines: list[str] = []
    for table, found in rules.tables.items():
        lines += [f"*{table}", *(f"-A {j.chain} {j.rule}" for j in rules.jumps if j.table == table)]
        lines += [f"-A {chain} {rule}" for chain, chain_rules in found.items() for rule in chain_rules]
    return "\n".join((*lines, ""))


@pytest.mark.parametrize("name", CASES)
def test_golden(name: str) -> None:
    assert saved(CASES[name]) == (GOLDEN / f"{name}.rules").read_text()


def test_a_published_service_without_endpoints_refuses_everywhere() -> None:
    rules = ruleset(port(everywhere=(), node_port=30080, public_ips=("10.77.0.200",)))
    refused = rules.tables["filter"][chains.EXTERNAL_SERVICES]
    assert len(refused) == 2
    assert all(r.endswith("-j REJECT --reject-with icmp-port-unreachable") for r in refused)


N_SERVICES, N_ENDPOINTS = 20, 7


def test_the_number_of_rules_is_pinned() -> None:
    """What a service costs must not grow unseen: 3 + endpoints, and 2 for each endpoint, + 3 where it's published."""
    empty = count(ruleset())
    plain = [numbered(n, N_ENDPOINTS) for n in range(N_SERVICES)]
    assert empty == {"raw": 6, "filter": 5, "nat": 6}
    assert count(ruleset(*plain))["nat"] - empty["nat"] == N_SERVICES * (2 + 3 * N_ENDPOINTS)
    published = [numbered(n, N_ENDPOINTS, node_port=30000 + n) for n in range(N_SERVICES)]
    assert count(ruleset(*published))["nat"] - empty["nat"] == N_SERVICES * (5 + 3 * N_ENDPOINTS)
    without = [numbered(n, 0) for n in range(N_SERVICES)]
    assert count(ruleset(*without))["filter"] - empty["filter"] == N_SERVICES


def count(rules: RuleSet) -> dict[str, int]:
    return {table: sum(map(len, found.values())) for table, found in rules.tables.items()}


def numbered(n: int, endpoints: int, **fields: object) -> ServicePort:
    everywhere = backends(*(f"10.244.{n}.{e + 2}" for e in range(endpoints)))
    return port(name=f"default/web-{n}:http", cluster_ip=f"10.96.1.{n}", everywhere=everywhere, **fields)


def test_a_change_of_one_service_changes_no_chain_of_another() -> None:
    before = ruleset(numbered(0, 3), numbered(1, 3)).tables["nat"]
    after = ruleset(numbered(0, 2), numbered(1, 3)).tables["nat"]
    changed = {c for c in before.keys() | after.keys() if before.get(c) != after.get(c)}
    of_first = {c for c in changed if "default/web-0:http" in " ".join((*before.get(c, ()), *after.get(c, ())))}
    assert changed == of_first
    assert len(changed) == 2


IP = st.integers(2, 250).map(lambda n: f"10.244.1.{n}") | st.integers(2, 250).map(lambda n: f"10.244.2.{n}")
BACKENDS = st.sets(IP, max_size=8).map(lambda ips: backends(*sorted(ips)))


@st.composite
def any_port(draw: st.DrawFn) -> ServicePort:
    everywhere = draw(BACKENDS)
    return port(
        name=draw(st.sampled_from(["default/a:x", "default/b", "kube-system/c:y"])),
        protocol=draw(st.sampled_from(["tcp", "udp"])),
        node_port=draw(st.sampled_from([0, 30080])),
        external_ips=draw(st.sampled_from([(), ("192.0.2.1",)])),
        public_ips=draw(st.sampled_from([(), ("10.77.0.200",)])),
        source_ranges=draw(st.sampled_from([None, ("10.0.0.0/8",)])),
        affinity_s=draw(st.sampled_from([0, 60])),
        external_local=draw(st.booleans()),
        internal_local=draw(st.booleans()),
        everywhere=everywhere,
        here=draw(st.sampled_from([(), everywhere[:2]])),
    )


@settings(deadline=None)  # a busy machine is not a failure
@given(st.lists(any_port(), max_size=4, unique_by=lambda p: (p.name, p.protocol)))
def test_no_jump_dangles_and_no_chain_is_unused(ports: list[ServicePort]) -> None:
    rules = ruleset(*ports)
    for table, found in rules.tables.items():
        jumps = [j.rule for j in rules.jumps if j.table == table]
        everything = [*(r for chain in found.values() for r in chain), *jumps]
        targets = {t for rule in everything for t in re.findall(r"-j (KUBE\S*)$", rule)}
        assert targets <= found.keys()
        per_service = {c for c in found if c.startswith(chains.PREFIXES)}
        assert per_service <= targets


@settings(deadline=None)  # a busy machine is not a failure
@given(st.integers(1, 2000))
def test_every_endpoint_gets_an_equal_share(n: int) -> None:
    left = 1.0
    for i in range(n):
        taken = left * (float(probability(n - i)) if n - i > 1 else 1.0)
        assert taken == pytest.approx(1 / n, rel=1e-5)
        left -= taken
    assert left == pytest.approx(0)


def test_probabilities_are_written_as_iptables_save_prints_them() -> None:
    assert [probability(n) for n in (2, 3, 7)] == ["0.50000000000", "0.33333333349", "0.14285714272"]
