"""The planner: one table of transitions, and the properties that must hold whatever happens."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodeagent.observe import Stop
from nodeagent.plan import (
    Action,
    CreateSandbox,
    FinishDeletion,
    ImageFailed,
    ImageNeeded,
    ImagePulling,
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
from nodeagent.runtime.base import SANDBOX, Container, State
from tests.unit.nodeagent.builders import make_container, make_pod, make_sandbox

NOW = 1000.0
READY = {"c": ImageReady()}


def observed(*containers: Container, **fields: Any) -> Observed:
    return Observed(containers=containers, **{"images": READY, "has_files": True, **fields})


EXITED = State.EXITED
FIRST_EXIT = make_container(state=EXITED)
SECOND_EXIT = make_container(attempt=1, state=EXITED, crashes=1)

CASES = {
    "new pod: sandbox, then container": (
        make_pod(),
        observed(),
        (CreateSandbox(0), StartContainer("c", 0, 0)),
        "ContainerCreating",
    ),
    "new pod without its image: pull first": (
        make_pod(),
        observed(images={"c": ImageNeeded()}),
        (PullImage("c"),),
        "ContainerCreating",
    ),
    "image being pulled: wait": (make_pod(), observed(images={"c": ImagePulling("half")}), (), "ContainerCreating"),
    "image failed: wait with its reason": (
        make_pod(),
        observed(images={"c": ImageFailed("ImagePullBackOff", "no", 1010.0)}),
        (),
        "ImagePullBackOff",
    ),
    "running: nothing to do": (make_pod(), observed(make_sandbox(), make_container()), (), None),
    "first crash: again at once": (
        make_pod(),
        observed(make_sandbox(), FIRST_EXIT),
        (StartContainer("c", 1, 1),),
        "ContainerCreating",
    ),
    "second crash: back-off": (
        make_pod(),
        observed(make_sandbox(), replace(SECOND_EXIT, ended=995.0)),
        (),
        "CrashLoopBackOff",
    ),
    "second crash: back-off is over": (
        make_pod(),
        observed(make_sandbox(), replace(SECOND_EXIT, ended=990.0)),
        (StartContainer("c", 2, 2),),
        "ContainerCreating",
    ),
    "crash after ten clean minutes: forgotten": (
        make_pod(),
        observed(make_sandbox(), replace(SECOND_EXIT, crashes=6, started=300.0, ended=999.0)),
        (StartContainer("c", 2, 1),),
        "ContainerCreating",
    ),
    "ended by the fence or with its machine: again at once, and no crash": (
        make_pod(),
        observed(make_sandbox(), replace(SECOND_EXIT, ended=999.0, blameless=True)),
        (StartContainer("c", 2, 1),),
        "ContainerCreating",
    ),
    "Never: ended is finished, the sandbox goes": (
        make_pod(policy="Never"),
        observed(make_sandbox(), FIRST_EXIT),
        (RemoveContainers(("POD-0",)),),
        None,
    ),
    "OnFailure: success is finished": (
        make_pod(policy="OnFailure"),
        observed(replace(FIRST_EXIT, exit_code=0)),
        (),
        None,
    ),
    "OnFailure: failure runs again": (
        make_pod(policy="OnFailure"),
        observed(make_sandbox(), FIRST_EXIT),
        (StartContainer("c", 1, 1),),
        "ContainerCreating",
    ),
    "the sandbox died: its container is stopped first": (
        make_pod(),
        observed(make_sandbox(state=EXITED), make_container()),
        (StopContainer("c-0", 30, "Stopping container c: its sandbox is gone"), RemoveContainers(("POD-0",))),
        None,
    ),
    "the sandbox and its container died: a new one of each": (
        make_pod(),
        observed(make_sandbox(state=EXITED), FIRST_EXIT),
        (RemoveContainers(("POD-0",)), CreateSandbox(1), StartContainer("c", 1, 1)),
        "ContainerCreating",
    ),
    "created but never started: removed, same attempt": (
        make_pod(),
        observed(make_sandbox(), make_container(state=State.CREATED)),
        (RemoveContainers(("c-0",)), StartContainer("c", 0, 0)),
        "ContainerCreating",
    ),
    "the image changed: the running container is replaced": (
        make_pod(container={"image": "busybox:2"}),
        observed(make_sandbox(), make_container()),
        (StopContainer("c-0", 30, "Container c definition changed, will be restarted"),),
        None,
    ),
    "liveness failed: stopped": (
        make_pod(),
        observed(make_sandbox(), make_container(), unhealthy={"c-0": "dead"}),
        (StopContainer("c-0", 30, "dead"),),
        None,
    ),
    "liveness failed with a grace period of its own": (
        make_pod(container={"livenessProbe": {"terminationGracePeriodSeconds": 3, "exec": {"command": ["x"]}}}),
        observed(make_sandbox(), make_container(), unhealthy={"c-0": "dead"}),
        (StopContainer("c-0", 3, "dead"),),
        None,
    ),
    "two old attempts: only the newest dead one stays beside the running one": (
        make_pod(),
        observed(
            make_sandbox(), make_container(state=EXITED), make_container(attempt=1, state=EXITED),
            make_container(attempt=2),
        ),
        (RemoveContainers(("c-0",)),),
        None,
    ),
    "deleted: TERM": (
        make_pod(deleted_grace_s=5),
        observed(make_sandbox(), make_container()),
        (StopContainer("c-0", 5, "Stopping container c"),),
        None,
    ),
    "deleted, TERM sent: wait": (
        make_pod(deleted_grace_s=5),
        observed(make_sandbox(), make_container(), stops={"c-0": Stop(1003.0)}),
        (),
        None,
    ),
    "deleted, grace is over: KILL": (
        make_pod(deleted_grace_s=5),
        observed(make_sandbox(), make_container(), stops={"c-0": Stop(1000.0)}),
        (KillContainer("c-0"),),
        None,
    ),
    "deleted again with less grace: TERM with the shorter time": (
        make_pod(deleted_grace_s=1),
        observed(make_sandbox(), make_container(), stops={"c-0": Stop(1029.0)}),
        (StopContainer("c-0", 1, "Stopping container c"),),
        None,
    ),
    "deleted, KILL sent: wait for the end": (
        make_pod(deleted_grace_s=5),
        observed(make_sandbox(), make_container(), stops={"c-0": Stop(None)}),
        (),
        None,
    ),
    "deleted and ended: everything goes, the API last": (
        make_pod(deleted_grace_s=5),
        observed(make_sandbox(), FIRST_EXIT),
        (RemoveContainers(("c-0", "POD-0")), RemoveFiles(), FinishDeletion()),
        None,
    ),
    "deleted before it started": (
        make_pod(deleted_grace_s=5),
        observed(has_files=False),
        (FinishDeletion(),),
        None,
    ),
    "orphan: stopped with its own grace": (
        None,
        observed(make_sandbox(), make_container(grace_s=7)),
        (StopContainer("c-0", 7, "Stopping container c"),),
        None,
    ),
    "orphan that ended: removed": (
        None,
        observed(make_sandbox(), FIRST_EXIT),
        (RemoveContainers(("c-0", "POD-0")), RemoveFiles()),
        None,
    ),
    "only folders are left of a pod": (None, observed(), (RemoveFiles(),), None),
    "refused: not started": (make_pod(spec={"hostNetwork": True}), observed(), (), "CreateContainerConfigError"),
    "finished: the last container stays for its log": (
        make_pod(status={"phase": "Succeeded"}),
        observed(make_sandbox(), make_container(state=EXITED), make_container(attempt=1, state=EXITED)),
        (RemoveContainers(("c-0", "POD-0")),),
        None,
    ),
    "finished: never again": (make_pod(status={"phase": "Failed"}), observed(), (), None),
    "the runtime forgot a container that ran: that run counts": (
        make_pod(status={"containerStatuses": [{"name": "c", "restartCount": 4, "containerID": "containerd://x"}]}),
        observed(make_sandbox()),
        (StartContainer("c", 5, 1),),
        "ContainerCreating",
    ),
    "the runtime forgot a container that ran, Never: not again": (
        make_pod(
            policy="Never", status={"containerStatuses": [{"name": "c", "containerID": "containerd://x"}]}
        ),
        observed(),
        (),
        None,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("pod", "seen", "actions", "waiting"), CASES.values(), ids=CASES.keys())
def test_transition(pod: Pod | None, seen: Observed, actions: tuple[Action, ...], waiting: str | None) -> None:
    result = plan(pod, seen, NOW)
    assert result.actions == actions
    assert (result.waiting["c"].reason if result.waiting else None) == waiting


def test_back_off_says_when_the_next_try_is() -> None:
    ended = replace(SECOND_EXIT, ended=995.0)
    result = plan(make_pod(), observed(make_sandbox(), ended), NOW)
    assert result.wake_at == 1005.0
    assert result.waiting["c"].message.startswith("back-off 10s restarting failed container=c pod=web_default(")
    assert "(next try at 12:00:10 UTC)" in result.waiting["c"].message


def test_refusal_names_every_field() -> None:
    pod = make_pod(spec={"hostNetwork": True, "runtimeClassName": "x"})
    assert plan(pod, observed(), NOW).waiting["c"].message == (
        "this node can't honour spec.hostNetwork, spec.runtimeClassName"
    )


def test_containers_start_though_another_one_waits_for_its_image() -> None:
    seen = observed(images={"a": ImageReady(), "b": ImageNeeded()})
    assert plan(make_pod("a", "b"), seen, NOW).actions == (
        PullImage("b"),
        CreateSandbox(0),
        StartContainer("a", 0, 0),
    )


# --- properties -----------------------------------------------------------------------------------------------------


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


POLICIES = st.sampled_from(["Always", "OnFailure", "Never"])
STATES = st.sampled_from([State.CREATED, State.RUNNING, State.EXITED])


@st.composite
def worlds(draw: st.DrawFn) -> World:
    names = draw(st.sampled_from([("c",), ("c", "d"), ("c", "d", "e")]))
    deleted = draw(st.sampled_from([None, 0, 5]))
    refused = {"hostNetwork": True} if draw(st.integers(0, 9)) == 0 else {}
    pod = make_pod(*names, policy=draw(POLICIES), deleted_grace_s=deleted, spec=refused)
    world = World(pod if draw(st.integers(0, 5)) else None)
    world.stubborn = frozenset(n for n in names if draw(st.booleans()))
    world.pulled = {n for n in names if draw(st.booleans())}
    sandboxes = draw(st.integers(0, 2))
    for attempt in range(sandboxes):
        last = attempt == sandboxes - 1
        sandbox = make_sandbox(attempt, draw(STATES) if last else State.EXITED)
        world.containers[sandbox.id] = sandbox
    for name in (*names, "stranger") if draw(st.integers(0, 4)) == 0 else names:
        attempts = draw(st.integers(0, 3)) if sandboxes else 0
        for attempt in range(attempts):
            state = draw(STATES) if attempt == attempts - 1 else State.EXITED
            box = draw(st.sampled_from([f"{SANDBOX}-{n}" for n in range(sandboxes)]))
            code = draw(st.sampled_from([0, 1])) if state is State.EXITED else None
            crashes = draw(st.integers(0, 5))
            made = make_container(name, attempt, state, sandbox=box, exit_code=code, crashes=crashes)
            world.containers[made.id] = made
    world.has_files = bool(sandboxes) or draw(st.booleans())
    return world


@settings(max_examples=300, deadline=None)
@given(worlds())
def test_applying_plans_leaves_an_empty_plan(world: World) -> None:
    world.settle()
    assert world.plan().actions == ()
    if world.pod is None or world.pod.terminating:
        assert world.containers == {}
        assert not world.has_files


@settings(max_examples=300, deadline=None)
@given(worlds(), st.integers(0, 12))
def test_an_interruption_after_any_action_still_converges(world: World, interrupted_after: int) -> None:
    """The agent dies in the middle of a plan: what it remembered of stops is lost, the rest is the runtime's."""
    untouched = World(
        world.pod, dict(world.containers), {}, world.stubborn, set(world.pulled), world.has_files
    )  # fmt: skip
    world.settle(interrupted_after)
    world.stops.clear()
    world.settle()
    untouched.settle()
    assert _running(world) == _running(untouched)
    assert world.finished == untouched.finished


def _running(world: World) -> set[str]:
    return {c.container for c in world.containers.values() if c.running}


@settings(max_examples=200, deadline=None)
@given(worlds())
def test_a_finished_pod_never_runs_again(world: World) -> None:
    if world.pod is None:
        return
    world.pod = replace(world.pod, status=make_pod(status={"phase": "Failed"}).status)
    before = set(world.containers)
    world.settle()
    assert set(world.containers) <= before
    assert not any(c.running for c in world.containers.values())
