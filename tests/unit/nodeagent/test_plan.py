"""The planner: one table of transitions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

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
    PullImage,
    RemoveContainers,
    RemoveFiles,
    StartContainer,
    StopContainer,
    plan,
)
from nodeagent.pods import Pod
from nodeagent.runtime.base import Container, State
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
    "new pod without its image: pulled while the sandbox is made": (
        make_pod(),
        observed(images={"c": ImageNeeded()}),
        (PullImage("c"), CreateSandbox(0)),
        "ContainerCreating",
    ),
    "image being pulled: the container waits": (
        make_pod(),
        observed(make_sandbox(), images={"c": ImagePulling("half")}),
        (),
        "ContainerCreating",
    ),
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
    "deleted with grace 0: the API knows already, a finalizer keeps the object": (
        make_pod(deleted_grace_s=0),
        observed(has_files=False),
        (),
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
