"""The API server's configuration file: flat TOML keys, checked at the start.

A file that can't be used is one clear line for whoever wrote it (`ConfigError`), never a traceback; `main` turns it
into exit code 2. Unknown keys are errors, so that a misspelt one isn't silently ignored.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import msgspec

from controlplane.api.profile import PROFILES


class ConfigError(Exception):
    """What is wrong with the configuration, for a person."""


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


def load(path: str) -> ServerConfig:
    """Reads and checks the file.

    Raises: ConfigError with one line that names the file and the key.
    """
    try:
        config = msgspec.toml.decode(Path(path).read_bytes(), type=ServerConfig)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from None
    problem = _problem(config)
    if problem:
        raise ConfigError(f"{path}: {problem}")
    return config


def _problem(config: ServerConfig) -> str | None:
    if config.profile not in PROFILES:
        return f"profile: {config.profile!r} is none of {', '.join(PROFILES)}"
    for name, kind in (("advertise_address", IPv4Address), ("service_cidr", IPv4Network), ("pod_cidr", IPv4Network)):
        try:
            kind(getattr(config, name))
        except ValueError as error:
            return f"{name}: {error}"
    try:
        ports = config.node_ports
    except ValueError:
        ports = range(0)
    if not ports or ports.start < 1 or ports.stop > 65536:
        return f"node_port_range: {config.node_port_range!r} is not a range such as 30000-32767"
    if not 0 <= config.port < 65536:
        return f"port: {config.port} is no port"
    files = [name for name in ServerConfig.__struct_fields__ if name.endswith("_file")]
    for name in files:
        value = getattr(config, name)
        if not Path(value).is_file():
            return f"{name}: {value} is not there"
    return None
