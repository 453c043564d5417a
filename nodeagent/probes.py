"""Probes of running containers: when to try, how often it must pass or fail, and what follows from it.

One task a probe on the agent's event loop; exec probes borrow a few threads. `Tally` is the pure part. The planner
reads `unhealthy`, the status `health`; a change of either wakes the pod. A container that the API knew as ready
stays so until its probe has spoken: restarting the agent must not take pods out of their Services.

Follows pkg/kubelet/prober/{prober_manager,worker,prober}.go.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Literal

from controlplane.api.types import Probe
from nodeagent import probing
from nodeagent.images import PodEvents
from nodeagent.pods import Container as Spec
from nodeagent.pods import Pod
from nodeagent.probing import Result
from nodeagent.runtime.base import Container, Runtime, RuntimeFailure
from nodeagent.status import Health

log = logging.getLogger(__name__)

Kind = Literal["startup", "liveness", "readiness"]
_TITLES: Mapping[Kind, str] = {"startup": "Startup", "liveness": "Liveness", "readiness": "Readiness"}
_EXEC_THREADS = 4


@dataclass(frozen=True)
class Tally:
    """Results in a row of one probe, and its verdict so far; None before there is one."""

    passed: bool | None = None
    in_a_row: int = 0
    verdict: bool | None = None

    def count(self, passed: bool, success_threshold: int, failure_threshold: int) -> Tally:
        """The tally after one more result."""
        in_a_row = self.in_a_row + 1 if passed == self.passed else 1
        threshold = success_threshold if passed else failure_threshold
        verdict = passed if in_a_row >= max(1, threshold) else self.verdict
        return Tally(passed, in_a_row, verdict)


@dataclass(frozen=True)
class _Target:
    pod: Pod
    spec: Spec
    container: Container
    pod_ip: str


@dataclass
class _Probed:
    """All that is known of one container."""

    uid: str
    health: Health
    unhealthy: str = ""
    tasks: tuple[asyncio.Task[None], ...] = ()


class ProbeManager:
    """`sync` says which containers of a pod run; everything else follows. Thread-safe."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        runtime: Runtime,
        events: PodEvents,
        on_change: Callable[[str], None],
    ) -> None:
        self._loop = loop
        self._runtime = runtime
        self._events = events
        self._on_change = on_change
        self._probed: dict[str, _Probed] = {}
        self._threads = ThreadPoolExecutor(_EXEC_THREADS, thread_name_prefix="probe")

    def stop(self) -> None:
        """Let no probe run any more."""
        self._loop.call_soon_threadsafe(self._drop, list(self._probed))
        self._threads.shutdown(wait=False, cancel_futures=True)

    def health(self) -> dict[str, Health]:
        return {key: p.health for key, p in list(self._probed.items())}

    def unhealthy(self) -> dict[str, str]:
        return {key: p.unhealthy for key, p in list(self._probed.items()) if p.unhealthy}

    def sync(self, pod: Pod, running: Sequence[Container], pod_ip: str) -> None:
        """The pod's containers that run now; others are forgotten with their probes."""
        ids = {c.id for c in running}
        stale = [key for key, p in list(self._probed.items()) if key not in ids and p.uid == pod.uid]
        if stale:
            self._loop.call_soon_threadsafe(self._drop, stale)
        for container in running:
            spec = pod.container(container.container)
            if spec is None or container.id in self._probed:
                continue
            if not (spec.startup_probe or spec.liveness_probe or spec.readiness_probe):
                continue
            target = _Target(pod, spec, container, pod_ip)
            self._probed[container.id] = _Probed(pod.uid, self._first(target))
            self._loop.call_soon_threadsafe(self._begin, target)

    def forget(self, uid: str) -> None:
        """The pod is gone."""
        stale = [key for key, p in list(self._probed.items()) if p.uid == uid]
        if stale:
            self._loop.call_soon_threadsafe(self._drop, stale)

    @staticmethod
    def _first(target: _Target) -> Health:
        """What holds before any probe has spoken."""
        reported = target.pod.reported(target.spec.name)
        known = reported is not None and reported.container_id == f"containerd://{target.container.id}"
        was_started = known and reported is not None and bool(reported.started)
        was_ready = known and reported is not None and reported.ready
        return Health(
            started=target.spec.startup_probe is None or was_started,
            ready=target.spec.readiness_probe is None or was_ready,
        )

    # --- on the event loop ---------------------------------------------------------------------------------------

    def _drop(self, ids: Sequence[str]) -> None:
        for key in ids:
            probed = self._probed.pop(key, None)
            for task in probed.tasks if probed else ():
                task.cancel()

    def _begin(self, target: _Target) -> None:
        probed = self._probed.get(target.container.id)
        if probed is None:
            return
        kinds: tuple[tuple[Kind, Probe | None], ...] = (
            ("startup", None if probed.health.started else target.spec.startup_probe),
            ("liveness", target.spec.liveness_probe),
            ("readiness", target.spec.readiness_probe),
        )
        probed.tasks = tuple(
            self._loop.create_task(self._run(target, kind, probe)) for kind, probe in kinds if probe is not None
        )

    async def _run(self, target: _Target, kind: Kind, probe: Probe) -> None:
        began = self._loop.time()
        age_s = began - target.container.started if target.container.started is not None else 0.0
        await asyncio.sleep(max(0.0, probe.initial_delay_seconds - max(0.0, age_s)))
        tally = Tally()
        while True:
            tick = self._loop.time()
            probed = self._probed.get(target.container.id)
            if probed is None:
                return
            if kind == "startup" or probed.health.started:
                result = await self._try(target, probe)
                tally = tally.count(result.passed, probe.success_threshold, probe.failure_threshold)
                if not result.passed:
                    self._tell(target, kind, result)
                if self._act(target, kind, tally):
                    return
                pause_s = probe.period_seconds
            else:
                pause_s = min(1, probe.period_seconds)
            await asyncio.sleep(max(0.05, pause_s - (self._loop.time() - tick)))

    async def _try(self, target: _Target, probe: Probe) -> Result:
        timeout_s = float(max(1, probe.timeout_seconds))
        try:
            if probe.http_get is not None:
                return await probing.http(probe.http_get, target.spec, target.pod_ip, timeout_s)
            if probe.tcp_socket is not None:
                port = target.spec.port(probe.tcp_socket.port)
                if port is None:
                    return Result(False, f"the container has no port named {probe.tcp_socket.port!r}")
                return await probing.tcp(probe.tcp_socket.host or target.pod_ip, port, timeout_s)
            if probe.exec is not None:
                command = tuple(probe.exec.command or ())
                return await self._loop.run_in_executor(
                    self._threads, self._exec, target.container.id, command, timeout_s
                )
        except Exception as error:
            log.exception("probe of %s", target.container.name)
            return Result(False, str(error))
        return Result(True)

    def _exec(self, container_id: str, command: Sequence[str], timeout_s: float) -> Result:
        try:
            done = self._runtime.exec(container_id, command, timeout_s)
        except RuntimeFailure as failure:
            return Result(False, str(failure))
        if done.timed_out:
            return Result(False, f"command timed out after {timeout_s:g}s")
        return Result(done.exit_code == 0, done.output)

    def _tell(self, target: _Target, kind: Kind, result: Result) -> None:
        message = f"{_TITLES[kind]} probe failed: {result.message}"
        self._events(target.pod, "Warning", "Unhealthy", message.rstrip(": "))

    def _act(self, target: _Target, kind: Kind, tally: Tally) -> bool:
        """Draw the consequences of a verdict; whether the probe is done."""
        probed = self._probed.get(target.container.id)
        if probed is None or tally.verdict is None:
            return probed is None
        before = (probed.health, probed.unhealthy)
        if kind == "readiness":
            probed.health = replace(probed.health, ready=tally.verdict)
        elif not tally.verdict:
            probed.unhealthy = f"Container {target.spec.name} failed {kind} probe, will be restarted"
        elif kind == "startup":
            probed.health = replace(probed.health, started=True)
        if before != (probed.health, probed.unhealthy):
            self._on_change(target.pod.uid)
        return kind == "startup" or bool(probed.unhealthy)
