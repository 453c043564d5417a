"""The node agent's process: builds every part, starts them in the order that safety asks for, stops them in reverse.

The lease and the fence come first: a restarted agent has two seconds to renew before the watchdog acts. Then the
runtime's events, the server, the informers and the workers. `READY=1` is sent when the server listens and the
runtime was listed; the API may be away then.

    kubelab-nodeagent --config /etc/kubelab/nodeagent.toml
"""

from __future__ import annotations

import contextlib
import logging
import signal
import ssl
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from controlplane.api.profile import profile
from controlplane.api.resources import NODES
from controlplane.api.types import Node
from controlplane.client import Client, ClientConfig, Informer, Recorder, SystemClock, WorkQueue
from controlplane.daemon import event, load_config, notify, setup_logging
from nodeagent import host
from nodeagent.agent import Agent, Parts
from nodeagent.apply import Tools
from nodeagent.config import AgentConfig
from nodeagent.freshness import Freshness
from nodeagent.guard import Callbacks, Guard, GuardConfig
from nodeagent.images import ImageManager
from nodeagent.lease import LeaseKeeper
from nodeagent.loop import EventLoop
from nodeagent.mounts import PodFiles
from nodeagent.node import NodeReporter
from nodeagent.nodestatus import Facts
from nodeagent.observe import ContainerStore
from nodeagent.peerlist import PeerList
from nodeagent.peers import PeerAsker
from nodeagent.podevents import PodEventRecorder
from nodeagent.pods import PODS, ApiPod
from nodeagent.probes import ProbeManager
from nodeagent.runtime.base import Container, EventKind, Image, Runtime, RuntimeFailure
from nodeagent.runtime.nerdctl import Nerdctl, NerdctlConfig
from nodeagent.server import AgentServer, Refusal, tls_context

log = logging.getLogger(__name__)

_EVENTS_RETRY_S = 0.3
_SETTLE_S = 1.0
_AWAY_MAX_S = 10.0
_NOT_REACHED = "not reached yet"
_RELIST_WAIT_S = 5.0
_STACK_BYTES = 512 * 1024


class NodeAgent:
    """All parts of one agent. Tests build it with a runtime of their own."""

    def __init__(self, config: AgentConfig, runtime: Runtime) -> None:
        self.config = config
        self.runtime = runtime
        self.clock = SystemClock()
        self._profile = profile(config.profile)
        self._boot_id = host.boot_id()
        self._runtime_error = _NOT_REACHED
        self._away_since: float | None = None
        self._first_wait_done = False
        self._images_shown: tuple[Image, ...] = ()
        self._runtime_version = ""
        self._stopping = threading.Event()
        self.events_loop = EventLoop()

        self._client = Client(self._client_config(5.0))
        self._recorder = Recorder(self._client, "kubelet", config.node_name, self.clock)
        self.told = PodEventRecorder(self._recorder, config.node_name)
        self.nodes: Informer[Node] = Informer(self._client, NODES, clock=self.clock)
        selector = f"spec.nodeName={config.node_name}"
        self.pods: Informer[ApiPod] = Informer(self._client, PODS, field_selector=selector, clock=self.clock)
        self._peer_list = PeerList(Path(config.run_dir) / "peers.json", config.node_name)
        self.guard = self._build_guard()
        lease_client = Client(self._client_config(self._profile.lease_timeout_s))
        self._lease = LeaseKeeper(lease_client, config.node_name, self._profile, self.clock, self.guard.renewed)
        self.store = ContainerStore(
            runtime, self.clock, self._enqueue, self._boot_id, excused=lambda: self.guard.fenced
        )
        self.images = ImageManager(runtime, self.clock, self.told, self._enqueue)
        self.probes = ProbeManager(self.events_loop.loop, runtime, self.told, self._enqueue)
        self.reporter = NodeReporter(self._client, config, self.clock, self._facts)
        self.nodes.add_handler(self._on_node)
        self.agent = self._build_agent()
        self._server = AgentServer(self)

    def _client_config(self, timeout_s: float) -> ClientConfig:
        config = self.config
        return ClientConfig(
            config.server, config.ca_file, config.cert_file, config.key_file,
            user_agent="kubelab-nodeagent", timeout_s=timeout_s,
        )  # fmt: skip

    def _build_guard(self) -> Guard:
        config = self.config
        peers_context = ssl.create_default_context(cafile=config.ca_file)
        peers_context.load_cert_chain(config.cert_file, config.key_file)
        asker = PeerAsker(self.events_loop.loop, peers_context, config.listen_port, self.clock)
        return Guard(
            GuardConfig(self._profile, config.control_plane, Path(config.run_dir), config.cgroup_parent),
            Callbacks(lambda: self._peer_list.peers, asker.ask, self._relist, self._released),
            self.clock,
        )

    def _build_agent(self) -> Agent:
        config = self.config
        files = PodFiles(Path(config.root_dir), Path(config.run_dir))
        tools = Tools(
            config, self.runtime, self.store, self.images, files, self.clock, self.told, self._boot_id
        )  # fmt: skip
        freshness = Freshness(Path(config.root_dir) / "revision", self.clock)
        return Agent(
            Parts(
                self._client,
                self.pods,
                WorkQueue(self.clock),
                tools,
                self.probes,
                freshness,
                self.told,
                self.guard.may_start,
                lambda: self.guard.fenced,
            )
        )

    # --- life ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start everything.

        Raises: OSError when the port is taken or a certificate can't be read.
        """
        config = self.config
        for folder in (config.root_dir, config.run_dir):
            Path(folder).mkdir(parents=True, exist_ok=True)
        self.events_loop.start()
        self.guard.start()
        self._lease.start()
        threading.Thread(target=self._follow_runtime, name="runtime-events", daemon=True).start()
        context = tls_context(config.serving_cert_file, config.serving_key_file, config.ca_file)
        self.events_loop.run(self._server.start(config.node_address, config.listen_port, context))
        self.nodes.start()
        self.pods.start()
        self.reporter.start()
        self.agent.start()

    def stop(self) -> None:
        """Stop; containers run on, the watchdog stays armed."""
        self._stopping.set()
        self.agent.stop()
        self.runtime.stop_events()
        self._lease.stop()
        self.reporter.stop()
        self.probes.stop()
        self.images.stop()
        self.pods.stop()
        self.nodes.stop()
        self.guard.stop()
        self._recorder.stop()
        self.events_loop.run(self._server.stop())
        self.events_loop.stop()

    def wait_listed(self, timeout_s: float) -> bool:
        """Wait until the runtime's containers are known."""
        return self.agent.wait_listed(timeout_s)

    def _enqueue(self, uid: str) -> None:
        self.agent.enqueue(uid)

    # --- the runtime ---------------------------------------------------------------------------------------------

    def _follow_runtime(self) -> None:
        while not self._stopping.is_set():
            try:
                for happened in self.runtime.events():
                    if happened.kind is EventKind.IMAGES:
                        self.images.changed()
                        continue
                    self.store.on_event(happened)
                    if happened.kind is EventKind.CONNECTED:
                        self._connected()
                error = "its event stream ended"
            except RuntimeFailure as failure:
                error = str(failure)
            except Exception as unexpected:
                log.exception("events of the runtime")
                error = str(unexpected)
            if not self._stopping.is_set():
                self._away(error)
            self._stopping.wait(_EVENTS_RETRY_S)

    def _away(self, error: str) -> None:
        """The runtime does not answer; only when that lasts is the node not ready (containerd may be restarting)."""
        if self._away_since is None:
            self._away_since = self.clock.monotonic()
            event(log, "runtime-away", level=logging.WARNING, error=error)
        lasting = self.clock.monotonic() - self._away_since >= _AWAY_MAX_S
        if lasting and self._runtime_error in ("", _NOT_REACHED):
            self._runtime_error = error
            self.reporter.changed()

    def _connected(self) -> None:
        """The runtime answers: what happened before the subscription took hold is listed once more."""
        if not self._runtime_version:
            self._runtime_version = self.runtime.version()
        self._runtime_error, self._away_since = "", None
        self.images.changed()
        self.agent.runtime_listed()
        self.reporter.changed()
        again = threading.Timer(_SETTLE_S, self._resync_quietly)
        again.daemon = True
        again.start()

    def _resync_quietly(self) -> None:
        try:
            self.store.resync()
        except RuntimeFailure as failure:
            event(log, "resync-failed", level=logging.WARNING, error=failure)

    # --- the fence -----------------------------------------------------------------------------------------------

    def _on_node(self, old: Node | None, new: Node | None) -> None:
        self._peer_list.update(self.nodes.items())
        self.reporter.on_node(old, new)

    def _relist(self) -> bool:
        self.pods.relist()
        return self.pods.synced(_RELIST_WAIT_S)

    def _released(self, message: str) -> None:
        self.told.about_node("Normal", "Released", message)
        self.agent.enqueue_all()

    # --- the node's status ---------------------------------------------------------------------------------------

    def _facts(self) -> Facts:
        if not self._first_wait_done:  # the machine boots: say nothing before the runtime had its time
            self.agent.wait_listed(_AWAY_MAX_S)
            self._first_wait_done = True
        if not self._runtime_error:
            with contextlib.suppress(RuntimeFailure):  # a moment without the runtime: the images are still there
                self._images_shown = tuple(self.images.list())
        return Facts(
            room=host.room(self.config.memory_bytes, Path(self.config.root_dir)),
            runtime_error=self._runtime_error,
            runtime_version=self._runtime_version,
            boot_id=self._boot_id,
            machine_id=host.machine_id(),
            kernel_version=host.kernel_version(),
            os_image=host.os_image(),
            images=self._images_shown,
        )

    # --- what the server asks for ----------------------------------------------------------------------------------

    def log_target(self, namespace: str, pod: str, container: str, previous: bool) -> Container:
        """The container whose log is meant. Raises: Refusal."""
        found = self.pods.get((namespace, pod))
        if found is None:
            raise Refusal(404, f'pod "{pod}" in namespace "{namespace}" is not on this node')
        mine = [c for c in self.store.of_pod(found.metadata.uid) if c.container == container and not c.is_sandbox]
        mine = [c for c in mine if not c.error and c.started is not None]
        if previous:
            mine = [c for c in mine if c is not max(mine, key=lambda c: c.attempt)]
            if not mine:
                raise Refusal(400, f'previous terminated container "{container}" in pod "{pod}" not found')
        if not mine:
            reason = next(
                (s.state.waiting.reason for s in found.status.container_statuses or ()
                 if s.name == container and s.state.waiting), "ContainerCreating",
            )  # fmt: skip
            raise Refusal(400, f'container "{container}" in pod "{pod}" is waiting to start: {reason}')
        return max(mine, key=lambda c: c.attempt)

    def log_path(self, container: Container) -> Path:
        path = container.log_path or self.runtime.log_path(container.id)
        if not path:
            raise RuntimeFailure("it has none")
        self.store.set_log_path(container.id, path)
        return Path(path)

    def runs(self, container_id: str) -> bool:
        known = self.store.get(container_id)
        return known is not None and known.running

    def pods_here(self) -> list[Any]:
        """The pods of this node, encodable."""
        return [msgspec.to_builtins(pod) for pod in self.pods.items()]

    def last_reached_seconds_ago(self) -> float:
        return self.guard.last_reached_seconds_ago()


def build_runtime(config: AgentConfig, command: tuple[str, ...] = ()) -> Nerdctl:
    """nerdctl as the configuration says; `command` replaces the plain binary."""
    return Nerdctl(
        NerdctlConfig(
            command=command or (config.nerdctl,),
            runtime=config.runtime,
            network=config.network,
            log_max_size=config.log_max_size,
            log_max_files=config.log_max_files,
            oom_score_min=host.oom_score_min(),
            stores=("/var/lib/containerd", "/var/lib/nerdctl"),
        )
    )


def serve(agent: NodeAgent, wait: Callable[[], object]) -> None:
    """Run the agent until `wait` returns."""
    agent.start()
    agent.wait_listed(30.0)
    event(log, "serving", node=agent.config.node_name, port=agent.config.listen_port)
    notify("READY=1")
    wait()
    notify("STOPPING=1")
    agent.stop()


def main(argv: list[str] | None = None) -> None:
    """The process."""
    config = load_config("kubelab-nodeagent", AgentConfig, argv)
    setup_logging()
    threading.stack_size(_STACK_BYTES)
    try:
        profile(config.profile)
        agent = NodeAgent(config, build_runtime(config))
    except (OSError, ValueError) as error:
        sys.stderr.write(f"kubelab-nodeagent: {error}\n")
        raise SystemExit(2) from None
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    serve(agent, stop.wait)


if __name__ == "__main__":
    main()
