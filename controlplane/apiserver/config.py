"""The API server's configuration file, `/etc/kubelab/apiserver.toml`: flat keys, checked when they are read.

Unknown keys are errors, so that a misspelt one isn't silently ignored. `controlplane.daemon.load_config` reads it and
turns what is wrong into one line.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import msgspec

from controlplane.api.profile import profile


class ServerConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The keys of apiserver.toml."""

    advertise_address: str
    tls_cert_file: str
    tls_key_file: str
    client_ca_file: str
    kubelet_client_cert_file: str
    kubelet_client_key_file: str
    kubelet_ca_file: str
    service_account_key_file: str
    listen_address: str = "0.0.0.0"  # noqa: S104 (the API is what the master serves, over TLS only)
    port: int = 6443
    redis_socket: str = "/run/kubelab-redis/redis.sock"
    lease_redis_socket: str = "/run/kubelab-redis-leases/redis.sock"
    redis_password_file: str = "/etc/kubelab/redis.password"  # noqa: S105 (a path)
    service_cidr: str = "10.96.0.0/16"
    pod_cidr: str = "10.244.0.0/16"
    node_port_range: str = "30000-32767"
    cluster_domain: str = "cluster.local"
    profile: str = "lab"
    state_dir: str = "/var/lib/kubelab/apiserver"
    kubelet_port: int = 10250

    def __post_init__(self) -> None:
        """Raises: ValueError that names the key."""
        profile(self.profile)
        if not 0 <= self.port < 65536:
            raise ValueError(f"port: {self.port} is no port")
        self._check_addresses()
        self._check_node_ports()
        self._check_files()

    @property
    def services(self) -> IPv4Network:
        return IPv4Network(self.service_cidr)

    @property
    def node_ports(self) -> range:
        first, last = (int(part) for part in self.node_port_range.split("-"))
        return range(first, last + 1)

    @property
    def issuer(self) -> str:
        """Issuer and default audience of service account tokens."""
        return f"https://kubernetes.default.svc.{self.cluster_domain}"

    def read_password(self) -> str:
        return Path(self.redis_password_file).read_text().strip()

    def _check_addresses(self) -> None:
        for name, kind in (
            ("advertise_address", IPv4Address),
            ("service_cidr", IPv4Network),
            ("pod_cidr", IPv4Network),
        ):
            try:
                kind(getattr(self, name))
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None

    def _check_node_ports(self) -> None:
        try:
            ports = self.node_ports
        except ValueError:
            ports = range(0)
        if not ports or ports.start < 1 or ports.stop > 65536:
            raise ValueError(f"node_port_range: {self.node_port_range!r} is not a range such as 30000-32767")

    def _check_files(self) -> None:
        for name in self.__struct_fields__:
            if name.endswith("_file") and not Path(getattr(self, name)).is_file():
                raise ValueError(f"{name}: {getattr(self, name)} is not there")
