"""The inventory that the roles get: the same shape for every provider."""

from pathlib import Path

import yaml

from lab import facts, inventory, paths

LAB = facts.lab(facts.load(paths.FACTS.read_text()), "kltest", 1, 2)
MADE = inventory.Artifacts(Path("/c/wheels"), Path("/c/w.whl"), Path("/c/nerdctl"), Path("/r/.lab/kltest"))


def whole() -> dict[str, object]:
    hosts = {
        node.name: inventory.node_variables(node, inventory.local_connection(node, Path("/r/ssh"), "host0"))
        for node in LAB.nodes
    }
    text = inventory.text(inventory.document(hosts, ["master"], inventory.lab_variables(LAB, MADE, "local")))
    parsed: dict[str, object] = yaml.safe_load(text)["all"]
    return parsed


def test_groups() -> None:
    children = whole()["children"]
    assert isinstance(children, dict)
    assert list(children["masters"]["hosts"]) == ["master"]
    assert list(children["workers"]["hosts"]) == ["worker-1", "worker-2"]
    assert set(children["cluster"]["children"]) == {"masters", "workers"}


def test_a_host_has_its_facts_and_its_way_in() -> None:
    children = whole()["children"]
    assert isinstance(children, dict)
    assert children["workers"]["hosts"]["worker-2"] == {
        "node_name": "worker-2",
        "node_address": "10.78.0.12",
        "pod_cidr": "10.243.2.0/24",
        "cpu_milli": 2000,
        "memory_bytes": 1 << 30,
        "disk_bytes": 8 << 30,
        "ansible_host": "10.78.0.12",
        "ansible_user": "root",
        "ansible_ssh_common_args": "-F /r/ssh",
        "ansible_python_interpreter": "/usr/bin/python3",
        "lab_interface": "host0",
    }


def test_the_labs_own_ranges_and_port_reach_the_roles() -> None:
    variables = whole()["vars"]
    assert isinstance(variables, dict)
    assert variables["lab_api_forward_port"] == 6444
    assert variables["lab_service_cidr"] == "10.97.0.0/16"
    assert variables["lab_pki_dir"] == "/r/.lab/kltest/pki"
