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
    """What was built on the host and goes onto the nodes."""

    wheelhouse: Path
    wheel: Path
    nerdctl: Path


def package_variables(wheelhouse: Path, nerdctl: Path) -> dict[str, str]:
    """What the package stage knows: no lab, no addresses, only what every lab shares."""
    return {"common_wheelhouse": str(wheelhouse), "containerd_nerdctl": str(nerdctl)}


def lab_variables(lab: Lab, artifacts: Artifacts, provider: str) -> Variables:
    """What every host of the lab is told, by the names of ansible/group_vars/cluster.yml and of the roles' defaults."""
    return {
        "lab_name": lab.name,
        "lab_provider": provider,
        "lab_client_address": lab.client_address,
        "timing_profile": lab.profile,
        "cluster_domain": lab.domain,
        "node_cidr": lab.node_range,
        "cluster_cidr": lab.pod_range,
        "service_cidr": lab.service_range,
        "external_pool": lab.pool,
        "service_kubernetes_address": lab.kubernetes_address,
        "service_dns_address": lab.dns_address,
        "api_port": lab.api_port,
        "kubelab_api_server": f"https://127.0.0.1:{lab.forward_port}",
        "registry_port": lab.registry_port,
        "common_wheelhouse": str(artifacts.wheelhouse),
        "common_wheel": str(artifacts.wheel),
        "containerd_nerdctl": str(artifacts.nerdctl),
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
    """The whole inventory. Shared variables stand at each host, since group_vars beside a playbook outrank a group's."""
    workers = [name for name in hosts if name not in masters]
    return {
        "all": {
            "children": {
                "cluster": {"children": {"masters": {}, "workers": {}}},
                "masters": {"hosts": {name: {**variables, **hosts[name]} for name in masters}},
                "workers": {"hosts": {name: {**variables, **hosts[name]} for name in workers}},
            },
        }
    }


def text(inventory: Variables) -> str:
    return "# Written by `make up` from ansible/lab.yml.\n" + json.dumps(inventory, indent=2) + "\n"
