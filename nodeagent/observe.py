"""What runs on this node, kept in memory: listed once at the start, then followed through the runtime's events.

The agent asks nerdctl for as little as possible (each call costs 30 ms and more); this store is what the planner
observes instead. After every gap in the event stream everything is listed again, so that the store can't drift. What
is known only here (when TERM was sent, starts that failed) may be lost: the planner copes.

`agent.py` feeds it and reads it; thread-safe.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from controlplane.client.clock import Clock
from nodeagent.runtime.base import Container, EventKind, Runtime, RuntimeEvent, State

_UNCLAIMED_MAX = 256
_START_ERROR = 128
_UNKNOWN = 255


@dataclass(frozen=True)
class Stop:
    """TERM was sent; KILL follows at `kill_at` (monotonic seconds), which is None once KILL was sent, too."""

    kill_at: float | None


class ContainerStore:
    """All containers of pods on this node, by id and by pod."""

    def __init__(
        self,
        runtime: Runtime,
        clock: Clock,
        on_change: Callable[[str], None],
        boot_id: str,
        excused: Callable[[], bool] = lambda: False,
    ) -> None:
        """`excused` says whether containers that end now do so by the fence, not by their own fault."""
        self._runtime = runtime
        self._boot_id = boot_id
        self._excused = excused
        self._clock = clock
        self._on_change = on_change
        self._lock = threading.RLock()
        self._containers: dict[str, Container] = {}
        self._stops: dict[str, Stop] = {}
        self._unclaimed: dict[str, list[RuntimeEvent]] = {}
        """Events of containers that aren't known yet: `run` hasn't returned, and they may be dead already."""

    # --- reading -------------------------------------------------------------------------------------------------

    def of_pod(self, uid: str) -> tuple[Container, ...]:
        """Sandbox and containers of a pod, older attempts first."""
        with self._lock:
            mine = [c for c in self._containers.values() if c.pod.uid == uid]
        return tuple(sorted(mine, key=lambda c: (c.container, c.attempt)))

    def get(self, container_id: str) -> Container | None:
        with self._lock:
            return self._containers.get(container_id)

    def pod_uids(self) -> set[str]:
        with self._lock:
            return {c.pod.uid for c in self._containers.values()}

    def stops(self) -> dict[str, Stop]:
        with self._lock:
            return dict(self._stops)

    # --- writing -------------------------------------------------------------------------------------------------

    def add(self, container: Container) -> None:
        """A container that was just created; events that came before it are applied now."""
        with self._lock:
            self._containers[container.id] = container
            early = self._unclaimed.pop(container.id, [])
            for event in early:
                self._apply(event)

    def forget(self, container_id: str) -> None:
        with self._lock:
            self._containers.pop(container_id, None)
            self._stops.pop(container_id, None)

    def set_log_path(self, container_id: str, path: str) -> None:
        """Remember where a container's log is; it was asked for the first time."""
        with self._lock:
            known = self._containers.get(container_id)
            if known is not None:
                self._containers[container_id] = replace(known, log_path=path)

    def stopping(self, container_id: str, stop: Stop) -> None:
        with self._lock:
            self._stops[container_id] = stop

    def resync(self) -> None:
        """List everything again; what is known better here (times, OOM kills, failed starts) is kept."""
        listed = self._runtime.containers()
        with self._lock:
            before = self._containers
            fresh = {c.id: self._merged(c, before.get(c.id)) for c in listed}
            fresh |= {c.id: c for c in before.values() if c.error}
            self._containers = fresh
            self._stops = {key: stop for key, stop in self._stops.items() if key in fresh}
            changed = {c.pod.uid for key, c in fresh.items() if before.get(key) != c}
            changed |= {c.pod.uid for key, c in before.items() if key not in fresh}
        for uid in changed:
            self._on_change(uid)

    def _merged(self, new: Container, old: Container | None) -> Container:
        if old is not None and (old.state is new.state or (old.state is State.EXITED and new.state is State.CREATED)):
            return old
        now, wall = self._clock.monotonic(), self._clock.now()
        if new.state is State.RUNNING:
            started_at = started_of(new.pid) or new.created_at or wall
            return replace(new, started_at=started_at, started=now - _age(wall, started_at))
        if new.state is State.EXITED:
            began = (old.started_at if old else None) or new.created_at
            finished_at = new.finished_at or wall
            ended = now - _age(wall, finished_at)
            started = old.started if old else None
            if started is None and began is not None:
                started = ended - _age(finished_at, began)
            oom = old.oom_killed if old else False
            return replace(
                new, started_at=began, started=started, finished_at=finished_at, ended=ended, oom_killed=oom,
                ip=old.ip if old else "",
                blameless=new.boot_id != self._boot_id or self._excused(),
            )  # fmt: skip
        if new.boot_id != self._boot_id:
            # it ran until the machine lost its power: the runtime kept the container, not how it ended
            return replace(new, state=State.EXITED, exit_code=_UNKNOWN, started=now, ended=now, blameless=True)
        return new

    # --- events --------------------------------------------------------------------------------------------------

    def on_event(self, event: RuntimeEvent) -> None:
        """Take one event of the runtime in."""
        if event.kind is EventKind.CONNECTED:
            self.resync()
            return
        with self._lock:
            known = self._containers.get(event.id)
            if known is None:
                if event.kind is not EventKind.REMOVED:
                    self._remember(event)
                return
            self._apply(event)
        self._on_change(known.pod.uid)

    def _remember(self, event: RuntimeEvent) -> None:
        self._unclaimed.setdefault(event.id, []).append(event)
        while len(self._unclaimed) > _UNCLAIMED_MAX:
            self._unclaimed.pop(next(iter(self._unclaimed)))

    def _apply(self, event: RuntimeEvent) -> None:
        old = self._containers[event.id]
        now = self._clock.monotonic()
        at = event.at or self._clock.now()
        if event.kind is EventKind.STARTED:
            new = replace(old, state=State.RUNNING, pid=event.pid, started_at=at, started=now)
        elif event.kind is EventKind.OOM:
            new = replace(old, oom_killed=True)
        elif event.kind is EventKind.EXITED:
            new = replace(
                old, state=State.EXITED, pid=0, exit_code=event.exit_code, finished_at=at, ended=now,
                blameless=self._excused(),
            )  # fmt: skip
        else:
            self.forget(event.id)
            return
        self._containers[event.id] = new


def failed_start(container: Container, message: str, clock: Clock) -> Container:
    """The memory of a start that failed: it counts as a crash with exit code 128, as upstream's StartError."""
    now = clock.now()
    return replace(
        container, id=f"failed:{container.name}", state=State.EXITED, exit_code=_START_ERROR, error=message,
        started_at=now, finished_at=now, started=clock.monotonic(), ended=clock.monotonic(),
    )  # fmt: skip


def _age(later: datetime, earlier: datetime) -> float:
    return max(0.0, (later - earlier).total_seconds())


def started_of(pid: int, proc: Path = Path("/proc")) -> datetime | None:
    """When a process started, from its age; None when it is gone."""
    try:
        fields = (proc / str(pid) / "stat").read_text().rpartition(")")[2].split()
        lines = (proc / "stat").read_text().splitlines()
        boot = next(int(line.split()[1]) for line in lines if line.startswith("btime"))
    except (OSError, StopIteration, ValueError):
        return None
    return datetime.fromtimestamp(boot + int(fields[19]) / os.sysconf("SC_CLK_TCK"), UTC)
