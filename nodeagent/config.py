"""The agent's configuration: one flat TOML file that the `nodeagent` role writes, decoded strictly.

`main.py` and `watchdog.py` read the same file; the watchdog only the few keys it needs, with `tomllib`.
"""

from __future__ import annotations

import msgspec


class AgentConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a node's agent must be told; it never measures the machine to find its capacity."""

    node_name: str
    node_address: str
    server: str
    ca_file: str
    cert_file: str
    key_file: str
    serving_cert_file: str
    serving_key_file: str
    cpu_milli: int
    memory_bytes: int
    disk_bytes: int
    pod_cidr: str
    interface: str = ""
    listen_port: int = 10250
    max_pods: int = 110
    control_plane: bool = False
    profile: str = "lab"
    root_dir: str = "/var/lib/kubelet"
    run_dir: str = "/run/kubelab"
    nerdctl: str = "/usr/local/bin/nerdctl"
    runtime: str = "/usr/local/lib/kubelab/runc-pod"
    network: str = "kubelab"
    cluster_dns: str = ""
    """The address of the cluster's name server, for pods with the DNS policy ClusterFirst; empty: the node's own."""
    cluster_domain: str = "cluster.local"
    sandbox_image: str = "docker.io/library/pause:latest"
    cgroup_parent: str = "/kubelab"
    log_max_size: str = "10m"
    log_max_files: int = 3
    workers: int = 4
