"""The Ansible inventory of a lab, made from the node table: the same groups and variables for every provider.

Pure, but for the paths that it passes on. JSON is YAML, so the file is written without a YAML library.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.facts import Lab, Node

Variables = dict[str, object]


@dataclass(frozen=True)
class Artifacts:
    """What was built on the host and goes onto the nodes, and the lab's own folder."""

    wheelhouse: Path
    wheel: Path
    nerdctl: Path
    folder: Path


def package_variables(wheelhouse: Path, nerdctl: Path) -> dict[str, str]:
    """What the package stage knows: no lab, no addresses, only what every lab shares."""
    return {"lab_wheelhouse": str(wheelhouse), "lab_nerdctl": str(nerdctl)}


def lab_variables(lab: Lab, artifacts: Artifacts, provider: str) -> Variables:
    """What every host of the lab is told; ansible/group_vars/cluster.yml maps it to what the roles use."""
    return {
        "lab_name": lab.name,
        "lab_provider": provider,
        "lab_profile": lab.profile,
        "lab_domain": lab.domain,
        "lab_node_cidr": lab.node_range,
        "lab_pod_cidr": lab.pod_range,
        "lab_service_cidr": lab.service_range,
        "lab_client_address": lab.client_address,
        "lab_external_pool": lab.pool,
        "lab_service_address": lab.kubernetes_address,
        "lab_dns_address": lab.dns_address,
        "lab_api_port": lab.api_port,
        "lab_api_forward_port": lab.forward_port,
        "lab_agent_port": lab.agent_port,
        "lab_registry_port": lab.registry_port,
        "lab_wheelhouse": str(artifacts.wheelhouse),
        "lab_wheel": str(artifacts.wheel),
        "lab_nerdctl": str(artifacts.nerdctl),
        "lab_pki_dir": str(artifacts.folder / "pki"),
        "lab_kubeconfig": str(artifacts.folder / "kubeconfig"),
    }


def node_variables(node: Node, connection: Variables) -> Variables:
    """The variables of one host."""
    return {
        "node_name": node.name,
        "node_address": node.address,
        "pod_cidr": node.pod_cidr,
        "cpu_milli": node.cpu_milli,
        "memory_bytes": node.memory_bytes,
        "disk_bytes": node.disk_bytes,
        **connection,
    }


def local_connection(node: Node, config: Path, interface: str) -> Variables:
    """How a local machine is reached: as root, by the lab's ssh configuration."""
    return {
        "ansible_host": node.address,
        "ansible_user": "root",
        "ansible_ssh_common_args": f"-F {config}",
        "ansible_python_interpreter": "/usr/bin/python3",
        "lab_interface": interface,
    }


def document(hosts: Mapping[str, Variables], masters: list[str], variables: Variables) -> Variables:
    """The whole inventory."""
    workers = [name for name in hosts if name not in masters]
    return {
        "all": {
            "vars": variables,
            "children": {
                "cluster": {"children": {"masters": {}, "workers": {}}},
                "masters": {"hosts": {name: hosts[name] for name in masters}},
                "workers": {"hosts": {name: hosts[name] for name in workers}},
            },
        }
    }


def text(inventory: Variables) -> str:
    return "# Written by `make up` from ansible/lab.toml.\n" + json.dumps(inventory, indent=2) + "\n"
