"""What the iptables tools do with our text: exactly what is wanted, nothing to anybody else, all or nothing."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from loadbalancer import changes, iptables
from loadbalancer.chains import is_ours
from loadbalancer.commands import CommandError
from loadbalancer.iptables import Backend, Iptables
from loadbalancer.rules import RuleSet
from loadbalancer.services import Backend as Endpoint
from loadbalancer.services import ServicePort
from tests.integration.loadbalancer.conftest import Lab, rules_of
from tests.integration.loadbalancer.network import CLIENT, NODE_A, POD_1, ask
from tests.unit.loadbalancer.test_rules import CASES

pytestmark = pytest.mark.root

WEB = ServicePort(
    "default/web:http", "tcp", "10.96.0.5", 80, node_port=30080, everywhere=(Endpoint(POD_1.address, 8080),)
)
XTABLES_LOCK = Path("/run/xtables.lock")


@pytest.fixture
def tables(lab: Lab, backend: Backend) -> Iptables:
    """iptables on node A, with nothing of ours in the kernel."""
    subject = Iptables(backend, NODE_A.run)
    subject.repair(changes.without_rules())
    return subject


def tool(backend: Backend, *args: str) -> None:
    """What another program on the node might do."""
    NODE_A.run([f"iptables-{backend}", "--wait", *args])


@pytest.mark.parametrize("name", CASES)
def test_every_rule_comes_back_as_it_was_written(tables: Iptables, name: str) -> None:
    assert tables.repair(CASES[name]) > 0
    assert tables.repair(CASES[name]) == 0
    assert changes.restore_text(CASES[name], tables.read()) == ""


def test_a_restarted_proxy_feeds_nothing(tables: Iptables, backend: Backend) -> None:
    tables.apply(rules_of(NODE_A, WEB))
    assert Iptables(backend, NODE_A.run).apply(rules_of(NODE_A, WEB)) == 0


def test_others_rules_stay(tables: Iptables, backend: Backend) -> None:
    tool(backend, "-N", "DOCKER")
    tool(backend, "-A", "DOCKER", "-p", "tcp", "--dport", "22", "-j", "ACCEPT")
    tool(backend, "-I", "FORWARD", "-j", "DOCKER")
    try:
        before = changes.foreign(tables.read())["filter"]
        tables.apply(rules_of(NODE_A, WEB))
        tables.apply(rules_of(NODE_A))
        tables.repair(changes.without_rules())
        assert changes.foreign(tables.read())["filter"] == before
        assert "DOCKER" in before
    finally:
        tool(backend, "-D", "FORWARD", "-j", "DOCKER")
        tool(backend, "-F", "DOCKER")
        tool(backend, "-X", "DOCKER")


def test_leaving_leaves_nothing(tables: Iptables) -> None:
    tables.apply(rules_of(NODE_A, WEB))
    tables.repair(changes.without_rules())
    assert not [chain for chains in tables.read().values() for chain in chains if is_ours(chain)]
    assert not [r for chains in tables.read().values() for rules in chains.values() for r in rules]


@pytest.mark.parametrize("table", ["raw", "filter", "nat"])
def test_a_foreign_flush_is_repaired(tables: Iptables, backend: Backend, table: str) -> None:
    wanted = rules_of(NODE_A, WEB)
    tables.apply(wanted)
    tool(backend, "-t", table, "-F")
    assert tables.repair(wanted) > 0
    assert tables.repair(wanted) == 0
    assert ask(CLIENT, NODE_A.address, 30080).startswith("p1 ")


def test_one_flushed_chain_and_one_removed_jump_are_repaired(tables: Iptables, backend: Backend) -> None:
    wanted = rules_of(NODE_A, WEB)
    tables.apply(wanted)
    tool(backend, "-t", "nat", "-F", "KUBE-SERVICES")
    tool(backend, "-t", "nat", "-D", "PREROUTING", "1")
    assert tables.repair(wanted) == len(["*nat", ":", "-A", "-A", "-I", "COMMIT"])
    assert tables.repair(wanted) == 0


def test_a_restore_that_fails_changes_nothing(tables: Iptables) -> None:
    tables.apply(rules_of(NODE_A, WEB))
    before = tables.read()
    broken = rules_of(NODE_A, WEB)
    nat = {**broken.tables["nat"], "KUBE-NODEPORTS": ("-j ACCEPT", "-j NO-SUCH-CHAIN")}
    with pytest.raises(CommandError):
        tables.apply(RuleSet({**broken.tables, "nat": nat}, broken.jumps))
    assert tables.read() == before
    assert tables.apply(rules_of(NODE_A, WEB)) == 0


def test_while_the_lock_is_held_nothing_changes_and_then_everything(
    tables: Iptables, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only legacy has a lock; nft's transactions need none."""
    monkeypatch.setattr(iptables, "LOCK_WAIT_S", 1)
    before = tables.read()
    with XTABLES_LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if backend == "legacy":
            with pytest.raises(CommandError, match="lock"):
                tables.apply(rules_of(NODE_A, WEB))
            assert tables.read() == before
        else:
            tables.apply(rules_of(NODE_A, WEB))
    tables.apply(rules_of(NODE_A, WEB))
    assert ask(CLIENT, NODE_A.address, 30080).startswith("p1 ")


def test_one_change_among_a_thousand_services_feeds_only_its_own_chains(tables: Iptables) -> None:
    services = [numbered(n, 10) for n in range(1000)]
    tables.apply(rules_of(NODE_A, *services))
    services[500] = numbered(500, 9)
    # *nat, two chains declared, a masquerade rule and nine endpoints, one chain removed, COMMIT
    assert tables.apply(rules_of(NODE_A, *services)) == 1 + 2 + (1 + 9) + 1 + 1
    assert tables.repair(rules_of(NODE_A, *services)) == 0


def numbered(n: int, endpoints: int) -> ServicePort:
    everywhere = tuple(Endpoint(f"10.244.{n % 250}.{e + 2}", 8080) for e in range(endpoints))
    return ServicePort(f"default/s{n}", "tcp", f"10.96.{n // 250 + 1}.{n % 250 + 1}", 80, everywhere=everywhere)
