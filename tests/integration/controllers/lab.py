"""A control plane without machines: the real API server, real managers, and agents that only say what agents say.

A `FakeAgent` registers a node, renews its lease and "runs" the pods bound to it: Running and Ready at once, gone
when they are deleted. It can be cut off (it then neither renews nor reads): what a power cut looks like from here.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from controlplane.api.errors import ApiError
from controlplane.api.resources import LEASES, NODES, PODS
from controlplane.api.types import Lease, LeaseSpec, ObjectMeta, Pod
from controlplane.client import Client, ClientConfig, Informer
from tests.support.server import REPOSITORY, RunningServer, running_server
from tests.support.toml import write_toml
from tests.support.waiting import eventually

LEASE_NAMESPACE = "kube-node-lease"
CONDITIONS = ("MemoryPressure", "DiskPressure", "PIDPressure")


def client_of(server: RunningServer, identity: str) -> Client:
    pair = server.credentials(identity)
    return Client(ClientConfig(server.url, str(server.ca), str(pair.cert), str(pair.key)))


class FakeAgent:
    """What a node's agent says to the API, without any container."""

    def __init__(
        self, client: Client, name: str, number: int, *, control_plane: bool = False, cpu: str = "2"
    ) -> None:
        self.name = name
        self._client = client
        self._number = number
        self._control_plane = control_plane
        self._cpu = cpu
        self._cut = threading.Event()
        self._stop = threading.Event()
        self._next_ip = 2
        self._threads: list[threading.Thread] = []
        self._pods: Informer[Pod] | None = None

    def start(self) -> FakeAgent:
        self.register()
        for target in (self._renew, self._run_pods):
            thread = threading.Thread(target=target, daemon=True)
            thread.start()
            self._threads.append(thread)
        return self

    def register(self) -> None:
        labels = {"kubernetes.io/hostname": self.name}
        role = "control-plane" if self._control_plane else "worker"
        labels[f"node-role.kubernetes.io/{role}"] = ""
        spec = {}
        if self._control_plane:
            spec = {"taints": [{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}]}
        try:
            self._client.create(NODES, {"metadata": {"name": self.name, "labels": labels}, "spec": spec})
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
        self.report()

    def report(self, ready: str = "True") -> None:
        """Posts the node's status, as an agent does at its start and when it finds itself Unknown."""
        at = datetime.now(UTC).replace(microsecond=0)
        room = {"cpu": self._cpu, "memory": "2Gi", "ephemeral-storage": "10Gi", "pods": "110"}
        conditions = [{"type": "Ready", "status": ready, "reason": "KubeletReady", "lastTransitionTime": at}]
        conditions += [{"type": t, "status": "False", "lastTransitionTime": at} for t in CONDITIONS]
        body = {"status": {"capacity": room, "allocatable": room, "conditions": conditions}}
        self._client.patch(NODES, ("", self.name), body, kind="strategic", subresource="status")

    def cut(self) -> None:
        """Power off, or no network."""
        self._cut.set()

    def heal(self) -> None:
        """Back: renews at once, then reports."""
        self._cut.clear()
        self._touch()
        self.report()

    def stop(self) -> None:
        self._stop.set()
        if self._pods is not None:
            self._pods.stop()
        for thread in self._threads:
            thread.join(timeout=5)

    def _renew(self) -> None:
        while not self._stop.is_set():
            if not self._cut.is_set():
                with suppress(ApiError):
                    self._touch()
            self._stop.wait(1.0)

    def _touch(self) -> None:
        lease = Lease(
            metadata=ObjectMeta(name=self.name, namespace=LEASE_NAMESPACE),
            spec=LeaseSpec(holder_identity=self.name, lease_duration_seconds=3, renew_time=datetime.now(UTC)),
        )
        try:
            self._client.update(LEASES, lease)
        except ApiError as error:
            if error.code != 404:
                raise
            self._client.create(LEASES, lease, LEASE_NAMESPACE)

    def _run_pods(self) -> None:
        self._pods = Informer(self._client, PODS, field_selector=f"spec.nodeName={self.name}")
        self._pods.start()
        while not self._stop.wait(0.03):
            if self._cut.is_set() or not self._pods.has_synced:
                continue
            for pod in self._pods.items():
                try:
                    self._sync(pod)
                except ApiError:
                    continue

    def _sync(self, pod: Pod) -> None:
        if pod.terminating:
            self._client.delete(PODS, pod.key, uid=pod.metadata.uid, grace_period_s=0)
        elif not pod.ready and not pod.finished:
            at = datetime.now(UTC).replace(microsecond=0)
            ip = pod.status.pod_ip or f"10.244.{self._number}.{self._next_ip}"
            self._next_ip += not pod.status.pod_ip
            status: dict[str, Any] = {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}], "startTime": at}
            status["conditions"] = [
                {"type": t, "status": "True", "lastTransitionTime": at} for t in ("Initialized", "Ready")
            ]
            self._client.patch(PODS, pod.key, {"status": status}, kind="strategic", subresource="status")


class ManagerProcess:
    """A real `kubelab-manager`."""

    def __init__(self, server: RunningServer, identity: str, **config: object) -> None:
        self.identity = identity
        scheduler, controllers = server.credentials("scheduler"), server.credentials("controllers")
        values = {
            "server": server.url, "ca_file": server.ca, "identity": identity,
            "scheduler_cert_file": scheduler.cert, "scheduler_key_file": scheduler.key,
            "controller_cert_file": controllers.cert, "controller_key_file": controllers.key, **config,
        }  # fmt: skip
        self.config = server.directory / f"manager-{identity}.toml"
        write_toml(self.config, values)
        self.log = server.directory / f"manager-{identity}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> ManagerProcess:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "controlplane.manager", "--config", str(self.config)],
                cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        return self

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def said(self, words: str) -> int:
        """How many lines of the log contain these words."""
        return sum(words in line for line in self.log.read_text().splitlines())

    def wait_working(self, times: int = 1) -> ManagerProcess:
        eventually(f"{self.identity} works\n{self.log.read_text()[-3000:]}", lambda: self.said("working ") >= times)
        return self

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.process.returncode


class Lab:
    """The API server, its managers and agents, and what tests ask of them."""

    def __init__(self, server: RunningServer, stack: ExitStack) -> None:
        self.server = server
        self.client = client_of(server, "admin")
        self._stack = stack
        self._numbers = iter(range(1, 250))

    def manager(self, identity: str = "master", **config: object) -> ManagerProcess:
        made = ManagerProcess(self.server, identity, **config)
        self._stack.callback(made.stop)
        return made.start()

    def agent(self, name: str, **config: Any) -> FakeAgent:
        made = FakeAgent(client_of(self.server, f"node:{name}"), name, next(self._numbers), **config)
        self._stack.callback(made.stop)
        return made.start()

    def machines(self, workers: int, **config: Any) -> dict[str, FakeAgent]:
        """A master and so many workers."""
        made = {"master": self.agent("master", control_plane=True)}
        return made | {f"worker-{n}": self.agent(f"worker-{n}", **config) for n in range(1, workers + 1)}

    def create(self, path: str, obj: dict[str, Any]) -> Any:
        return self.client.post(path, obj)

    def pods(self, **labels: str) -> list[Pod]:
        selector = ",".join(f"{k}={v}" for k, v in labels.items())
        return self.client.list(PODS, "default", label_selector=selector).items

    def ready(self, count: int, **labels: str) -> list[Pod]:
        """Waits until exactly so many pods are there, all ready."""

        def check() -> list[Pod] | None:
            found = self.pods(**labels)
            return found if len(found) == count and all(p.ready and not p.terminating for p in found) else None

        found = eventually(f"{count} pods ready: {[(p.metadata.name, p.status) for p in self.pods(**labels)]}", check)
        return list(found)

    def rc(self, name: str, replicas: int, **pod_spec: Any) -> None:
        labels = {"app": name}
        spec = {"containers": [{"name": "c", "image": "web"}], **pod_spec}
        template = {"metadata": {"labels": labels}, "spec": spec}
        body = {"replicas": replicas, "selector": labels, "template": template}
        self.create(
            "/api/v1/namespaces/default/replicationcontrollers",
            {"apiVersion": "v1", "kind": "ReplicationController", "metadata": {"name": name}, "spec": body},
        )

    def events(self, reason: str, name: str = "") -> list[str]:
        """Messages of the events with this reason about objects of this name, in the order of their first time."""
        session = self.server.session("admin")
        items = session.get("/api/v1/events").json()["items"]
        return [
            e["message"] for e in items if e["reason"] == reason and name in ("", e["involvedObject"].get("name"))
        ]


@contextmanager
def running_lab(directory: Path) -> Iterator[Lab]:
    """An API server with nothing beside it yet."""
    with running_server(directory) as server, ExitStack() as stack:
        yield Lab(server, stack)
