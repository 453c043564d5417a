"""Machines that people already have: the lab is what their inventory says, or every mistake in it by name."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from lab import facts, own, paths
from lab.facts import FactsError, Lab

TABLE = facts.load(paths.FACTS.read_text())
HOSTS = {"alpha": ("cp", 10), "beta": ("w1", 21), "gamma": ("w2", 22)}


def listing(**changes: dict[str, Any]) -> dict[str, Any]:
    """An inventory of three hosts, with changed (None: removed) variables by host; `all_` is every host."""
    hosts = {}
    for number, (host, (node, last)) in enumerate(HOSTS.items()):
        values = {
            "node_name": node,
            "node_address": f"192.168.7.{last}",
            "pod_cidr": f"10.244.{number}.0/24",
            "cpu_milli": 4000,
            "memory_bytes": 4 << 30,
            "disk_bytes": "20000000000",
            "lab_node_cidr": "192.168.7.0/24",
            **changes.get("all_", {}),
            **changes.get(host, {}),
        }
        hosts[host] = {name: value for name, value in values.items() if value is not None}
    return {
        "_meta": {"hostvars": hosts},
        "cluster": {"children": ["masters", "workers"]},
        "masters": {"hosts": ["alpha"]},
        "workers": {"children": ["rack"]},
        "rack": {"hosts": ["beta", "gamma"]},
    }


def read(**changes: dict[str, Any]) -> Lab:
    return own.lab(TABLE, listing(**changes), "mine", 4)


def test_the_lab_is_what_the_inventory_says() -> None:
    lab = read()
    assert [(n.name, n.role, n.address, n.pod_cidr) for n in lab.nodes] == [
        ("cp", "master", "192.168.7.10", "10.244.0.0/24"),
        ("w1", "worker", "192.168.7.21", "10.244.1.0/24"),
        ("w2", "worker", "192.168.7.22", "10.244.2.0/24"),
    ]
    assert (lab.master.cpu_milli, lab.master.memory_bytes, lab.master.disk_bytes) == (4000, 4 << 30, 20_000_000_000)
    assert (lab.name, lab.slot, lab.forward_port, lab.api_port) == ("mine", 4, 6447, 6443)
    assert (lab.node_range, lab.pool) == ("192.168.7.0/24", "192.168.7.200-192.168.7.250")


def test_no_address_comes_from_the_labs_own_number() -> None:
    theirs = facts.lab(TABLE, "mine", 4, 3)
    ours = repr(read())
    assert not [n.address for n in theirs.nodes if n.address in ours]
    assert theirs.node_range not in ours


def test_what_is_left_out_is_as_in_the_roles() -> None:
    lab = read()
    roles = yaml.safe_load((paths.ANSIBLE / "group_vars/cluster.yml").read_text())
    for name, value in (
        ("cluster_cidr", lab.pod_range),
        ("service_cidr", lab.service_range),
        ("cluster_domain", lab.domain),
        ("timing_profile", lab.profile),
        ("api_port", lab.api_port),
        ("agent_port", lab.agent_port),
        ("registry_tls_port", lab.registry_port),
    ):
        found = re.search(r"default\('?([^')]+)'?\)", roles[name])
        assert found
        assert found[1] == str(value)
    assert (lab.kubernetes_address, lab.dns_address) == ("10.96.0.1", "10.96.0.10")


def test_shared_ranges_may_be_given() -> None:
    lab = read(
        all_={
            "lab_service_cidr": "172.20.0.0/16",
            "lab_external_pool": "192.168.7.100, 192.168.7.110-192.168.7.119",
            "lab_api_port": 7443,
            "lab_profile": "kubernetes",
        }
    )
    assert (lab.kubernetes_address, lab.dns_address) == ("172.20.0.1", "172.20.0.10")
    assert (lab.pool, lab.api_port, lab.profile) == (
        "192.168.7.100, 192.168.7.110-192.168.7.119",
        7443,
        "kubernetes",
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"beta": {"node_name": None}}, "beta: node_name is missing"),
        ({"beta": {"node_address": None}}, "beta: node_address is missing"),
        ({"gamma": {"pod_cidr": None}}, "gamma: pod_cidr is missing"),
        ({"alpha": {"cpu_milli": None}}, "alpha: cpu_milli is missing"),
        ({"alpha": {"memory_bytes": ""}}, "alpha: memory_bytes is missing"),
        ({"alpha": {"disk_bytes": "20G"}}, "alpha: disk_bytes is 20G: a whole number"),
        ({"alpha": {"cpu_milli": 0}}, "alpha: cpu_milli is 0: a whole number"),
        ({"beta": {"node_address": "192.168.7.300"}}, "beta: node_address is 192.168.7.300: no IPv4 address"),
        ({"beta": {"node_address": "{{ ansible_host }}"}}, "beta: node_address is a template"),
        ({"beta": {"node_name": "Worker_1"}}, "beta: node_name is Worker_1: small letters"),
        ({"beta": {"pod_cidr": "10.244.1.1/24"}}, "beta: pod_cidr is no IPv4 range: 10.244.1.1/24 has host bits"),
        ({"gamma": {"node_name": "w1"}}, "gamma: node_name w1 is that of beta, too"),
        ({"gamma": {"node_address": "192.168.7.21"}}, "gamma: node_address 192.168.7.21 is that of beta, too"),
        ({"gamma": {"pod_cidr": "10.244.1.128/25"}}, "gamma: pod_cidr 10.244.1.128/25 overlaps that of beta"),
        ({"gamma": {"pod_cidr": "10.1.1.0/24"}}, "gamma: pod_cidr 10.1.1.0/24 is not in lab_pod_cidr 10.244.0.0/16"),
        ({"gamma": {"node_address": "10.0.0.1"}}, "gamma: node_address 10.0.0.1 is not in lab_node_cidr 192.168"),
        ({"gamma": {"node_address": "192.168.7.201"}}, "gamma: node_address 192.168.7.201 is in the pool of public"),
        ({"beta": {"lab_pod_cidr": "10.0.0.0/8"}}, "beta: lab_pod_cidr is not what it is for alpha"),
        ({"all_": {"lab_service_cidr": "10.244.0.0/20"}}, "alpha: lab_service_cidr 10.244.0.0/20 overlaps lab_pod"),
        ({"all_": {"lab_external_pool": "all of them"}}, "alpha: lab_external_pool is all of them: FIRST-LAST"),
        ({"all_": {"lab_external_pool": "10.0.0.1-10.0.0.9"}}, "alpha: lab_external_pool has 10.0.0.1: not in lab_n"),
        ({"all_": {"lab_dns_address": "10.0.0.1"}}, "alpha: lab_dns_address is 10.0.0.1: not in lab_service_cidr"),
        ({"all_": {"lab_api_port": 70000}}, "alpha: lab_api_port is 70000: a whole number from 1 to 65535"),
        ({"all_": {"lab_profile": "fast"}}, "alpha: lab_profile is fast: one of lab, kubernetes"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_mistake_is_named_with_its_host_and_variable(changes: dict[str, dict[str, Any]], words: str) -> None:
    with pytest.raises(FactsError, match=re.escape(words)):
        read(**changes)


def test_all_mistakes_are_said_at_once() -> None:
    with pytest.raises(FactsError) as error:
        read(alpha={"node_address": None}, beta={"pod_cidr": "x"}, gamma={"cpu_milli": -1})
    assert [host in str(error.value) for host in HOSTS] == [True] * 3


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        ({"masters": {}}, "the group masters has no host"),
        ({"masters": {"hosts": ["alpha", "beta"]}}, "the group masters has alpha, beta: it needs exactly one"),
        ({"masters": {"hosts": ["beta"]}}, "beta: is in both groups"),
        ({"workers": {}}, "the group workers has no host"),
        ({"cluster": {"children": ["workers"]}}, "alpha: is not in the group cluster"),
    ],
)
def test_groups_that_are_no_cluster_are_refused(groups: dict[str, Any], words: str) -> None:
    with pytest.raises(FactsError, match=words):
        own.lab(TABLE, {**listing(), **groups}, "mine", 4)


@pytest.mark.parametrize(
    ("values", "command"),
    [
        ({}, ["ssh", "beta"]),
        ({"ansible_host": "192.168.7.21", "ansible_user": "me"}, ["ssh", "-l", "me", "192.168.7.21"]),
        (
            {
                "ansible_host": "b.lan",
                "ansible_port": 2222,
                "ansible_ssh_private_key_file": "/k/id",
                "ansible_ssh_common_args": "-F '/my files/config'",
                "ansible_ssh_extra_args": "-o LogLevel=ERROR",
            },
            ["ssh", "-p", "2222", "-i", "/k/id", "-F", "/my files/config", "-o", "LogLevel=ERROR", "b.lan"],
        ),
    ],
)
def test_ssh_goes_the_way_that_ansible_goes(values: dict[str, Any], command: list[str]) -> None:
    assert own.ssh_command(listing(beta=values), "w1") == command


def test_a_machine_that_is_not_reached_by_ssh_says_so() -> None:
    with pytest.raises(FactsError, match="beta: ansible_connection is local"):
        own.ssh_command(listing(beta={"ansible_connection": "local"}), "w1")
