"""What must hold of the planner whatever happens: it converges, and an interruption anywhere changes nothing."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from nodeagent.runtime.base import SANDBOX, State
from tests.unit.nodeagent.builders import make_container, make_pod, make_sandbox
from tests.unit.nodeagent.world import World

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
