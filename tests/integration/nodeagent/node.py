"""The agent as a process on the test machine, and what tests ask about it and its pods."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.integration.nodeagent.machine import GATEWAY, POD_CIDR, Machine
from tests.support.server import REPOSITORY, RunningServer

NAME = "worker-1"
WAIT_S = 60.0
_RUNC_POD = REPOSITORY / "ansible/roles/containerd/files/runc-pod"

Pod = dict[str, Any]


class Node:
    """One agent. Its address is the bridge's, so that the API server reaches it for logs."""

    def __init__(self, machine: Machine, server: RunningServer, folder: Path) -> None:
        self.machine = machine
        self.server = server
        self.folder = folder
        self.api = server.session("admin")
        self.log = folder / "agent.log"
        self.process: subprocess.Popen[bytes] | None = None
        runtime = folder / "runc-pod"
        shutil.copy(_RUNC_POD, runtime)
        runtime.chmod(0o755)
        self._write_config(runtime)

    def _write_config(self, runtime: Path) -> None:
        client = self.server.credentials(f"node:{NAME}")
        serving = self.server.authority.server("kubelet-server", (GATEWAY,), (NAME,))
        values: dict[str, str | int] = {
            "node_name": NAME,
            "node_address": GATEWAY,
            "server": self.server.url,
            "ca_file": str(self.server.ca),
            "cert_file": str(client.cert),
            "key_file": str(client.key),
            "serving_cert_file": str(serving.cert),
            "serving_key_file": str(serving.key),
            "cpu_milli": 2000,
            "memory_bytes": 1024**3,
            "disk_bytes": 10 * 1024**3,
            "pod_cidr": POD_CIDR,
            "root_dir": str(self.folder / "kubelet"),
            "run_dir": str(self.folder / "run"),
            "nerdctl": self.machine.nerdctl[-1],
            "runtime": str(runtime),
            "cgroup_parent": self.machine.cgroup_parent,
            "log_max_size": "20k",
        }
        lines = [f"{k} = {v}" if isinstance(v, int) else f'{k} = "{v}"' for k, v in values.items()]
        (self.folder / "agent.toml").write_text("\n".join(lines) + "\n")

    # --- the process ---------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the agent and wait until its node is Ready."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "nodeagent.main", "--config", str(self.folder / "agent.toml")],
                cwd=REPOSITORY,
                env={**os.environ, "NERDCTL_TOML": f"{self.machine.root}/nerdctl.toml"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.wait("the node is Ready", self._is_ready)

    def _is_ready(self) -> bool:
        answer = self.api.get(f"/api/v1/nodes/{NAME}")
        conditions = answer.json().get("status", {}).get("conditions", ()) if answer.ok else ()
        return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(20)

    # --- pods ----------------------------------------------------------------------------------------------------

    def create(self, name: str, *containers: Pod, **spec: Any) -> None:
        """Create a pod that is bound to this node; images are those of the machine."""
        defaults = {"image": "busybox", "imagePullPolicy": "IfNotPresent"}
        body = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": {"app": name}},
            "spec": {
                "nodeName": NAME,
                "terminationGracePeriodSeconds": 1,
                "containers": [{**defaults, **c} for c in containers],
                **spec,
            },
        }
        answer = self.api.post("/api/v1/namespaces/default/pods", json=body)
        assert answer.status_code == 201, answer.text

    def get(self, name: str) -> Pod | None:
        answer = self.api.get(f"/api/v1/namespaces/default/pods/{name}")
        return answer.json() if answer.ok else None

    def delete(self, name: str, grace_s: int | None = None) -> None:
        query = "" if grace_s is None else f"?gracePeriodSeconds={grace_s}"
        answer = self.api.delete(f"/api/v1/namespaces/default/pods/{name}{query}")
        assert answer.status_code in (200, 202, 404), answer.text

    def logs(self, name: str, **query: str) -> str:
        answer = self.api.get(f"/api/v1/namespaces/default/pods/{name}/log", params=query)
        assert answer.ok, answer.text
        return answer.text

    def events(self, name: str) -> list[tuple[str, str]]:
        items = self.api.get("/api/v1/namespaces/default/events").json()["items"]
        return [(e["reason"], e["message"]) for e in items if e["involvedObject"]["name"] == name]

    def status(self, name: str, container: int = 0) -> dict[str, Any]:
        """The status of one container of a pod; empty while there is none."""
        statuses = ((self.get(name) or {}).get("status") or {}).get("containerStatuses") or []
        return statuses[container] if container < len(statuses) else {}

    def wait(self, what: str, check: Callable[[], object]) -> Any:
        """Wait until `check` gives something true, and give that.

        Raises: AssertionError that says what did not happen, with the end of the agent's log.
        """
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end:
            found = check()
            if found:
                return found
            time.sleep(0.05)
        raise AssertionError(f"not within {WAIT_S:g}s: {what}\n{self.log.read_text()[-4000:]}")

    def wait_running(self, name: str, ready: bool = True) -> Pod:
        def check() -> Pod | None:
            pod = self.get(name)
            conditions = (pod or {}).get("status", {}).get("conditions", ())
            is_ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
            phase = (pod or {}).get("status", {}).get("phase")
            return pod if phase == "Running" and (is_ready or not ready) else None

        found: Pod = self.wait(f"{name} runs", check)
        return found

    def wait_gone(self, name: str) -> None:
        self.wait(f"{name} is gone", lambda: self.get(name) is None)

    def clear(self) -> None:
        """Delete all pods and wait until they are gone."""
        names = [p["metadata"]["name"] for p in self.api.get("/api/v1/namespaces/default/pods").json()["items"]]
        for name in names:
            self.delete(name, 0 if self.process is None else None)
        for name in names:
            self.wait_gone(name)
        self.api.delete("/api/v1/namespaces/default/events")
        self.wait("nothing is left of them", lambda: self.leftovers() == [])

    # --- the machine ---------------------------------------------------------------------------------------------

    def containers(self) -> dict[str, str]:
        """Names and pids of all containers that run."""
        ids = self.machine.ctl("ps", "-q", "--no-trunc").split()
        if not ids:
            return {}
        found = json.loads(self.machine.ctl("container", "inspect", *ids))
        return {c["Name"]: c["State"]["Pid"] for c in found}

    def exec(self, pod: str, container: str, *command: str) -> str:
        """Run a command in a container, found by its labels' name."""
        name = next(n for n in self.containers() if n.startswith(f"k8s_{container}_{pod}_"))
        return self.machine.ctl("exec", name, *command)

    def leftovers(self) -> list[str]:
        """Everything that pods have left on the machine."""
        found = self.machine.ctl("ps", "-aq").split()
        for parent in (self.folder / "kubelet/pods", self.folder / "run/pods"):
            found += [str(p) for p in parent.iterdir()] if parent.exists() else []
        found += [line for line in Path("/proc/self/mounts").read_text().splitlines() if str(self.folder) in line]
        found += [p.name for p in (self.machine.root / "ipam/kubelab").glob("10.*")]
        found += [line for line in self.machine.run("ip", "-o", "link").splitlines() if "veth" in line]
        for controller in (Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").iterdir()):
            found += [str(p) for p in (controller / self.machine.cgroup_parent.lstrip("/")).glob("pod*")]
        return found
