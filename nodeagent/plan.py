"""What to do next for one pod: its spec, what runs, and the time go in; a few actions and explanations come out.

Pure: no clock, no I/O, no names or ids made here. What must hold:
- applying the actions and planning again gives an empty plan, and an interruption after any action still gets there;
- two attempts of one container never run at once, and no container runs outside the pod's own sandbox;
- a pod that can't be honoured whole is not started; a pod that has finished never runs again.

`agent.py` calls it, `apply.py` carries it out. Follows kubelet's kuberuntime `computePodActions` and `doBackOff`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from nodeagent import backoff
from nodeagent.observe import Stop
from nodeagent.pods import Container as Spec
from nodeagent.pods import Pod
from nodeagent.runtime.base import Container, State

Instant = float
"""Seconds on this machine's monotonic clock."""


# --- what the planner sees besides the pod --------------------------------------------------------------------------


@dataclass(frozen=True)
class ImageReady:
    """The image is here for the container's next start."""


@dataclass(frozen=True)
class ImageNeeded:
    """It has to be pulled (again), and nobody does so yet."""


@dataclass(frozen=True)
class ImagePulling:
    """A pull is under way."""

    message: str = ""


@dataclass(frozen=True)
class ImageFailed:
    """The last pull failed, or none is allowed; `retry_at` is when the next may start, None for never."""

    reason: str
    message: str
    retry_at: Instant | None


ImageState = ImageReady | ImageNeeded | ImagePulling | ImageFailed


@dataclass(frozen=True)
class Observed:
    """The pod's containers and sandboxes (all attempts), what stops or is unhealthy, and its images by container."""

    containers: tuple[Container, ...] = ()
    stops: Mapping[str, Stop] = field(default_factory=dict)
    unhealthy: Mapping[str, str] = field(default_factory=dict)
    """Container id → the message to give, for containers whose liveness or startup probe failed."""
    images: Mapping[str, ImageState] = field(default_factory=dict)
    has_files: bool = False
    """Whether the pod has folders, mounts or cgroups of its own on the machine."""


# --- what comes out -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PullImage:
    container: str


@dataclass(frozen=True)
class CreateSandbox:
    attempt: int


@dataclass(frozen=True)
class StartContainer:
    container: str
    attempt: int
    crashes: int


@dataclass(frozen=True)
class StopContainer:
    """Send TERM and remember to send KILL after `grace_s`; at once KILL when that is 0."""

    id: str
    grace_s: float
    message: str


@dataclass(frozen=True)
class KillContainer:
    id: str


@dataclass(frozen=True)
class RemoveContainers:
    ids: tuple[str, ...]


@dataclass(frozen=True)
class RemoveFiles:
    """Remove the pod's folders, mounts and cgroups."""


@dataclass(frozen=True)
class FinishDeletion:
    """Nothing of a deleted pod is left on this node: take it out of the API."""


Action = (
    PullImage
    | CreateSandbox
    | StartContainer
    | StopContainer
    | KillContainer
    | RemoveContainers
    | RemoveFiles
    | FinishDeletion
)


@dataclass(frozen=True)
class Waiting:
    """Why a container doesn't run, as its status and events say it."""

    reason: str
    message: str = ""


@dataclass(frozen=True)
class Plan:
    """Actions in order, the reasons for what waits, and when to look again though nothing happened."""

    actions: tuple[Action, ...] = ()
    waiting: Mapping[str, Waiting] = field(default_factory=dict)
    wake_at: Instant | None = None
    finished: bool = False
    """All containers have ended for good."""


CREATING = Waiting("ContainerCreating")


def plan(pod: Pod | None, observed: Observed, now: Instant) -> Plan:
    """The next steps for a pod; `pod` is None for containers whose pod isn't bound to this node (any more)."""
    if pod is None:
        return _tear_down(observed, now, grace_s=None, deleted=False)
    if pod.terminating:
        return _tear_down(observed, now, grace_s=pod.grace_s, deleted=True)
    if pod.finished:
        return _rest(pod, observed, now)
    if pod.refused:  # what runs, from before this agent refused it, is left alone
        why = Waiting("CreateContainerConfigError", f"this node can't honour {', '.join(pod.refused)}")
        running = {c.container for c in observed.containers if c.running}
        return Plan(waiting={c.name: why for c in pod.spec.containers if c.name not in running})
    return _run(pod, observed, now)


# --- ending -----------------------------------------------------------------------------------------------------


def _tear_down(observed: Observed, now: Instant, grace_s: float | None, deleted: bool) -> Plan:
    """Stop everything, then remove everything, then say so."""
    running = [c for c in observed.containers if c.running and not c.is_sandbox]
    if running:
        stops = [
            _stop(c, observed, now, c.grace_s if grace_s is None else grace_s, f"Stopping container {c.container}")
            for c in running
        ]
        return Plan(tuple(a for a, _ in stops if a), wake_at=_earliest(w for _, w in stops))
    actions: list[Action] = []
    if observed.containers:
        actions.append(RemoveContainers(tuple(c.id for c in _sandboxes_last(observed.containers))))
    if observed.has_files or observed.containers:
        actions.append(RemoveFiles())
    if deleted and grace_s != 0:  # with 0 the API was told already, and only finalizers keep the object
        actions.append(FinishDeletion())
    return Plan(tuple(actions), finished=True)


def _rest(pod: Pod, observed: Observed, now: Instant) -> Plan:
    """A finished pod keeps its last containers for their logs, and nothing else."""
    running = [c for c in observed.containers if c.running and not c.is_sandbox]
    if running:
        stops = [_stop(c, observed, now, pod.grace_s, f"Stopping container {c.container}") for c in running]
        return Plan(tuple(a for a, _ in stops if a), wake_at=_earliest(w for _, w in stops), finished=True)
    latest = {c.id for c in latest_runs(pod, observed.containers).values()}
    gone = tuple(c.id for c in _sandboxes_last(observed.containers) if c.id not in latest)
    return Plan((RemoveContainers(gone),) if gone else (), finished=True)


def _stop(
    container: Container, observed: Observed, now: Instant, grace_s: float, message: str
) -> tuple[Action | None, Instant | None]:
    """The next signal for a running container, if it is time for one, and when to look again."""
    stop = observed.stops.get(container.id)
    if stop is None:
        return StopContainer(container.id, grace_s, message), now + grace_s
    if stop.kill_at is None:
        return None, None
    if stop.kill_at > now + grace_s:  # deleted again, with a shorter grace period
        return StopContainer(container.id, grace_s, message), now + grace_s
    if stop.kill_at <= now:
        return KillContainer(container.id), None
    return None, stop.kill_at


# --- running ----------------------------------------------------------------------------------------------------


def _run(pod: Pod, observed: Observed, now: Instant) -> Plan:
    sandboxes = [c for c in observed.containers if c.is_sandbox]
    alive = [c for c in sandboxes if c.running]
    sandbox = max(alive, key=lambda c: c.attempt, default=None)
    latest = latest_runs(pod, observed.containers)
    decisions = {c.name: _decide(pod, c, latest.get(c.name), sandbox, observed, now) for c in pod.spec.containers}

    stops = [d for d in decisions.values() if d.action and isinstance(d.action, StopContainer | KillContainer)]
    for orphan in (c for c in observed.containers if c.running and not c.is_sandbox and c.container not in decisions):
        action, wake = _stop(orphan, observed, now, pod.grace_s, f"Stopping container {orphan.container}")
        stops.append(_Decision(action=action, wake_at=wake))
    actions: list[Action] = [d.action for d in stops if d.action]

    starts = [d for d in decisions.values() if isinstance(d.action, StartContainer)]
    wakes = [d.wake_at for d in [*decisions.values(), *stops]]
    finished = bool(decisions) and all(d.finished for d in decisions.values())
    runs_without_sandbox = sandbox is None and any(c.running for c in observed.containers if not c.is_sandbox)

    kept = _kept(observed, latest)
    dead = [c for c in _sandboxes_last(observed.containers) if not c.running and c.id not in kept]
    if finished and sandbox is not None:
        dead.append(sandbox)
    if dead:
        actions.append(RemoveContainers(tuple(c.id for c in dead)))
    actions += [d.action for d in decisions.values() if isinstance(d.action, PullImage)]
    if not runs_without_sandbox:
        if sandbox is None and any(d.needs_sandbox for d in decisions.values()):
            actions.append(CreateSandbox(max((c.attempt + 1 for c in sandboxes), default=0)))
        actions += [d.action for d in starts if d.action]
    waiting = {name: d.waiting for name, d in decisions.items() if d.waiting}
    return Plan(tuple(actions), waiting, _earliest(wakes), finished)


@dataclass(frozen=True)
class _Decision:
    action: Action | None = None
    waiting: Waiting | None = None
    wake_at: Instant | None = None
    finished: bool = False
    needs_sandbox: bool = False
    """It starts now, or as soon as its image is here: the sandbox is made while the image is pulled."""


def _decide(
    pod: Pod, spec: Spec, latest: Container | None, sandbox: Container | None, observed: Observed, now: Instant
) -> _Decision:
    """What one container of the spec needs."""
    if latest is not None and latest.running:
        why = _why_stop(spec, latest, sandbox, observed)
        if why is None and latest.id not in observed.stops:
            return _Decision()
        grace_s = _grace_s(pod, spec, latest, observed)
        action, wake = _stop(latest, observed, now, grace_s, why or f"Stopping container {spec.name}")
        return _Decision(action=action, wake_at=wake)
    if latest is not None:
        return _after_end(pod, spec, latest, observed, now)
    before = pod.ran_before(spec.name)
    if before is not None:
        return _after_loss(pod, spec, before.restart_count, observed)
    return _when_image_ready(spec, StartContainer(spec.name, 0, 0), observed)


def _why_stop(spec: Spec, latest: Container, sandbox: Container | None, observed: Observed) -> str | None:
    if sandbox is None or latest.sandbox not in ("", sandbox.id):
        return f"Stopping container {spec.name}: its sandbox is gone"
    if latest.id in observed.unhealthy:
        return observed.unhealthy[latest.id]
    if latest.spec_hash != spec.spec_hash:
        return f"Container {spec.name} definition changed, will be restarted"
    return None


def _grace_s(pod: Pod, spec: Spec, latest: Container, observed: Observed) -> float:
    if latest.id in observed.unhealthy:
        for probe in (spec.liveness_probe, spec.startup_probe):
            if probe is not None and probe.termination_grace_period_seconds is not None:
                return probe.termination_grace_period_seconds
    return pod.grace_s


def _after_end(pod: Pod, spec: Spec, latest: Container, observed: Observed, now: Instant) -> _Decision:
    """A container that ran: finished, waiting out its back-off, or due for the next attempt."""
    if not _restarts(pod.spec.restart_policy, latest.exit_code):
        return _Decision(finished=True)
    if latest.blameless:
        return _when_image_ready(spec, StartContainer(spec.name, latest.attempt + 1, latest.crashes), observed)
    ended = latest.ended if latest.ended is not None else now
    ran_s = ended - latest.started if latest.started is not None else 0.0
    wait_s = backoff.delay_s(backoff.crashes_at_end(latest.crashes, ran_s))
    due = ended + wait_s
    start = StartContainer(spec.name, latest.attempt + 1, backoff.crashes_before_next(latest.crashes, ran_s))
    if due <= now:
        return _when_image_ready(spec, start, observed)
    message = f"back-off {backoff.shown(wait_s)} restarting failed container={spec.name}"
    message += f" pod={pod.name}_{pod.namespace}({pod.uid})"
    if latest.finished_at is not None:
        next_try = latest.finished_at + timedelta(seconds=wait_s)
        message += f" (next try at {next_try:%H:%M:%S} UTC)"
    return _Decision(waiting=Waiting("CrashLoopBackOff", message), wake_at=due)


def _after_loss(pod: Pod, spec: Spec, restarts: int, observed: Observed) -> _Decision:
    """The API knows of a run that the runtime has forgotten: that run counts, with an unknown end."""
    if not _restarts(pod.spec.restart_policy, None):
        return _Decision(finished=True)
    return _when_image_ready(spec, StartContainer(spec.name, restarts + 1, 1), observed)


def _restarts(policy: str, exit_code: int | None) -> bool:
    return policy == "Always" or (policy == "OnFailure" and exit_code != 0)


def _when_image_ready(spec: Spec, start: StartContainer, observed: Observed) -> _Decision:
    image = observed.images.get(spec.name, ImageNeeded())
    if isinstance(image, ImageReady):
        return _Decision(action=start, waiting=CREATING, needs_sandbox=True)
    if isinstance(image, ImageNeeded):
        return _Decision(action=PullImage(spec.name), waiting=CREATING, needs_sandbox=True)
    if isinstance(image, ImagePulling):
        return _Decision(waiting=Waiting("ContainerCreating", image.message), needs_sandbox=True)
    return _Decision(waiting=Waiting(image.reason, image.message), wake_at=image.retry_at)


# --- helpers ----------------------------------------------------------------------------------------------------


def latest_runs(pod: Pod, containers: Iterable[Container]) -> dict[str, Container]:
    """The newest attempt of each container that ran. One that was created but never started doesn't count, unless
    the API was told that it ran: then it did, whatever the runtime remembers."""
    newest: dict[str, Container] = {}
    for c in containers:
        if c.is_sandbox:
            continue
        reported = pod.reported(c.container)
        told = reported is not None and bool(c.id) and reported.container_id.endswith(c.id)
        if c.state is State.CREATED and not told:
            continue
        if c.container not in newest or c.attempt > newest[c.container].attempt:
            newest[c.container] = c
    return newest


def next_attempt(pod: Pod, container: str, containers: Iterable[Container]) -> int:
    """The number of the container's next start: one more than the last that ran, or was reported to run."""
    latest = latest_runs(pod, containers).get(container)
    if latest is not None:
        return latest.attempt + 1
    before = pod.ran_before(container)
    return before.restart_count + 1 if before is not None else 0


def _kept(observed: Observed, latest: Mapping[str, Container]) -> set[str]:
    """Dead containers that stay: the newest attempt that ran and the one before it, for `kubectl logs --previous`."""
    kept = {c.id for c in latest.values()}
    for name, newest in latest.items():
        older = [c for c in observed.containers if c.container == name and c.attempt < newest.attempt]
        if older:
            kept.add(max(older, key=lambda c: c.attempt).id)
    return kept


def _sandboxes_last(containers: Iterable[Container]) -> list[Container]:
    return sorted(containers, key=lambda c: (c.is_sandbox, c.container, c.attempt))


def _earliest(times: Iterable[Instant | None]) -> Instant | None:
    return min((t for t in times if t is not None), default=None)
