"""Pods as the agent needs them: the shared structs, more of the spec, and the raw spec beside it.

`controlplane.api.types` decodes what several components reason about. The agent runs the spec, so it also decodes
volumes, mounts, host aliases and the termination message, and it keeps the raw spec: `refuse.py` must see the fields
that no struct names. Used by everything in this package.

Follows api/core/v1/types.go.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from controlplane.api import types
from controlplane.api.resources import ResourceType
from nodeagent.refuse import refusals

DEFAULT_GRACE_S = 30


class VolumeMount(types.Api):
    name: str
    mount_path: str
    read_only: bool = False


class EmptyDir(types.Api):
    medium: str = ""
    size_limit: str = ""


class Volume(types.Api):
    name: str
    empty_dir: EmptyDir | None = None


class HostAlias(types.Api):
    ip: str
    hostnames: list[str] | None = None


class Container(types.Container):
    """A container's spec with what only the agent needs."""

    volume_mounts: list[VolumeMount] | None = None
    termination_message_path: str = "/dev/termination-log"
    termination_message_policy: str = "File"

    @property
    def spec_hash(self) -> str:
        """Changes when the running container must be replaced: upstream lets only the image change."""
        return hashlib.sha256(f"{self.name}\0{self.image}".encode()).hexdigest()[:16]

    @property
    def pull_policy(self) -> str:
        """Always, IfNotPresent or Never; the default depends on the tag, as upstream's does."""
        if self.image_pull_policy:
            return self.image_pull_policy
        name = self.image.rsplit("/", 1)[-1]
        return "Always" if "@" not in name and (":" not in name or name.endswith(":latest")) else "IfNotPresent"

    def port(self, value: int | str) -> int | None:
        """The number of a port given by number or by name."""
        if isinstance(value, int):
            return value
        return next((p.container_port for p in self.ports or () if p.name == value), None)


class PodSpec(types.PodSpec):
    containers: list[Container] = msgspec.field(default_factory=list)  # type: ignore[assignment]  # a narrower element
    volumes: list[Volume] | None = None
    host_aliases: list[HostAlias] | None = None
    dns_policy: str = "ClusterFirst"


class ApiPod(types.Object):
    """A pod as the informer keeps it: the spec stays undecoded until it is planned."""

    spec: dict[str, Any] = msgspec.field(default_factory=dict)
    status: types.PodStatus = msgspec.field(default_factory=types.PodStatus)


PODS = ResourceType("", "v1", "pods", "Pod", True, ApiPod)


@dataclass(frozen=True)
class Pod:
    """One pod to run, decoded; `refused` names the fields that this agent can't honour."""

    uid: str
    namespace: str
    name: str
    labels: dict[str, str]
    annotations: dict[str, str]
    spec: PodSpec
    status: types.PodStatus
    refused: tuple[str, ...]
    deletion_timestamp: datetime | None
    deletion_grace_s: int | None

    @property
    def terminating(self) -> bool:
        return self.deletion_timestamp is not None

    @property
    def finished(self) -> bool:
        """Succeeded or Failed as reported: it never runs again."""
        return self.status.phase in ("Succeeded", "Failed")

    @property
    def grace_s(self) -> int:
        """Seconds between TERM and KILL: the deletion's own, else the spec's."""
        if self.deletion_grace_s is not None:
            return max(0, self.deletion_grace_s)
        spec = self.spec.termination_grace_period_seconds
        return DEFAULT_GRACE_S if spec is None else max(0, spec)

    @property
    def hostname(self) -> str:
        """The sandbox's host name: the spec's, else the pod's name cut to what a host name may be."""
        return self.spec.hostname or self.name[:63].rstrip("-.")

    def container(self, name: str) -> Container | None:
        return next((c for c in self.spec.containers if c.name == name), None)

    def ran_before(self, name: str) -> types.ContainerStatus | None:
        """What the API last heard about a container, if it heard that it ran or was tried at all."""
        known = self.reported(name)
        if known is None:
            return None
        tried = known.container_id or known.restart_count or known.state.terminated or known.last_state.terminated
        return known if tried else None

    def reported(self, name: str) -> types.ContainerStatus | None:
        """What the API last heard about a container."""
        return next((c for c in self.status.container_statuses or () if c.name == name), None)


def decode(obj: ApiPod) -> Pod:
    """The pod to run behind an API object; what the structs can't hold becomes a refusal, never an error."""
    meta = obj.metadata
    refused = refusals(obj.spec)
    try:
        spec = msgspec.convert(obj.spec, PodSpec)
    except msgspec.ValidationError as error:
        spec = PodSpec(containers=[Container(name=str(c.get("name", ""))) for c in obj.spec.get("containers") or ()])
        refused = (*refused, f"spec ({error})")
    return Pod(
        uid=meta.uid,
        namespace=meta.namespace,
        name=meta.name,
        labels=meta.labels or {},
        annotations=meta.annotations or {},
        spec=spec,
        status=obj.status,
        refused=refused,
        deletion_timestamp=meta.deletion_timestamp,
        deletion_grace_s=meta.deletion_grace_period_seconds,
    )
