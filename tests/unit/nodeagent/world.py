"""A runtime in memory that carries out plans, for the planner's property tests."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from nodeagent.observe import Stop
from nodeagent.plan import (
    Action,
    CreateSandbox,
    FinishDeletion,
    ImageNeeded,
    ImageReady,
    KillContainer,
    Observed,
    Plan,
    PullImage,
    RemoveContainers,
    RemoveFiles,
    StartContainer,
    StopContainer,
    plan,
)
from nodeagent.pods import Pod
from nodeagent.runtime.base import Container, State
from tests.unit.nodeagent.builders import make_container, make_sandbox

NOW = 1000.0


@dataclass
class World:
    """A runtime in memory that carries out plans; `stubborn` containers ignore TERM."""

    pod: Pod | None
    containers: dict[str, Container] = field(default_factory=dict)
    stops: dict[str, Stop] = field(default_factory=dict)
    stubborn: frozenset[str] = frozenset()
    pulled: set[str] = field(default_factory=set)
    has_files: bool = False
    finished: bool = False
    now: float = NOW

    def observe(self) -> Observed:
        names = [c.name for c in self.pod.spec.containers] if self.pod else []
        return Observed(
            containers=tuple(self.containers.values()),
            stops=dict(self.stops),
            images={n: ImageReady() if n in self.pulled else ImageNeeded() for n in names},
            has_files=self.has_files,
        )

    def plan(self) -> Plan:
        return Plan() if self.finished else plan(self.pod, self.observe(), self.now)

    def apply(self, action: Action) -> None:
        match action:
            case PullImage():
                self.pulled.add(action.container)
            case CreateSandbox():
                sandbox = make_sandbox(action.attempt)
                assert sandbox.id not in self.containers
                self.containers[sandbox.id] = sandbox
                self.has_files = True
            case StartContainer():
                sandbox = next(c for c in self.containers.values() if c.is_sandbox and c.running)
                started = make_container(
                    action.container, action.attempt, crashes=action.crashes, started=self.now, sandbox=sandbox.id
                )
                assert started.id not in self.containers, "an attempt is used once"
                self.containers[started.id] = started
            case StopContainer():
                self.stops[action.id] = Stop(self.now + action.grace_s if action.grace_s > 0 else None)
                if action.grace_s <= 0 or self.containers[action.id].container not in self.stubborn:
                    self.end(action.id)
            case KillContainer():
                self.end(action.id)
            case RemoveContainers():
                for container_id in action.ids:
                    self.containers.pop(container_id)
                    self.stops.pop(container_id, None)
            case RemoveFiles():
                self.has_files = False
            case FinishDeletion():
                self.finished = True
        self.check()

    def end(self, container_id: str) -> None:
        old = self.containers[container_id]
        self.containers[container_id] = replace(old, state=State.EXITED, exit_code=137, ended=self.now, pid=0)
        self.stops.pop(container_id, None)

    def check(self) -> None:
        """What must hold at every moment."""
        running = [c for c in self.containers.values() if c.running]
        names = [c.container for c in running]
        assert len(names) == len(set(names)), f"two attempts run at once: {names}"

    def settle(self, steps: int | None = None) -> int:
        """Plan and apply until nothing is left to do, or for so many actions; how many were applied."""
        done = 0
        for _ in range(200):
            result = self.plan()
            if not result.actions:
                if result.wake_at is None or self.finished:
                    return done
                self.now = max(self.now, result.wake_at)
                continue
            for action in result.actions:
                if done == steps:
                    return done
                self.apply(action)
                done += 1
        raise AssertionError("it does not settle")
