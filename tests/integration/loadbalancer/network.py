"""A small lab of network namespaces: two nodes and a client on one switch, pods behind the nodes.

            klh8-net: br0
      eth0 /      | eth0  \\ eth0
    klh8-a     klh8-b    klh8-c          10.77.0.11, .12 and .9 (c is the public: it is no node)
   kubelab0    kubelab0
   |     |        |
  p1    p3       p2                      10.244.1.2, 10.244.1.3 and 10.244.2.2

Nothing here leaves the namespaces. A socket is made in a namespace by visiting it; it stays there when we leave.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import socket
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from loadbalancer.commands import CommandError, run

PREFIX = "klh8-"
CLUSTER, SERVICES = "10.244.0.0/16", "10.96.0.0/16"
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Namespace:
    """One machine (or pod) of the network."""

    short: str
    address: str
    gateway: str = ""
    pod_cidr: str = ""

    @property
    def name(self) -> str:
        return PREFIX + self.short

    @property
    def path(self) -> str:
        return f"/run/netns/{self.name}"

    def run(self, args: Sequence[str], stdin: str = "", timeout_s: float = 30.0) -> str:
        """Runs a tool in this namespace; a `commands.Run`."""
        return run(["nsenter", f"--net={self.path}", *args], stdin, timeout_s)

    @contextlib.contextmanager
    def visited(self) -> Iterator[None]:
        """This thread is in the namespace meanwhile."""
        with open("/proc/thread-self/ns/net") as home, open(self.path) as there:
            _setns(there.fileno())
            try:
                yield
            finally:
                _setns(home.fileno())

    def socket(self, kind: socket.SocketKind) -> socket.socket:
        with self.visited():
            made = socket.socket(socket.AF_INET, kind)
        made.settimeout(3)
        return made


def _setns(descriptor: int) -> None:
    if _libc.setns(descriptor, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


NODE_A = Namespace("a", "10.77.0.11", pod_cidr="10.244.1.0/24")
NODE_B = Namespace("b", "10.77.0.12", pod_cidr="10.244.2.0/24")
CLIENT = Namespace("c", "10.77.0.9")
POD_1 = Namespace("p1", "10.244.1.2", gateway="10.244.1.1")
POD_3 = Namespace("p3", "10.244.1.3", gateway="10.244.1.1")
POD_2 = Namespace("p2", "10.244.2.2", gateway="10.244.2.1")
SWITCH = Namespace("net", "")
NODES, PODS = (NODE_A, NODE_B), (POD_1, POD_2, POD_3)
ALL = (SWITCH, *NODES, CLIENT, *PODS)
HOST_OF = {POD_1: NODE_A, POD_3: NODE_A, POD_2: NODE_B}


def build() -> None:
    """Makes the whole network; whatever an earlier run left is removed before."""
    remove()
    for namespace in ALL:
        run(["ip", "netns", "add", namespace.name])
        namespace.run(["ip", "link", "set", "lo", "up"])
    SWITCH.run(["ip", "link", "add", "br0", "type", "bridge"])
    SWITCH.run(["ip", "link", "set", "br0", "up"])
    for machine in (*NODES, CLIENT):
        _plug(machine, SWITCH, "br0")
        machine.run(["ip", "addr", "add", f"{machine.address}/24", "dev", "eth0"])
    for node in NODES:
        node.run(["sysctl", "-qw", "net.ipv4.ip_forward=1", "net.bridge.bridge-nf-call-iptables=1"])
        node.run(["ip", "link", "add", "kubelab0", "type", "bridge"])
        node.run(["ip", "addr", "add", node.pod_cidr.replace(".0/", ".1/"), "dev", "kubelab0"])
        node.run(["ip", "link", "set", "kubelab0", "up"])
    for pod in PODS:
        node = HOST_OF[pod]
        _plug(pod, node, "kubelab0")
        node.run(["bridge", "link", "set", "dev", pod.short, "hairpin", "on"])
        pod.run(["ip", "addr", "add", f"{pod.address}/24", "dev", "eth0"])
        pod.run(["ip", "route", "add", "default", "via", pod.gateway])
    # The public, curious: it tries the nodes as the way to what isn't published.
    CLIENT.run(["ip", "route", "add", CLUSTER, "via", NODE_A.address])
    CLIENT.run(["ip", "route", "add", SERVICES, "via", NODE_A.address])


def _plug(machine: Namespace, into: Namespace, bridge: str) -> None:
    link = ["ip", "link", "add", "eth0", "netns", machine.name, "type", "veth", "peer", "name", machine.short]
    run([*link, "netns", into.name])
    into.run(["ip", "link", "set", "dev", machine.short, "master", bridge, "up"])
    machine.run(["ip", "link", "set", "eth0", "up"])


def remove() -> None:
    for namespace in ALL:
        with contextlib.suppress(CommandError):
            run(["ip", "netns", "del", namespace.name])


class Answering:
    """Servers in a pod that answer every TCP connection and every datagram with `POD CLIENT-ADDRESS`."""

    def __init__(self, where: Namespace, port: int = 8080) -> None:
        self._where = where
        self._tcp = where.socket(socket.SOCK_STREAM)
        self._tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._udp = where.socket(socket.SOCK_DGRAM)
        for listener in (self._tcp, self._udp):
            listener.settimeout(None)
            listener.bind(("0.0.0.0", port))
        self._tcp.listen(64)
        self._threads = [threading.Thread(target=t, daemon=True) for t in (self._serve_tcp, self._serve_udp)]
        for thread in self._threads:
            thread.start()

    def _answer(self, client: tuple[str, int]) -> bytes:
        return f"{self._where.short} {client[0]}".encode()

    def _serve_tcp(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, client = self._tcp.accept()
                with connection:
                    connection.sendall(self._answer(client))

    def _serve_udp(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                data, client = self._udp.recvfrom(2048)
                if not data:
                    return
                self._udp.sendto(self._answer(client), client)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._tcp.shutdown(socket.SHUT_RDWR)
        with self._where.socket(socket.SOCK_DGRAM) as farewell:
            farewell.sendto(b"", ("127.0.0.1", self._udp.getsockname()[1]))
        for thread in self._threads:
            thread.join(timeout=5)
        self._tcp.close()
        self._udp.close()


def ask(who: Namespace, address: str, port: int, timeout_s: float = 3.0) -> str:
    """One TCP connection; the answer. Raises: ConnectionRefusedError, TimeoutError."""
    with who.socket(socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_s)
        connection.connect((address, port))
        return connection.recv(100).decode()


def ask_udp(asking: socket.socket, address: str, port: int) -> str:
    """One datagram from a socket that may have asked before; the answer. Raises: TimeoutError."""
    asking.sendto(b"?", (address, port))
    return asking.recv(100).decode()


class Forward:
    """A port on a node's loopback that leads to a port on ours: how a node's daemon reaches a server of the test."""

    def __init__(self, where: Namespace, port: int) -> None:
        self._port = port
        self._listener = where.socket(socket.SOCK_STREAM)
        self._listener.settimeout(None)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", port))
        self._listener.listen(32)
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                inner, _ = self._listener.accept()
                threading.Thread(target=_join, args=(inner, self._port), daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(timeout=5)
        self._listener.close()


def _join(inner: socket.socket, port: int) -> None:
    """Copies both ways until either side ends."""
    with inner, contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as outer:
        other = {inner: outer, outer: inner}
        while True:
            for ready in select.select(list(other), [], [])[0]:
                data = ready.recv(65536)
                if not data:
                    return
                other[ready].sendall(data)
