"""Role loadbalancer: the proxy and the back end of iptables."""

import json

from testinfra.host import Host

from tests.testinfra.conftest import Lab
from tests.testinfra.support import units

WORDS = {"nft": "nf_tables", "legacy": "legacy"}


def backend(host: Host) -> str:
    settings = host.file("/etc/kubelab/proxy.toml").content_string
    return next(word for word in WORDS if f'iptables_backend = "{word}"' in settings)


def test_the_proxy_runs(node: Host) -> None:
    proxy = units(node, "kubelab-proxy")["kubelab-proxy"]
    assert proxy.runs
    assert proxy.enabled
    assert proxy.comes_back
    assert proxy.properties["Type"] == "notify"
    assert proxy.memory_max.isdigit()


def test_everybody_on_the_node_uses_the_proxys_back_end(node: Host) -> None:
    word = WORDS[backend(node)]
    for command in ("iptables", "ip6tables", "iptables-save", "iptables-restore"):
        assert word in node.check_output(f"{command} --version")


def test_the_services_chains_are_in_the_kernel(node: Host) -> None:
    rules = node.check_output("iptables-save -t nat").splitlines()
    assert [rule for rule in rules if rule.startswith(":KUBE-SERVICES ")]
    for hook in ("PREROUTING", "OUTPUT"):
        assert [rule for rule in rules if rule.startswith(f"-A {hook} ") and "-j KUBE-SERVICES" in rule]


def test_other_nodes_pods_are_reached_through_their_nodes(node: Host, lab: Lab, name: str) -> None:
    routes = {row["dst"]: row.get("gateway") for row in json.loads(node.check_output("ip -json route show"))}
    for other in lab.nodes:
        expected = None if other == name else lab.of(other, "node_address")
        assert routes[lab.of(other, "pod_cidr")] == expected
