"""How the end-to-end tests drive a running lab: from outside, with `make` and unmodified `kubectl`, as a user.

The lab is the one that `LAB` names (`make test` builds one of its own for it). Waiting is always for a condition
with a generous bound that only ends a hopeless wait: no test judges how long anything took.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import IO, Any, TypeVar

ROOT = Path(__file__).resolve().parents[2]
V = TypeVar("V")

IDLE = ("sh", "-c", "trap exit TERM; while :; do sleep 1; done")
"""A command that does nothing and ends when it is told to: PID 1 of a container has no default for TERM."""

WEB = Template("""
apiVersion: v1
kind: ReplicationController
metadata: {name: $name, labels: {app: $name}}
spec:
  replicas: $count
  selector: {app: $name}
  template:
    metadata: {labels: {app: $name}}
    spec:
      terminationGracePeriodSeconds: 2
      containers:
      - name: web
        image: web
        ports: [{containerPort: 80}]
        readinessProbe: {httpGet: {path: /, port: 80}, periodSeconds: 1}
        env:
        - {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
        - {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
        - {name: NODE_NAME, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
""")


def web(name: str, count: int) -> str:
    """The manifest of a ReplicationController whose pods answer with their name, node and address."""
    return WEB.substitute(name=name, count=count)


def eventually(what: str, probe: Callable[[], V | None], timeout_s: float = 60, every_s: float = 0.25) -> V:
    """The first true value of `probe`; fails with `what` and the last thing seen when it never comes."""
    deadline = time.monotonic() + timeout_s
    last: object = None
    while time.monotonic() < deadline:
        try:
            last = probe()
            if last:
                return last
        except (subprocess.CalledProcessError, KeyError, IndexError, ValueError) as error:
            last = getattr(error, "stderr", "") or error
        time.sleep(every_s)
    raise AssertionError(f"never seen: {what}; last: {str(last)[-800:]}")


@dataclass(frozen=True)
class Lab:
    """A running lab, by name."""

    name: str

    @property
    def state(self) -> Path:
        return ROOT / ".lab" / self.name

    # --- make ----------------------------------------------------------------------------------------------------

    def make(self, target: str, timeout_s: float = 300, check: bool = True, **variables: str) -> str:
        """`make TARGET LAB=… VAR=…`; its standard output."""
        words = [f"{key}={value}" for key, value in variables.items()]
        return self._run(["make", "--silent", "-C", str(ROOT), target, f"LAB={self.name}", *words], timeout_s, check)

    def client(self, command: str, check: bool = True) -> str:
        """A shell command on the machine that is in the lab's network but not in the cluster."""
        return self.make("client", CMD=command, check=check, timeout_s=60)

    def ssh(self, node: str, command: str, check: bool = True) -> str:
        return self.make("ssh", NODE=node, CMD=command, check=check, timeout_s=120)

    # --- kubectl -------------------------------------------------------------------------------------------------

    def kubectl(self, *words: str, stdin: str | None = None, check: bool = True, timeout_s: float = 120) -> str:
        """Unmodified kubectl as the lab's admin; its standard output."""
        return self._run([self.kubectl_binary, *words], timeout_s, check, stdin)

    @property
    def kubectl_binary(self) -> str:
        return str(Path(sys.executable).parent / "kubectl")

    def refused(self, *words: str, stdin: str | None = None) -> str:
        """What kubectl says when the server refuses; fails when it doesn't."""
        done = self.spawn(*words, stdin=subprocess.PIPE)
        _, err = done.communicate(stdin, timeout=60)
        assert done.returncode != 0, f"kubectl {' '.join(words)} was not refused"
        return err

    def spawn(self, *words: str, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
        """kubectl in the background (watches, follows); the caller ends it."""
        return subprocess.Popen(
            [self.kubectl_binary, *words],
            env=self.environment,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @contextmanager
    def background(self, *words: str) -> Iterator[IO[str]]:
        """kubectl while the block runs (watches, follows); what it prints, to be read line by line."""
        with self.spawn(*words) as process:
            assert process.stdout is not None
            try:
                yield process.stdout
            finally:
                process.kill()

    def get(self, *words: str) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.kubectl("get", *words, "-o", "json"))
        return answer

    def apply(self, manifest: str, namespace: str) -> None:
        self.kubectl("apply", "-n", namespace, "-f", "-", stdin=manifest)

    # --- what tests ask again and again --------------------------------------------------------------------------

    def pods(self, namespace: str, selector: str = "") -> list[dict[str, Any]]:
        words = ["pods", "-n", namespace, *(["-l", selector] if selector else [])]
        items: list[dict[str, Any]] = self.get(*words)["items"]
        return items

    def ready_pods(self, namespace: str, selector: str, count: int, timeout_s: float = 90) -> list[dict[str, Any]]:
        """Wait until exactly `count` live pods match and all are ready; them."""

        def probe() -> list[dict[str, Any]] | None:
            live = [p for p in self.pods(namespace, selector) if "deletionTimestamp" not in p["metadata"]]
            return live if len(live) == count and all(map(is_ready, live)) else None

        return eventually(f"{count} ready pods of {selector} in {namespace}", probe, timeout_s)

    def node_state(self, node: str) -> str:
        """The status of the node's Ready condition: True, False or Unknown."""
        conditions = self.get("node", node)["status"]["conditions"]
        return str(next(c["status"] for c in conditions if c["type"] == "Ready"))

    def await_node(self, node: str, state: str, timeout_s: float = 90) -> None:
        eventually(f"node {node} with Ready={state}", lambda: self.node_state(node) == state, timeout_s)

    def answers(self, url: str, tries: int = 60) -> set[str]:
        """The pods that answered `tries` requests of the client machine to a `web` service, by name."""
        command = f"for i in $(seq {tries}); do curl -s -m 2 {url}; echo; done"
        return {pod for line in self.client(command).splitlines() for pod in [pod_of(line)] if pod}

    def events(self, namespace: str) -> list[tuple[str, str]]:
        """(reason, message) of the namespace's events."""
        return [(e["reason"], e["message"]) for e in self.get("events", "-n", namespace)["items"]]

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "KUBECONFIG": str(self.state / "kubeconfig"), "LC_ALL": "C.UTF-8"}

    def _run(self, argv: Iterable[str], timeout_s: float, check: bool, stdin: str | None = None) -> str:
        done = subprocess.run(
            list(argv),
            env=self.environment,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        if check and done.returncode != 0:
            raise CommandFailed(done.returncode, list(argv), done.stdout, done.stderr)
        return done.stdout


class CommandFailed(subprocess.CalledProcessError):
    """A command of the test failed; shows what it said."""

    def __str__(self) -> str:
        return f"{super().__str__()}\n{self.output}\n{self.stderr}"


def pod_of(answer: str) -> str:
    """The pod's name in an answer of the `web` image, or an empty string."""
    words = dict(word.split("=", 1) for word in answer.split() if "=" in word)
    return words.get("pod", "")


def is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def names(pods: Iterable[dict[str, Any]]) -> set[str]:
    return {p["metadata"]["name"] for p in pods}


def uids(pods: Iterable[dict[str, Any]]) -> set[str]:
    return {p["metadata"]["uid"] for p in pods}


def nodes(pods: Iterable[dict[str, Any]]) -> set[str]:
    return {p["spec"].get("nodeName", "") for p in pods}
