"""Carries out a plan, one action after the other; the first failure ends it and the next pass observes again.

It makes the names, labels and folders that the plan leaves open, and it tells people through events. What it can't do
becomes a status (a start that failed counts as a crash) or an error that the queue retries.

Called by `agent.py`, for one pod at a time. Follows pkg/kubelet/kuberuntime (startContainer, killContainer).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, assert_never

from controlplane.client.clock import Clock
from controlplane.daemon import event
from nodeagent import kill, limits, names
from nodeagent.config import AgentConfig
from nodeagent.env import Place, environment, expand
from nodeagent.images import ImageManager, PodEvents, image_id
from nodeagent.mounts import PodFiles
from nodeagent.observe import ContainerStore, Stop, failed_start
from nodeagent.plan import (
    Action,
    CreateSandbox,
    FinishDeletion,
    KillContainer,
    PullImage,
    RemoveContainers,
    RemoveFiles,
    StartContainer,
    StopContainer,
    next_attempt,
)
from nodeagent.pods import Container as Spec
from nodeagent.pods import Pod
from nodeagent.runtime import base
from nodeagent.runtime.base import Container, ContainerSpec, Dns, PodRef, Runtime, RuntimeFailure, SandboxSpec, State

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tools:
    """What actions are carried out with."""

    config: AgentConfig
    runtime: Runtime
    store: ContainerStore
    images: ImageManager
    files: PodFiles
    clock: Clock
    events: PodEvents
    boot_id: str


class Halted(Exception):
    """The node has been fenced in the meantime: start nothing."""


class FinishPod(Protocol):
    """Takes a pod whose containers are gone out of the API."""

    def __call__(self, pod: Pod) -> None: ...


class Executor:
    """Applies actions. `may_start` is asked before anything is started: a fenced node starts nothing."""

    def __init__(self, tools: Tools, finish: FinishPod, may_start: Callable[[], bool]) -> None:
        self._tools = tools
        self._finish = finish
        self._may_start = may_start

    def apply(self, action: Action, uid: str, pod: Pod | None) -> None:
        """Carry out one action.

        Raises: RuntimeFailure, OSError, ApiError; Halted when the node may not start anything now.
        """
        began = self._tools.clock.monotonic()
        match action:
            case StopContainer() | KillContainer():
                self._stop(action, pod)
            case RemoveContainers():
                self._remove(action.ids)
            case RemoveFiles():
                self._remove_files(uid)
            case PullImage() | CreateSandbox() | StartContainer() | FinishDeletion():
                if pod is None:
                    raise ValueError(f"{action} without a pod")
                self._for_pod(action, pod)
            case _:
                assert_never(action)
        event(
            log, type(action).__name__, key=f"{pod.namespace}/{pod.name}" if pod else uid,
            container=getattr(action, "container", None) or getattr(action, "id", "")[:12] or None,
            duration_s=self._tools.clock.monotonic() - began,
        )  # fmt: skip

    def _for_pod(self, action: PullImage | CreateSandbox | StartContainer | FinishDeletion, pod: Pod) -> None:
        match action:
            case PullImage():
                spec = _spec(pod, action.container)
                self._tools.images.request(pod, spec, self.next_attempt(pod, action.container))
            case CreateSandbox():
                self._create_sandbox(pod, action.attempt)
            case StartContainer():
                self._start(pod, action)
            case FinishDeletion():
                self._finish(pod)

    def next_attempt(self, pod: Pod, container: str) -> int:
        """The attempt that the container's next start will be."""
        return next_attempt(pod, container, self._tools.store.of_pod(pod.uid))

    # --- starting ------------------------------------------------------------------------------------------------

    def _labels(self, pod: Pod, container: str, attempt: int) -> dict[str, str]:
        return {
            base.LABEL_POD_UID: pod.uid,
            base.LABEL_POD_NAMESPACE: pod.namespace,
            base.LABEL_POD_NAME: pod.name,
            base.LABEL_CONTAINER: container,
            base.LABEL_ATTEMPT: str(attempt),
            base.LABEL_BOOT_ID: self._tools.boot_id,
            base.LABEL_GRACE: str(pod.grace_s),
        }

    def _cgroup(self, uid: str) -> str:
        return f"{self._tools.config.cgroup_parent}/pod{uid}"

    def _create_sandbox(self, pod: Pod, attempt: int) -> None:
        if not self._may_start():
            raise Halted
        spec = SandboxSpec(
            name=names.container_name(base.SANDBOX, pod.name, pod.namespace, pod.uid, attempt),
            hostname=pod.hostname,
            image=self._tools.config.sandbox_image,
            labels=self._labels(pod, base.SANDBOX, attempt),
            cgroup_parent=self._cgroup(pod.uid),
            hosts=tuple((h, a.ip) for a in pod.spec.host_aliases or () for h in a.hostnames or ()),
            dns=cluster_dns(pod, self._tools.config),
        )
        try:
            sandbox = self._tools.runtime.run_sandbox(spec)
        except RuntimeFailure as failure:
            self._tools.events(pod, "Warning", "FailedCreatePodSandBox", f"Failed to create pod sandbox: {failure}")
            self._tools.store.resync()
            raise
        now = self._tools.clock
        self._tools.store.add(replace(sandbox, started_at=now.now(), started=now.monotonic()))

    def _start(self, pod: Pod, action: StartContainer) -> None:
        if not self._may_start():
            raise Halted
        tools, spec = self._tools, _spec(pod, action.container)
        sandbox = next((c for c in tools.store.of_pod(pod.uid) if c.is_sandbox and c.running), None)
        if sandbox is None:
            raise RuntimeFailure("the sandbox ended before the container could start")
        image = tools.images.find(spec.image)
        if not tools.images.pulled_for(pod, spec.name, action.attempt):
            tools.events(pod, "Normal", "Pulled", f'Container image "{spec.image}" already present on machine')
        labels = self._labels(pod, spec.name, action.attempt) | {
            base.LABEL_CRASHES: str(action.crashes),
            base.LABEL_SPEC_HASH: spec.spec_hash,
            base.LABEL_SANDBOX: sandbox.id,
            base.LABEL_IMAGE_ID: image_id(image) if image else "",
        }
        container = Container(
            id="",
            name=names.container_name(spec.name, pod.name, pod.namespace, pod.uid, action.attempt),
            pod=PodRef(pod.uid, pod.namespace, pod.name),
            container=spec.name,
            attempt=action.attempt,
            crashes=action.crashes,
            spec_hash=spec.spec_hash,
            boot_id=tools.boot_id,
            grace_s=pod.grace_s,
            image=spec.image,
            image_id=labels[base.LABEL_IMAGE_ID],
            sandbox=sandbox.id,
        )
        try:
            container_id = tools.runtime.run_container(self._container_spec(pod, spec, sandbox, container, labels))
        except RuntimeFailure as failure:
            tools.events(pod, "Warning", "Failed", f"Error: {failure}")
            tools.store.resync()
            tools.store.add(failed_start(container, str(failure), tools.clock))
            return
        started = replace(
            container, id=container_id, state=State.RUNNING, started_at=tools.clock.now(),
            created_at=tools.clock.now(), started=tools.clock.monotonic(),
        )  # fmt: skip
        tools.store.add(started)
        tools.events(pod, "Normal", "Created", f"Created container: {spec.name}")
        tools.events(pod, "Normal", "Started", f"Started container {spec.name}")

    def _container_spec(
        self, pod: Pod, spec: Spec, sandbox: Container, container: Container, labels: dict[str, str]
    ) -> ContainerSpec:
        config = self._tools.config
        place = Place(config.node_name, config.node_address, sandbox.ip)
        env = environment(pod, spec, place)
        qos = limits.qos_class(pod.spec)
        return ContainerSpec(
            name=container.name,
            image=spec.image,
            sandbox=sandbox,
            labels=labels,
            cgroup_parent=self._cgroup(pod.uid),
            command=tuple(expand(word, env) for word in spec.command or ()),
            args=tuple(expand(word, env) for word in spec.args or ()),
            env=env,
            working_dir=spec.working_dir,
            tty=spec.tty,
            share_pid=bool(pod.spec.share_process_namespace),
            mounts=self._tools.files.mounts_for(pod, spec, container.attempt),
            limits=limits.limits(spec.resources, qos, config.memory_bytes),
        )

    # --- ending --------------------------------------------------------------------------------------------------

    def _stop(self, action: StopContainer | KillContainer, pod: Pod | None) -> None:
        tools = self._tools
        if isinstance(action, KillContainer) or action.grace_s <= 0:
            tools.store.stopping(action.id, Stop(None))
            signal = "KILL"
        else:
            tools.store.stopping(action.id, Stop(tools.clock.monotonic() + action.grace_s))
            signal = "TERM"
        if isinstance(action, StopContainer) and pod is not None:
            tools.events(pod, "Normal", "Killing", action.message)
        tools.runtime.kill(action.id, signal)

    def _remove(self, ids: tuple[str, ...]) -> None:
        self._tools.runtime.remove([i for i in ids if not i.startswith("failed:")])
        for container_id in ids:
            self._tools.store.forget(container_id)

    def uids_with_files(self) -> set[str]:
        """All pods that have folders, mounts or cgroups on this machine."""
        return self._tools.files.uids() | kill.pod_uids(self._tools.config.cgroup_parent)

    def has_files(self, uid: str) -> bool:
        """Whether the pod has folders, mounts or cgroups on this machine."""
        return self._tools.files.exist(uid) or kill.cgroup_exists(self._cgroup(uid))

    def _remove_files(self, uid: str) -> None:
        self._tools.files.remove(uid)
        kill.remove_cgroup(self._cgroup(uid))
        self._tools.images.forget(uid)


def _spec(pod: Pod, name: str) -> Spec:
    spec = pod.container(name)
    if spec is None:
        raise ValueError(f"{pod.name} has no container {name}")
    return spec


def cluster_dns(pod: Pod, config: AgentConfig) -> Dns | None:
    """Names as the pod wants them; None is the node's own: policy `Default`, or a cluster without a name server."""
    if not config.cluster_dns or pod.spec.dns_policy == "Default":
        return None
    domain = config.cluster_domain
    return Dns(config.cluster_dns, (f"{pod.namespace}.svc.{domain}", f"svc.{domain}", domain), ("ndots:5",))
