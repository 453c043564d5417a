"""What the agent needs of a container runtime, as values and one Protocol.

Everything here is recoverable from the runtime itself: a container's labels say which pod it belongs to, which
attempt it is and how often it crashed before. `nerdctl.py` implements the Protocol; tests have a runtime in memory.

Follows staging/src/k8s.io/cri-api in purpose, not in shape.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Protocol

LABEL_POD_UID = "io.kubernetes.pod.uid"
LABEL_POD_NAME = "io.kubernetes.pod.name"
LABEL_POD_NAMESPACE = "io.kubernetes.pod.namespace"
LABEL_CONTAINER = "io.kubernetes.container.name"
LABEL_ATTEMPT = "kubelab.io/attempt"
LABEL_CRASHES = "kubelab.io/crashes"
LABEL_SPEC_HASH = "kubelab.io/spec-hash"
LABEL_BOOT_ID = "kubelab.io/boot-id"
LABEL_GRACE = "kubelab.io/grace-period"
LABEL_IMAGE_ID = "kubelab.io/image-id"
LABEL_SANDBOX = "kubelab.io/sandbox"
SANDBOX = "POD"
"""The container name of a sandbox in labels and names, as dockershim had it."""


class RuntimeFailure(Exception):
    """The runtime refused or failed; the message is what it said, for people."""


class State(Enum):
    """CREATED never ran in this boot of the machine, or its start failed."""

    CREATED = "created"
    RUNNING = "running"
    EXITED = "exited"


@dataclass(frozen=True)
class PodRef:
    """Which pod a container belongs to."""

    uid: str
    namespace: str
    name: str


@dataclass(frozen=True)
class Container:
    """One container as the runtime has it. `started` and `ended` are on this process's monotonic clock."""

    id: str
    name: str
    pod: PodRef
    container: str
    attempt: int = 0
    crashes: int = 0
    spec_hash: str = ""
    boot_id: str = ""
    grace_s: int = 30
    image: str = ""
    image_id: str = ""
    sandbox: str = ""
    state: State = State.CREATED
    pid: int = 0
    ip: str = ""
    log_path: str = ""
    exit_code: int | None = None
    oom_killed: bool = False
    blameless: bool = False
    """It ended with its machine or by the fence: no crash of its own, so no back-off."""
    error: str = ""
    """Why it couldn't be started; such a container exists only in the agent's memory, with an id of ours."""
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    started: float | None = None
    ended: float | None = None

    @property
    def is_sandbox(self) -> bool:
        return self.container == SANDBOX

    @property
    def running(self) -> bool:
        return self.state is State.RUNNING


@dataclass(frozen=True)
class Mount:
    """A bind mount of a folder or file of the machine into a container."""

    source: str
    target: str
    read_only: bool = False


@dataclass(frozen=True)
class Limits:
    """cgroup values; None leaves the runtime's own."""

    cpu_shares: int | None = None
    cpu_quota_us: int | None = None
    memory_bytes: int | None = None
    oom_score_adj: int = 0


@dataclass(frozen=True)
class Dns:
    """What /etc/resolv.conf says."""

    server: str
    search: tuple[str, ...]
    options: tuple[str, ...]


@dataclass(frozen=True)
class SandboxSpec:
    """A sandbox to start."""

    name: str
    hostname: str
    image: str
    labels: Mapping[str, str]
    cgroup_parent: str
    hosts: tuple[tuple[str, str], ...] = ()
    """(host name, address) lines for /etc/hosts."""
    dns: Dns | None = None
    """None: as the node's own."""


@dataclass(frozen=True)
class ContainerSpec:
    """A container to start inside a running sandbox."""

    name: str
    image: str
    sandbox: Container
    labels: Mapping[str, str]
    cgroup_parent: str
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: Mapping[str, str] | None = None
    working_dir: str = ""
    tty: bool = False
    share_pid: bool = False
    mounts: tuple[Mount, ...] = ()
    limits: Limits = Limits()


@dataclass(frozen=True)
class Image:
    """An image that is on the machine."""

    name: str
    digest: str
    size_bytes: int


@dataclass(frozen=True)
class ExecResult:
    """What a command inside a container did; `output` is both streams, cut to 10 KiB."""

    exit_code: int
    output: str
    timed_out: bool = False


class EventKind(Enum):
    STARTED = "started"
    EXITED = "exited"
    OOM = "oom"
    REMOVED = "removed"
    IMAGES = "images"
    CONNECTED = "connected"
    """The stream began (again): whatever happened before was missed."""


@dataclass(frozen=True)
class RuntimeEvent:
    """Something that happened to a container or to the images."""

    kind: EventKind
    id: str = ""
    pid: int = 0
    exit_code: int = 0
    at: datetime | None = None


class Runtime(Protocol):
    """A container runtime. Every call blocks; every failure is a `RuntimeFailure`."""

    def containers(self) -> list[Container]:
        """All containers that carry a pod's label, dead ones too."""

    def run_sandbox(self, spec: SandboxSpec) -> Container:
        """Create and start a sandbox; its address is known on return."""

    def run_container(self, spec: ContainerSpec) -> str:
        """Create and start a container; its id. Leaves nothing behind when it fails."""

    def kill(self, container_id: str, signal: str) -> None:
        """Send `TERM` or `KILL` to the container's first process; one that is gone already is fine."""

    def remove(self, container_ids: Sequence[str]) -> None:
        """Remove containers, running or not, with their logs; those that are gone are fine."""

    def images(self) -> list[Image]: ...

    def pull(self, image: str, progress: Callable[[str], None]) -> None:
        """Fetch an image; `progress` is told now and then how much there is ("12.1 MiB")."""

    def exec(self, container_id: str, command: Sequence[str], timeout_s: float) -> ExecResult:
        """Run a command inside the container."""

    def log_path(self, container_id: str) -> str:
        """Where the container's json-file log is."""

    def events(self) -> Iterator[RuntimeEvent]:
        """Events from now on, beginning with CONNECTED; ends when the runtime goes away."""

    def stop_events(self) -> None:
        """Let the running `events` end."""

    def version(self) -> str:
        """The runtime's version, as in nodeInfo."""
