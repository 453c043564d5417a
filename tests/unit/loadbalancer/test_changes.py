"""Only what differs is fed, and feeding it gives what is wanted, whatever was there before."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadbalancer import changes
from loadbalancer.chains import is_ours
from loadbalancer.rules import JUMPS, RuleSet
from tests.unit.loadbalancer.make import backends, port, ruleset

TABLES = ("raw", "filter", "nat")
Kernel = dict[str, dict[str, list[str]]]


def restore(kernel: Kernel, text: str) -> None:
    """A small `iptables-restore --noflush`: it refuses what the real one refuses."""
    table: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("*"):
            table = kernel.setdefault(line[1:], {})
        elif line.startswith(":"):
            table[line[1:].split(" ")[0]] = []
        elif line.startswith("-X "):
            chain = line[3:]
            assert not table[chain], f"{chain} is not empty"
            assert not any(r.endswith(f"-j {chain}") for rules in table.values() for r in rules), f"{chain} is in use"
            del table[chain]
        elif line.startswith("-"):
            action, chain, rule = line.split(" ", 2)
            if action == "-D":
                table[chain].remove(rule)
            else:
                table[chain].insert(0 if action == "-I" else len(table[chain]), rule)
    for chains in kernel.values():
        targets = {r.rpartition(" -j ")[2].split(" ")[0] for rules in chains.values() for r in rules}
        assert {t for t in targets if t.startswith("KUBE")} <= chains.keys()


def as_tables(kernel: Kernel) -> dict[str, dict[str, tuple[str, ...]]]:
    return {table: {c: tuple(rules) for c, rules in chains.items()} for table, chains in kernel.items()}


def apply(kernel: Kernel, wanted: RuleSet) -> str:
    text = changes.restore_text(wanted, as_tables(kernel))
    restore(kernel, text)
    return text


def fresh_kernel() -> Kernel:
    builtin = {"raw": ("PREROUTING", "OUTPUT"), "filter": ("INPUT", "FORWARD", "OUTPUT")}
    nat = ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING")
    return {table: {chain: [] for chain in builtin.get(table, nat)} for table in TABLES}


FOREIGN = {"DOCKER": ["-p tcp -j ACCEPT"], "CNI-1": []}
FOREIGN_RULES = ["-i lo -j ACCEPT", "-j DOCKER"]
ENDPOINTS = st.sets(st.integers(2, 6)).map(lambda found: backends(*(f"10.244.1.{n}" for n in sorted(found))))
PORTS = st.dictionaries(st.sampled_from(["default/a:x", "default/b", "kube-system/c:y"]), ENDPOINTS)


@st.composite
def rulesets(draw: st.DrawFn) -> RuleSet:
    found = draw(PORTS)
    node_port = draw(st.sampled_from([0, 30080]))
    return ruleset(*(port(name=n, everywhere=e, node_port=node_port) for n, e in sorted(found.items())))


@st.composite
def kernels(draw: st.DrawFn) -> Kernel:
    """A kernel with foreign rules, an older rule set of ours, and damage done to it."""
    kernel = fresh_kernel()
    if draw(st.booleans()):
        apply(kernel, draw(rulesets()))
    for table in TABLES:
        kernel[table] |= {chain: list(rules) for chain, rules in FOREIGN.items()}
        for chain in ("PREROUTING", "OUTPUT", "FORWARD"):
            if chain in kernel[table]:
                kernel[table][chain].insert(0, draw(st.sampled_from(FOREIGN_RULES)))
    flushed = draw(st.sampled_from(["", *TABLES]))
    if flushed:
        for rules in kernel[flushed].values():
            rules.clear()
    if draw(st.booleans()):
        kernel["nat"]["PREROUTING"] += [j.rule for j in JUMPS if j.chain == "PREROUTING" and j.table == "nat"]
        kernel["nat"].setdefault("KUBE-SERVICES", [])
    if draw(st.booleans()):
        kernel["filter"]["INPUT"].append("-j KUBE-SVC-OLD")
        kernel["filter"]["KUBE-SVC-OLD"] = ["-j RETURN"]
    return kernel


@settings(deadline=None)  # a busy machine is not a failure
@given(kernels(), rulesets())
def test_feeding_the_difference_gives_what_is_wanted(kernel: Kernel, wanted: RuleSet) -> None:
    before = changes.foreign(as_tables(kernel))
    apply(kernel, wanted)
    after = as_tables(kernel)
    for table, chains in wanted.tables.items():
        assert {c: r for c, r in after[table].items() if is_ours(c)} == chains
    for jump in wanted.jumps:
        assert after[jump.table][jump.chain].count(jump.rule) == 1
    assert changes.foreign(after) == before
    assert changes.restore_text(wanted, after) == ""


@settings(deadline=None)  # a busy machine is not a failure
@given(kernels())
def test_leaving_takes_away_everything_of_ours_and_nothing_else(kernel: Kernel) -> None:
    before = changes.foreign(as_tables(kernel))
    apply(kernel, changes.without_rules())
    assert as_tables(kernel) == before


def test_the_jumps_stand_in_front_in_their_order() -> None:
    kernel = fresh_kernel()
    kernel["filter"]["FORWARD"].append("-j ACCEPT")
    apply(kernel, ruleset())
    ours = [j.rule for j in JUMPS if j.table == "filter" and j.chain == "FORWARD"]
    assert kernel["filter"]["FORWARD"] == [*ours, "-j ACCEPT"]


def test_one_changed_endpoint_feeds_only_its_own_chains() -> None:
    kernel = fresh_kernel()
    services = [port(name=f"default/s{n}:x", cluster_ip=f"10.96.2.{n}") for n in range(50)]
    apply(kernel, ruleset(*services))
    services[7] = port(name="default/s7:x", cluster_ip="10.96.2.7", everywhere=backends("10.244.1.2"))
    text = apply(kernel, ruleset(*services))
    fed = [line for line in text.splitlines() if line.startswith("-A")]
    assert all("default/s7:x" in line for line in fed)
    assert text.count("\n") == len(["*", "COMMIT", ":SVC", ":SEP", "-A", "-A", "-X"])


def test_the_rule_set_in_place_is_fed_once() -> None:
    kernel = fresh_kernel()
    assert apply(kernel, ruleset(port()))
    assert apply(kernel, ruleset(port())) == ""


def test_parse_reads_what_iptables_save_prints() -> None:
    saved = """\
# Generated by iptables-nft-save v1.8.9 (nf_tables)
*filter
:INPUT ACCEPT [12:3400]
:KUBE-SERVICES - [0:0]
-A INPUT -j KUBE-SERVICES
-A KUBE-SERVICES -d 10.96.0.5/32 -m comment --comment "a b" -j DROP
COMMIT
*nat
:OUTPUT ACCEPT [0:0]
COMMIT
"""
    assert changes.parse(saved) == {
        "filter": {
            "INPUT": ("-j KUBE-SERVICES",),
            "KUBE-SERVICES": ('-d 10.96.0.5/32 -m comment --comment "a b" -j DROP',),
        },
        "nat": {"OUTPUT": ()},
    }


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("-j KUBE-SERVICES", True),
        ('-m comment --comment "x -j KUBE-SERVICES" -j DOCKER', False),
        ("-p tcp -j DNAT --to-destination 1.2.3.4:80", False),
        ('-m comment --comment "no target"', False),
    ],
)
def test_which_rules_lead_to_ours(rule: str, expected: bool) -> None:
    assert changes.leads_to_ours(rule) is expected
