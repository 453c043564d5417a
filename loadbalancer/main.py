"""The daemon `kubelab-proxy`: wires informers, proxier and announcer together, and tells systemd when rules are in.

Runs on every node, as its own identity; reads Services, EndpointSlices and Nodes, writes nothing to the API. On the
way out it leaves rules, routes and addresses in place: traffic goes on while the daemon is replaced.
"""

from __future__ import annotations

import ipaddress
import logging
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from controlplane.api.addresspool import Pool
from controlplane.api.resources import ENDPOINT_SLICES, NODES, SERVICES
from controlplane.api.types import EndpointSlice, Node, Object, Service
from controlplane.client import Client, ClientConfig, Informer, SystemClock
from controlplane.daemon import event, load_config, notify, setup_logging
from loadbalancer import changes, external, proxier
from loadbalancer.arp import Arp
from loadbalancer.builder import Builder
from loadbalancer.commands import CommandError, run
from loadbalancer.conntrack import Conntrack
from loadbalancer.external import Announcer, InterfaceAddresses, wanted_addresses
from loadbalancer.iptables import BACKENDS, Backend, Iptables
from loadbalancer.proxier import Proxier
from loadbalancer.routes import Routes
from loadbalancer.rules import Facts

log = logging.getLogger(__name__)

WAIT_FOR_API_S = 10.0


class ProxyConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`proxy.toml`."""

    node_name: str
    node_address: str
    server: str
    ca_file: str
    cert_file: str
    key_file: str
    cluster_cidr: str
    pod_cidr: str
    service_cidr: str
    interface: str
    external_pool: str
    bridge: str = "kubelab0"
    iptables_backend: Backend = "nft"
    control_plane: bool = False
    run_dir: str = "/run/kubelab"

    def __post_init__(self) -> None:
        ipaddress.IPv4Address(self.node_address)
        pods = ipaddress.IPv4Network(self.pod_cidr)
        if not pods.subnet_of(ipaddress.IPv4Network(self.cluster_cidr)):
            raise ValueError(f"pod_cidr {self.pod_cidr} is not inside cluster_cidr {self.cluster_cidr}")
        ipaddress.IPv4Network(self.service_cidr)
        Pool.parse(self.external_pool)

    def facts(self) -> Facts:
        return Facts(
            node_name=self.node_name,
            cluster_cidr=self.cluster_cidr,
            pod_cidr=self.pod_cidr,
            service_cidr=self.service_cidr,
            bridge=self.bridge,
            node_addresses=(self.node_address,),
        )


@dataclass(frozen=True)
class Informers:
    """What the API server holds; the proxier's `State`."""

    of_services: Informer[Service]
    of_slices: Informer[EndpointSlice]
    of_nodes: Informer[Node]

    @classmethod
    def of(cls, client: Client) -> Informers:
        return cls(Informer(client, SERVICES), Informer(client, ENDPOINT_SLICES), Informer(client, NODES))

    @property
    def all(self) -> tuple[Informer[Any], ...]:
        return (self.of_services, self.of_slices, self.of_nodes)

    def services(self) -> list[Service]:
        return self.of_services.items()

    def slices(self) -> list[EndpointSlice]:
        return self.of_slices.items()

    def nodes(self) -> list[Node]:
        return self.of_nodes.items()


class Proxy:
    """The daemon's parts, ready to run."""

    def __init__(self, config: ProxyConfig) -> None:
        self._config = config
        self._pool = Pool.parse(config.external_pool)
        self._client = Client(
            ClientConfig(
                server=config.server,
                ca_file=config.ca_file,
                cert_file=config.cert_file,
                key_file=config.key_file,
                user_agent=f"kubelab-proxy/{config.node_name}",
            )
        )
        self._informers = Informers.of(self._client)
        self._stop = threading.Event()
        self._changed = threading.Event()
        self._wake_announcer = threading.Event()

    def run(self) -> None:
        """Runs until `stop`."""
        self._clear_other_backend()
        self._informers.of_services.add_handler(_calling(self._changed.set, self._wake_announcer.set))
        self._informers.of_slices.add_handler(_calling(self._changed.set))
        self._informers.of_nodes.add_handler(_on_network_change(self._changed.set))
        for informer in self._informers.all:
            informer.start()
        if self._wait_for_sync():
            announcing = threading.Thread(target=self._announce, name="announcer", daemon=True)
            announcing.start()
            proxier.run(self._proxier(), self._changed, self._stop, after_first=_ready)
            announcing.join(timeout=5)
        # The informers' threads only read: they end with the process.

    def stop(self) -> None:
        self._stop.set()
        self._changed.set()
        self._wake_announcer.set()

    def _wait_for_sync(self) -> bool:
        """Until every informer has its first list; false when told to stop. systemd hears that it isn't a hang."""
        for informer in self._informers.all:
            while not informer.synced(WAIT_FOR_API_S / 10):
                if self._stop.is_set():
                    return False
                notify(f"EXTEND_TIMEOUT_USEC={int(WAIT_FOR_API_S * 1e6)}\nSTATUS=waiting for the API server")
        return True

    def _proxier(self) -> Proxier:
        config = self._config
        return Proxier(
            state=self._informers,
            builder=Builder(config.facts(), config.node_address),
            rules=Iptables(config.iptables_backend, run),
            routes=Routes(config.interface, config.node_address, run),
            flows=Conntrack(run),
            clock=SystemClock(),
        )

    def _announce(self) -> None:
        config = self._config
        marker = Path(config.run_dir) / "fenced"
        announcer = Announcer(
            holder=InterfaceAddresses(config.interface, run),
            neighbours=Arp(config.interface),
            fenced=marker.exists,
            still_ours=self._still_ours,
            clock=SystemClock(),
        )
        external.run(announcer, self._wanted_addresses, self._wake_announcer, self._stop)

    def _wanted_addresses(self) -> dict[str, tuple[str, str]]:
        return wanted_addresses(self._informers.services(), self._config.node_name, self._pool)

    def _still_ours(self, address: str, key: tuple[str, str]) -> bool:
        """Asks the API server itself, since what the informer holds may be from before a fence."""
        service = self._client.get(SERVICES, key[1], key[0])
        return address in wanted_addresses([service], self._config.node_name, self._pool)

    def _clear_other_backend(self) -> None:
        """Each back end's rules count, so those that an earlier choice left behind would go on translating."""
        for backend in BACKENDS:
            if backend != self._config.iptables_backend:
                try:
                    if lines := Iptables(backend, run).repair(changes.without_rules()):
                        event(log, "other-backend-cleared", backend=backend, lines=lines)
                except CommandError as e:
                    event(log, "other-backend-not-cleared", level=logging.WARNING, backend=backend, error=e)


def _calling(*wakes: Callable[[], None]) -> Callable[[Object | None, Object | None], None]:
    def on_change(_old: Object | None, _new: Object | None) -> None:
        for wake in wakes:
            wake()

    return on_change


def _on_network_change(wake: Callable[[], None]) -> Callable[[Node | None, Node | None], None]:
    """Nodes change with every status; only their ranges and addresses matter here."""

    def network(node: Node | None) -> tuple[str, str] | None:
        return (node.spec.pod_cidr, node.internal_ip) if node else None

    def on_change(old: Node | None, new: Node | None) -> None:
        if network(old) != network(new):
            wake()

    return on_change


def _ready() -> None:
    notify("READY=1\nSTATUS=rules in place")
    event(log, "ready")


def main() -> int:
    setup_logging()
    config = load_config("kubelab-proxy", ProxyConfig)
    daemon = Proxy(config)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: daemon.stop())
    daemon.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
