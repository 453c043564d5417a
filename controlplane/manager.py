"""`kubelab-manager`: the scheduler and the controllers, as threads of one process, under one leader's lease.

    run for the lease → take a term → list and watch everything → start the workers → until the lease is lost

Only the leader acts. The term, a number that the store counts up, is sent with every write from then on, and the
store refuses a lower one; so a leader that was stopped (SIGSTOP, a stalled machine) can't do harm when it wakes.
Caches are filled only after the term is taken: nothing that the last leader wrote can be missing in them, so a change
of leader creates and deletes nothing. Whoever loses the lease or meets a refused term ends at once, without tidying
up, and systemd starts it again. After cmd/kube-controller-manager and cmd/kube-scheduler.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from pathlib import Path

import msgspec

from controlplane.api.addresspool import Pool
from controlplane.api.errors import ApiError
from controlplane.api.profile import profile
from controlplane.api.resources import NODES, PODS
from controlplane.client import Client, ClientConfig, LeaderConfig, LeaderLease, Recorder, SystemClock, Unreachable
from controlplane.controllers import all_controllers
from controlplane.controllers.environment import Controller, Environment, Informers
from controlplane.controllers.heartbeats import STORE_WAS_DOWN
from controlplane.daemon import event, load_config, notify, setup_logging
from controlplane.manager_config import ManagerConfig
from controlplane.scheduler.binder import Binder
from controlplane.scheduler.scheduler import Scheduler

log = logging.getLogger(__name__)

PROG = "kubelab-manager"
LEASE_NAMESPACE, LEASE_NAME, TERM = "kube-system", "kubelab-manager", "manager"
RETRY_S = 0.5
EXIT_LOST = 3
"""Exit code of a manager that is no longer the leader."""


class Manager:
    """One process's life: standing by, leading, ending."""

    def __init__(self, config: ManagerConfig) -> None:
        self._config = config
        self._timings = profile(config.profile)
        self._pool = Pool.parse(config.load_balancer_pool)
        self._clock = SystemClock()
        self._stopping = threading.Event()
        self._running: list[Controller] = []
        controllers = (config.controller_cert_file, config.controller_key_file)
        self._client = self._client_of(controllers, "kubelab-controllers")
        self._scheduler_client = self._client_of(
            (config.scheduler_cert_file, config.scheduler_key_file), "kubelab-scheduler"
        )
        self._informers = Informers(self._client)
        lease = LeaderConfig(
            LEASE_NAMESPACE, LEASE_NAME, config.identity, config.lease_duration_s,
            renew_deadline_s=config.lease_duration_s * 2 / 3, retry_s=config.lease_duration_s / 4,
        )  # fmt: skip
        self._lease = LeaderLease(self._client_of(controllers, "kubelab-manager-lease"), lease)

    def _client_of(self, pair: tuple[str, str], agent: str) -> Client:
        return Client(ClientConfig(self._config.server, self._config.ca_file, *pair, user_agent=agent))

    def run(self) -> None:
        """Stands by, leads, and returns after `stop`."""
        notify("READY=1\nSTATUS=standing by")
        event(log, "standing-by", identity=self._config.identity, server=self._config.server)
        waited_s = self._await_api()
        if not self._lease.acquire():
            return
        threading.Thread(target=self._lease.keep, args=(self._lost,), name="lease", daemon=True).start()
        term = self._take_term()
        if term is not None:
            self._lead(term, self._is_cold(waited_s))
            self._stopping.wait()
        self._shut_down()

    def stop(self) -> None:
        """Ends the run; from any thread but the one in `run`."""
        self._stopping.set()
        self._lease.stop(release=False)

    def _await_api(self) -> float:
        """Waits until the API answers anything; how long that took."""
        started = time.monotonic()
        while not self._stopping.is_set():
            try:
                self._client.request("GET", "/readyz")
                break
            except Unreachable:
                self._stopping.wait(RETRY_S)
            except ApiError:
                break
        return time.monotonic() - started

    def _is_cold(self, waited_s: float) -> bool:
        """Whether the machine or the store has just started, so that nodes may still be booting."""
        just_booted = machine_age_s() < self._timings.startup_grace_s
        return just_booted or waited_s >= STORE_WAS_DOWN * self._timings.node_unknown_s

    def _take_term(self) -> int | None:
        """The new term, asked for until the API grants it (it may be frozen, or away); None when stopping."""
        said = ""
        while not self._stopping.is_set():
            try:
                answer = msgspec.json.decode(self._client.post(f"/kubelab/terms/{TERM}", {}), type=dict[str, int])
                return answer["term"]
            except ApiError as error:
                if error.message != said:
                    event(log, "no-term", level=logging.WARNING, error=error.message)
                    said = error.message
                self._stopping.wait(RETRY_S)
        return None

    def _lead(self, term: int, cold: bool) -> None:
        started = time.monotonic()
        self._client.lead(TERM, term)
        self._scheduler_client.lead(TERM, term)
        env = Environment(
            client=self._client,
            informers=self._informers,
            clock=self._clock,
            profile=self._timings,
            on_stale=self._stale,
            identity=self._config.identity,
            cold=cold,
        )
        controllers = all_controllers(env, self._pool, self._config.events_kept)
        scheduler = self._scheduler()
        self._informers.start()
        while not self._informers.synced(RETRY_S):
            if self._stopping.is_set():
                return
        self._running = [*controllers, scheduler]
        for controller in self._running:
            controller.start()
        notify(f"STATUS=leading in term {term}")
        event(log, "working", term=term, profile=self._timings.name, duration_s=time.monotonic() - started)

    def _scheduler(self) -> Scheduler:
        recorder = Recorder(self._scheduler_client, "default-scheduler", self._config.identity)
        binder = Binder(self._scheduler_client, recorder, self._clock)
        return Scheduler(
            self._informers.of(PODS), self._informers.of(NODES), binder, self._clock, on_stale=self._stale
        )

    def _shut_down(self) -> None:
        notify("STOPPING=1")
        for controller in reversed(self._running):
            controller.stop()
        self._lease.stop(release=True)
        event(log, "stopped")

    def _lost(self) -> None:
        """Ends the process at once: another one may lead already."""
        if self._stopping.is_set():
            return
        event(log, "ending", level=logging.ERROR, why="the leader's lease was lost")
        os._exit(EXIT_LOST)

    def _stale(self) -> None:
        event(log, "ending", level=logging.ERROR, why="the store refused our term: another manager leads")
        os._exit(EXIT_LOST)


def machine_age_s(proc: Path = Path("/proc")) -> float:
    """How long this machine has been up: the age of its process 1, which is right in a container too."""
    uptime_s = float((proc / "uptime").read_text().split()[0])
    after_name = (proc / "1" / "stat").read_text().rpartition(")")[2].split()
    started_s = int(after_name[19]) / os.sysconf("SC_CLK_TCK")
    return max(0.0, uptime_s - started_s)


def main(argv: list[str] | None = None) -> None:
    """The command; exits with 2 and one line on a bad configuration."""
    config = load_config(PROG, ManagerConfig, argv)
    setup_logging()
    manager = Manager(config)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=manager.stop, daemon=True).start())
    manager.run()


if __name__ == "__main__":
    main()
