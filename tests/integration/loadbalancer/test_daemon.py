"""The whole daemon on two nodes, against a real API server: what a user changes there, the network does."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from requests import Response

from loadbalancer.chains import is_ours
from loadbalancer.changes import parse
from loadbalancer.iptables import Backend
from tests.integration.loadbalancer import network
from tests.integration.loadbalancer.network import (
    CLIENT,
    CLUSTER,
    NODE_A,
    NODE_B,
    NODES,
    POD_1,
    POD_2,
    SERVICES,
    Forward,
    Namespace,
    ask,
)
from tests.support.server import REPOSITORY, RunningServer, running_server
from tests.support.toml import write_toml
from tests.support.waiting import eventually

pytestmark = pytest.mark.root

PUBLIC = "10.77.0.200"


class Daemon:
    """`kubelab-proxy` on a node."""

    def __init__(self, node: Namespace, server: RunningServer, backend: Backend, directory: Path) -> None:
        self.node = node
        self._directory = directory / node.short
        self._directory.mkdir()
        self.fenced = self._directory / "fenced"
        pair = server.credentials(f"proxy:{node.short}")
        values = {
            "node_name": node.short,
            "node_address": node.address,
            "server": server.url,
            "ca_file": server.ca,
            "cert_file": pair.cert,
            "key_file": pair.key,
            "cluster_cidr": CLUSTER,
            "pod_cidr": node.pod_cidr,
            "service_cidr": SERVICES,
            "interface": "eth0",
            "external_pool": "10.77.0.200-10.77.0.250",
            "iptables_backend": backend,
            "run_dir": self._directory,
        }
        self._config = write_toml(self._directory / "proxy.toml", values)
        self.log = self._directory / "log"

    def start(self) -> None:
        """Starts it and waits until it says that its rules are in place."""
        path = self._directory / "notify"
        path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify, self.log.open("ab") as log:
            notify.bind(str(path))
            notify.settimeout(20)
            command = [sys.executable, "-m", "loadbalancer.main", "--config", str(self._config)]
            self.process = subprocess.Popen(
                ["nsenter", f"--net={self.node.path}", *command],
                cwd=REPOSITORY,
                env={"NOTIFY_SOCKET": str(path), "PATH": "/usr/sbin:/usr/bin"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
            while not notify.recv(1000).startswith(b"READY=1"):
                pass

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.process.wait(timeout=10)

    def held(self) -> bool:
        return PUBLIC in self.node.run(["ip", "-4", "addr", "show", "dev", "eth0", "label", "eth0:lb"])


class Cluster:
    """Objects in the API, and both daemons."""

    def __init__(self, server: RunningServer, daemons: dict[Namespace, Daemon], backend: Backend) -> None:
        self._api = server.session("admin")
        self.server = server
        self.daemons = daemons
        self.backend = backend

    def call(self, method: str, path: str, body: object = None, patch: str = "merge") -> Response:
        kind = f"application/{patch}-patch+json" if method == "PATCH" else "application/json"
        answer = self._api.request(method, path, json=body, headers={"Content-Type": kind})
        assert answer.ok, answer.text
        return answer

    def add_node(self, node: Namespace) -> None:
        meta = {"name": node.short}
        self.call("POST", "/api/v1/nodes", {"metadata": meta, "spec": {"podCIDR": node.pod_cidr}})
        status = {"addresses": [{"type": "InternalIP", "address": node.address}]}
        self.call("PATCH", f"/api/v1/nodes/{node.short}/status", {"status": status})

    def add_service(self, name: str, **spec: Any) -> dict[str, Any]:
        ports = [{"name": "http", "port": 80, "targetPort": 8080}]
        body = {"metadata": {"name": name}, "spec": {"ports": ports, **spec}}
        made: dict[str, Any] = self.call("POST", "/api/v1/namespaces/default/services", body).json()
        return made

    def set_endpoints(self, service: str, ready: dict[Namespace, bool], create: bool = False) -> None:
        endpoints = [{"addresses": [p.address], "conditions": {"ready": r}} for p, r in ready.items()]
        body = {
            "metadata": {"name": f"{service}-x", "labels": {"kubernetes.io/service-name": service}},
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
            "endpoints": endpoints,
        }
        path = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
        if create:
            self.call("POST", path, body)
        else:
            self.call("PATCH", f"{path}/{service}-x", {"endpoints": endpoints})

    def announce(self, service: str, node: Namespace) -> None:
        annotations = {"kubelab.io/announced-by": node.short}
        self.call(
            "PATCH", f"/api/v1/namespaces/default/services/{service}", {"metadata": {"annotations": annotations}}
        )


@pytest.fixture(scope="module")
def cluster(backend: Backend, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    directory = tmp_path_factory.mktemp("proxy")
    with contextlib.ExitStack() as stack:
        stack.callback(network.remove)
        network.build()
        for pod in network.PODS:
            stack.callback(network.Answering(pod).close)
        (directory / "api").mkdir()
        server = stack.enter_context(running_server(directory / "api"))
        for node in NODES:
            stack.callback(Forward(node, server.port).close)
        daemons = {node: Daemon(node, server, backend, directory) for node in NODES}
        made = Cluster(server, daemons, backend)
        for node in NODES:
            made.add_node(node)
        for daemon in daemons.values():
            daemon.start()
            stack.callback(daemon.end)
        yield made


@pytest.fixture
def web(cluster: Cluster) -> Iterator[int]:
    """The node port of a Service with two endpoints and a public address that node A announces."""
    made = cluster.add_service("web", type="LoadBalancer")
    cluster.set_endpoints("web", {POD_1: True, POD_2: True}, create=True)
    status = {"status": {"loadBalancer": {"ingress": [{"ip": PUBLIC}]}}}
    cluster.call("PATCH", "/api/v1/namespaces/default/services/web/status", status)
    cluster.announce("web", NODE_A)
    port = int(made["spec"]["ports"][0]["nodePort"])
    eventually(
        "both nodes lead to both pods",
        lambda: answers(NODE_A.address, port) == answers(NODE_B.address, port) == {"p1", "p2"},
    )
    yield port
    cluster.call("DELETE", "/api/v1/namespaces/default/services/web")
    cluster.call("DELETE", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/web-x")
    eventually("nobody holds the address", lambda: not any(daemon.held() for daemon in cluster.daemons.values()))


def answers(address: str, port: int) -> set[str]:
    """Who answers the public there, in 20 tries; empty when nobody does."""
    try:
        return {ask(CLIENT, address, port, timeout_s=0.5).split()[0] for _ in range(20)}
    except OSError:
        return set()


def both_answer(port: int) -> set[str]:
    """Who answers on either node; empty while the two differ."""
    a, b = answers(NODE_A.address, port), answers(NODE_B.address, port)
    return a if a == b else set()


def rules(cluster: Cluster, node: Namespace) -> dict[str, dict[str, tuple[str, ...]]]:
    saved = parse(node.run([f"iptables-{cluster.backend}-save"]))
    return {t: {c: r for c, r in found.items() if is_ours(c)} for t, found in saved.items()}


def test_an_endpoint_that_is_no_longer_ready_gets_no_more_connections(cluster: Cluster, web: int) -> None:
    cluster.set_endpoints("web", {POD_1: True, POD_2: False})
    eventually(
        "both nodes lead to the ready one",
        lambda: answers(NODE_A.address, web) == answers(NODE_B.address, web) == {"p1"},
    )
    cluster.set_endpoints("web", {POD_1: True, POD_2: True})
    eventually("both pods answer", lambda: answers(NODE_A.address, web) == {"p1", "p2"})


def test_the_public_address_moves_with_its_annotation(cluster: Cluster, web: int) -> None:
    a, b = cluster.daemons.values()
    eventually("the public address answers", lambda: answers(PUBLIC, 80) == {"p1", "p2"})
    assert (a.held(), b.held()) == (True, False)
    cluster.announce("web", NODE_B)
    eventually("b holds the address", b.held)
    assert not a.held()
    eventually("the client has heard of it", lambda: answers(PUBLIC, 80) == {"p1", "p2"}, timeout_s=5)


def test_a_fenced_node_drops_its_public_address_and_takes_it_again_afterwards(cluster: Cluster, web: int) -> None:
    a = cluster.daemons[NODE_A]
    eventually("a holds the address", a.held)
    a.fenced.touch()
    eventually("a lets the address go", lambda: not a.held())
    assert answers(NODE_A.address, web) == {"p1", "p2"}
    a.fenced.unlink()
    eventually("a holds the address", a.held)


def test_a_foreign_flush_is_repaired_within_five_seconds(cluster: Cluster, web: int) -> None:
    before = rules(cluster, NODE_A)
    NODE_A.run([f"iptables-{cluster.backend}", "--wait", "-F"])
    NODE_A.run([f"iptables-{cluster.backend}", "--wait", "-t", "nat", "-F"])
    eventually("the rules are back", lambda: rules(cluster, NODE_A) == before, timeout_s=5.0)
    assert answers(NODE_A.address, web) == {"p1", "p2"}


def test_killed_and_started_again_it_leaves_no_gap_and_changes_nothing(cluster: Cluster, web: int) -> None:
    a = cluster.daemons[NODE_A]
    eventually("a holds the address", a.held)
    before = rules(cluster, NODE_A)
    a.end(signal.SIGKILL)
    assert rules(cluster, NODE_A) == before
    assert a.held()
    assert answers(PUBLIC, 80) == {"p1", "p2"}
    so_far = len(a.log.read_text())
    a.start()
    assert rules(cluster, NODE_A) == before
    assert a.held()
    assert "rules lines=" not in a.log.read_text()[so_far:]


def test_it_ends_cleanly_and_leaves_the_rules(cluster: Cluster, web: int) -> None:
    b = cluster.daemons[NODE_B]
    assert b.end(signal.SIGTERM) == 0
    assert answers(NODE_B.address, web) == {"p1", "p2"}
    b.start()


def test_a_route_stays_for_as_long_as_the_node_object(cluster: Cluster) -> None:
    def routed() -> bool:
        return f"{NODE_B.pod_cidr} via {NODE_B.address}" in NODE_A.run(["ip", "route"])

    eventually("there is a route", routed)
    cluster.call("DELETE", f"/api/v1/nodes/{NODE_B.short}")
    eventually("the route is gone", lambda: not routed())
    cluster.add_node(NODE_B)
    eventually("there is a route", routed)


def test_without_the_api_server_everything_goes_on(cluster: Cluster, web: int) -> None:
    cluster.server.kill()
    try:
        NODE_A.run([f"iptables-{cluster.backend}", "--wait", "-t", "nat", "-F", "KUBE-SERVICES"])
        eventually("both pods answer", lambda: answers(NODE_A.address, web) == {"p1", "p2"}, timeout_s=5.0)
        assert answers(PUBLIC, 80) == {"p1", "p2"}
    finally:
        cluster.server.start()
    cluster.set_endpoints("web", {POD_1: True, POD_2: False})
    eventually("only the ready one answers", lambda: answers(NODE_A.address, web) == {"p1"})
