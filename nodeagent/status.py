"""What the API hears about a pod: phase, conditions and one state for each container. Pure.

`agent.py` patches it into `pods/status` when it differs from what the API has. Transition times move only when the
status of a condition does.

Follows pkg/kubelet/kubelet_pods.go (getPhase, convertStatusToAPIStatus) and pkg/kubelet/status/generate.go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from controlplane.api.types import (
    Condition,
    ContainerState,
    ContainerStateRunning,
    ContainerStateTerminated,
    ContainerStateWaiting,
    ContainerStatus,
    PodIP,
    PodStatus,
)
from nodeagent.limits import qos_class
from nodeagent.plan import CREATING, Waiting
from nodeagent.pods import Container as Spec
from nodeagent.pods import Pod
from nodeagent.runtime.base import Container, State

_SIGNAL_BASE = 128


@dataclass(frozen=True)
class Health:
    """What the probes say of one container: its startup probe has passed, its readiness probe passes."""

    started: bool
    ready: bool


@dataclass(frozen=True)
class Facts:
    """Everything besides the pod that its status depends on."""

    containers: Sequence[Container]
    waiting: Mapping[str, Waiting]
    health: Mapping[str, Health]
    """By container id; running containers without an entry have no probes."""
    host_ip: str
    messages: Mapping[str, str] = field(default_factory=dict)
    """Termination messages by container id."""


def pod_status(pod: Pod, facts: Facts, now: datetime) -> PodStatus:
    """The status of the pod as of `now` (the wall clock, which only stamps changes)."""
    now = now.replace(microsecond=0)
    statuses = [_container_status(pod, spec, facts) for spec in pod.spec.containers]
    sandbox = next((c for c in facts.containers if c.is_sandbox and c.running), None)
    before = pod.status
    phase = before.phase if pod.finished else _phase(pod.spec.restart_policy, statuses)
    ip = sandbox.ip if sandbox is not None else before.pod_ip
    return PodStatus(
        phase=phase,
        conditions=_conditions(pod, phase, statuses, sandbox is not None, now),
        reason=before.reason,
        message=before.message,
        host_ip=facts.host_ip,
        pod_ip=ip,
        pod_ips=[PodIP(ip)] if ip else None,
        start_time=before.start_time or now,
        container_statuses=statuses,
        qos_class=before.qos_class or qos_class(pod.spec),
    )


# --- containers -------------------------------------------------------------------------------------------------


def _container_status(pod: Pod, spec: Spec, facts: Facts) -> ContainerStatus:
    mine = sorted((c for c in facts.containers if c.container == spec.name), key=lambda c: c.attempt, reverse=True)
    reported = pod.reported(spec.name)
    waiting = facts.waiting.get(spec.name)
    ran = [c for c in mine if c.state is not State.CREATED]
    if not ran:
        return _without_container(pod, spec, reported, waiting)
    latest, previous = ran[0], (ran[1] if len(ran) > 1 else None)
    last = _terminated(previous, facts, reported) if previous is not None else None
    if last is None and reported is not None and reported.container_id == _id(latest):
        last = reported.last_state.terminated
    if latest.running:
        health = facts.health.get(latest.id, Health(True, True))
        state = ContainerState(running=_running(latest, reported))
        started, ready = health.started, health.started and health.ready
    else:
        ended = _terminated(latest, facts, reported)
        started, ready = False, False
        state = ContainerState(terminated=ended)
        if waiting is not None:
            state = ContainerState(waiting=ContainerStateWaiting(waiting.reason, waiting.message))
            last = ended
    return ContainerStatus(
        name=spec.name,
        state=state,
        last_state=ContainerState(terminated=last),
        ready=ready,
        restart_count=latest.attempt,
        image=latest.image or spec.image,
        image_id=latest.image_id,
        container_id=_id(latest),
        started=started,
    )


def _running(container: Container, reported: ContainerStatus | None) -> ContainerStateRunning:
    """Since when it runs; an agent that was restarted measures it less well than the one that started it said."""
    if reported is not None and reported.container_id == _id(container) and reported.state.running is not None:
        return reported.state.running
    return ContainerStateRunning(_seconds(container.started_at))


def _without_container(
    pod: Pod, spec: Spec, reported: ContainerStatus | None, waiting: Waiting | None
) -> ContainerStatus:
    """No container that ran is there: it waits, or its end is remembered, or its run was lost."""
    if reported is not None and pod.ran_before(spec.name) is not None:
        lost = (
            reported.state.terminated
            or reported.last_state.terminated
            or ContainerStateTerminated(
                exit_code=137,
                reason="ContainerStatusUnknown",
                message="The container could not be located when the pod was observed",
                started_at=reported.state.running.started_at if reported.state.running else None,
                container_id=reported.container_id,
            )
        )
        state, last = ContainerState(terminated=lost), reported.last_state
        if waiting is not None:
            state = ContainerState(waiting=ContainerStateWaiting(waiting.reason, waiting.message))
            last = ContainerState(terminated=lost)
        return ContainerStatus(
            name=spec.name, state=state, last_state=last, ready=False, restart_count=reported.restart_count,
            image=reported.image, image_id=reported.image_id, container_id=reported.container_id, started=False,
        )  # fmt: skip
    why = waiting or CREATING
    if pod.terminating and waiting is None:
        why = Waiting("PodTerminating", "the pod was deleted before the container started")
    state = ContainerState(waiting=ContainerStateWaiting(why.reason, why.message))
    return ContainerStatus(name=spec.name, state=state, ready=False, image=spec.image, started=False)


def _terminated(container: Container, facts: Facts, reported: ContainerStatus | None) -> ContainerStateTerminated:
    """How a container ended; what the API was told before about the same container fills what was forgotten."""
    code = container.exit_code if container.exit_code is not None else 255
    known = _known(container, reported)
    oom = container.oom_killed or (known is not None and known.reason == "OOMKilled")
    return ContainerStateTerminated(
        exit_code=code,
        signal=0,
        reason=_reason(container, code, oom),
        message=container.error or facts.messages.get(container.id, ""),
        started_at=_seconds(container.started_at) or (known.started_at if known else None),
        finished_at=_seconds(container.finished_at) or (known.finished_at if known else None),
        container_id=_id(container),
    )


def _known(container: Container, reported: ContainerStatus | None) -> ContainerStateTerminated | None:
    if reported is None:
        return None
    for state in (reported.state, reported.last_state):
        if state.terminated is not None and state.terminated.container_id == _id(container):
            return state.terminated
    return None


def _reason(container: Container, code: int, oom: bool) -> str:
    if container.error:
        return "StartError"
    if container.finished_at is None and code == 255:
        return "Unknown"
    if oom:
        return "OOMKilled"
    return "Completed" if code == 0 else "Error"


def _id(container: Container) -> str:
    return f"containerd://{container.id}" if container.id and not container.error else ""


def _seconds(at: datetime | None) -> datetime | None:
    return at.replace(microsecond=0) if at is not None else None


# --- the pod ----------------------------------------------------------------------------------------------------


def _phase(restart_policy: str, statuses: Sequence[ContainerStatus]) -> str:
    """Follows getPhase: a container that waits for its next try counts as stopped."""
    running = sum(1 for s in statuses if s.state.running)
    ends = [s.state.terminated or (s.last_state.terminated if s.state.waiting else None) for s in statuses]
    stopped = [e for e in ends if e is not None]
    never_ran = sum(1 for s, e in zip(statuses, ends, strict=True) if s.state.running is None and e is None)
    if never_ran:
        return "Pending"
    if running:
        return "Running"
    if not stopped:
        return "Pending"
    if restart_policy == "Always":
        return "Running"
    if all(e.exit_code == 0 for e in stopped):
        return "Succeeded"
    return "Failed" if restart_policy == "Never" else "Running"


def _conditions(
    pod: Pod, phase: str, statuses: Sequence[ContainerStatus], has_sandbox: bool, now: datetime
) -> list[Condition]:
    unready = [s.name for s in statuses if not s.ready]
    reason, message = "", ""
    if phase in ("Succeeded", "Failed"):
        reason = "PodCompleted" if phase == "Succeeded" else "PodFailed"
    elif unready:
        reason, message = "ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]"
    ready = "False" if reason else "True"
    wanted = [
        Condition(type="PodReadyToStartContainers", status="True" if has_sandbox else "False"),
        Condition(type="Initialized", status="True", reason="PodCompleted" if phase == "Succeeded" else ""),
        Condition(type="Ready", status=ready, reason=reason, message=message),
        Condition(type="ContainersReady", status=ready, reason=reason, message=message),
        Condition(type="PodScheduled", status="True"),
    ]
    old = {c.type: c for c in pod.status.conditions or ()}
    for condition in wanted:
        known = old.get(condition.type)
        same = known is not None and known.status == condition.status
        condition.last_transition_time = known.last_transition_time if known is not None and same else now
    return wanted
