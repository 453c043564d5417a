"""The manager's configuration file, `/etc/kubelab/manager.toml`; flat keys, unknown ones are refused."""

from __future__ import annotations

import msgspec

from controlplane.api.addresspool import Pool
from controlplane.api.profile import profile


class ManagerConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What `kubelab-manager --config FILE` reads."""

    server: str
    ca_file: str
    scheduler_cert_file: str
    scheduler_key_file: str
    controller_cert_file: str
    controller_key_file: str
    identity: str
    """Who holds the leader's lease: the host's name."""
    profile: str = "lab"
    load_balancer_pool: str = "10.77.0.200-10.77.0.250"
    """Addresses for Services of type LoadBalancer: ranges and single ones, with commas between."""
    lease_duration_s: float = 3.0
    """A standby takes over when it has seen no renewal for this long."""
    events_kept: int = 10_000
    """The newest events that stay in the API."""

    def __post_init__(self) -> None:
        """Raises: ValueError that names the key."""
        profile(self.profile)
        Pool.parse(self.load_balancer_pool)
