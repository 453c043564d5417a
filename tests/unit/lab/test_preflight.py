"""The checks before anything changes: every problem by name, all at once, and the provider with its reason."""

from dataclasses import replace

import pytest

from lab import facts, paths
from lab.preflight import Host, Needs, decide, needs

FACTS = facts.load(paths.FACTS.read_text())
LAB = facts.lab(FACTS, "kubelab", 0, 3)
GOOD = Host(
    is_root=True,
    has_apt=True,
    suites="Suites: bookworm",
    namespaces="",
    loop_devices=True,
    overlay=True,
    cgroups_writable=True,
    memory_mib=8000,
    disk_mib=50_000,
    cache_mib=50_000,
    base_cached=False,
    ports_taken=frozenset(),
    routes=("172.17.0.0/16", "192.168.1.0/24"),
    no_vms="the processor offers no virtualisation",
)
NEEDS = needs(FACTS, LAB, "auto", new_nodes=4, forward_runs=False)


def test_a_good_host_has_no_problems() -> None:
    decision = decide(GOOD, NEEDS)
    assert decision.problems == ()
    assert decision.provider == "local"
    assert "no virtualisation" in decision.why


def test_virtual_machines_where_a_hypervisor_works() -> None:
    assert decide(replace(GOOD, no_vms=""), NEEDS).provider == "vagrant"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"is_root": False}, "not root"),
        ({"has_apt": False}, "no apt"),
        ({"suites": ""}, "no apt source for Debian bookworm"),
        ({"namespaces": "Operation not permitted"}, "no network namespaces: Operation not permitted"),
        ({"loop_devices": False}, "no loop devices"),
        ({"overlay": False}, "no overlay"),
        ({"cgroups_writable": False}, "control groups"),
        ({"memory_mib": 500}, "too little memory: 4 more machines"),
        ({"disk_mib": 100}, "too little disk: 4 more machines"),
        ({"cache_mib": 100}, "too little disk for the cache"),
        ({"ports_taken": frozenset({6443})}, "port 127.0.0.1:6443 is taken"),
        ({"routes": ("10.77.0.0/16",)}, "the range for nodes 10.77.0.0/24"),
        ({"routes": ("10.244.3.0/24",)}, "the range for pods"),
        ({"routes": ("10.96.0.1/32",)}, "the range for services"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_each_problem_is_named_alone(change: dict[str, object], words: str) -> None:
    problems = decide(replace(GOOD, **change), NEEDS).problems  # type: ignore[arg-type]  # fields by name
    assert len(problems) == 1
    assert words in problems[0]


def test_all_problems_are_named_at_once() -> None:
    bad = replace(GOOD, is_root=False, memory_mib=1, ports_taken=frozenset({6443}))
    assert len(decide(bad, NEEDS).problems) == 3


def test_a_standing_lab_needs_neither_port_nor_memory_nor_range_again() -> None:
    standing: Needs = replace(NEEDS, new_nodes=0, forward_runs=True)
    host = replace(GOOD, memory_mib=10, disk_mib=10, ports_taken=frozenset({6443}), routes=(LAB.node_range,))
    assert decide(host, standing).problems == ()


def test_a_wide_route_is_no_collision() -> None:
    assert decide(replace(GOOD, routes=("10.0.0.0/8",)), NEEDS).problems == ()


def test_vagrant_asked_for_where_it_cannot_run_says_why() -> None:
    decision = decide(replace(GOOD, vm_problem="PROVIDER=vagrant: no"), replace(NEEDS, provider="vagrant"))
    assert decision.problems == ("PROVIDER=vagrant: no",)


def test_an_unknown_provider_is_refused() -> None:
    assert "one of auto, local, vagrant" in decide(GOOD, replace(NEEDS, provider="lxc")).problems[0]
