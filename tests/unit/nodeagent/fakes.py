"""A runtime, an API and an informer in memory, for tests of the agent's loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from controlplane.api.errors import ApiError
from controlplane.client.http import Listing
from nodeagent.pods import ApiPod
from nodeagent.runtime import base
from nodeagent.runtime.base import (
    Container,
    ContainerSpec,
    ExecResult,
    Image,
    PodRef,
    RuntimeEvent,
    RuntimeFailure,
    SandboxSpec,
    State,
)


def _from_labels(container_id: str, name: str, labels: Mapping[str, str], **fields: Any) -> Container:
    ref = PodRef(labels[base.LABEL_POD_UID], labels[base.LABEL_POD_NAMESPACE], labels[base.LABEL_POD_NAME])
    return Container(
        id=container_id,
        name=name,
        pod=ref,
        container=labels[base.LABEL_CONTAINER],
        attempt=int(labels[base.LABEL_ATTEMPT]),
        crashes=int(labels.get(base.LABEL_CRASHES, "0")),
        boot_id=labels[base.LABEL_BOOT_ID],
        spec_hash=labels.get(base.LABEL_SPEC_HASH, ""),
        sandbox=labels.get(base.LABEL_SANDBOX, ""),
        grace_s=int(labels[base.LABEL_GRACE]),
        **fields,
    )


@dataclass
class FakeRuntime:
    """Keeps containers in a dict; `fail` maps a method's name to the message it fails with."""

    here: dict[str, Container] = field(default_factory=dict)
    present: list[str] = field(default_factory=lambda: ["docker.io/library/busybox:latest"])
    fail: dict[str, str] = field(default_factory=dict)
    signals: list[tuple[str, str]] = field(default_factory=list)
    specs: list[ContainerSpec] = field(default_factory=list)
    pulled: list[str] = field(default_factory=list)
    exec_code: int = 0

    def _check(self, method: str) -> None:
        if method in self.fail:
            raise RuntimeFailure(self.fail[method])

    def containers(self) -> list[Container]:
        self._check("containers")
        return list(self.here.values())

    def run_sandbox(self, spec: SandboxSpec) -> Container:
        self._check("run_sandbox")
        made = _from_labels(spec.name, spec.name, spec.labels, state=State.RUNNING, pid=7, ip="10.244.1.5")
        self.here[made.id] = made
        return made

    def run_container(self, spec: ContainerSpec) -> str:
        self._check("run_container")
        self.specs.append(spec)
        self.here[spec.name] = _from_labels(spec.name, spec.name, spec.labels, state=State.RUNNING, image=spec.image)
        return spec.name

    def kill(self, container_id: str, signal: str) -> None:
        self._check("kill")
        self.signals.append((container_id, signal))

    def remove(self, container_ids: Sequence[str]) -> None:
        self._check("remove")
        for container_id in container_ids:
            self.here.pop(container_id, None)

    def images(self) -> list[Image]:
        return [Image(name, "sha256:abc", 1000) for name in self.present]

    def pull(self, image: str, progress: Callable[[str], None]) -> None:
        self._check("pull")
        progress("1 MiB")
        self.pulled.append(image)
        self.present.append(image)

    def exec(self, container_id: str, command: Sequence[str], timeout_s: float) -> ExecResult:
        self._check("exec")
        return ExecResult(self.exec_code, f"{container_id} {command} {timeout_s}")

    def log_path(self, container_id: str) -> str:
        return f"/logs/{container_id}"

    def events(self) -> Iterator[RuntimeEvent]:
        return iter(())

    def stop_events(self) -> None:
        pass

    def version(self) -> str:
        return "containerd://1.6.20"

    def end(self, container_id: str, exit_code: int, now: float) -> None:
        """A container ends by itself."""
        old = self.here[container_id]
        self.here[container_id] = replace(old, state=State.EXITED, exit_code=exit_code, ended=now)


@dataclass
class FakeApi:
    """Pods as the API server would keep them; `patch` applies only what the agent sends."""

    pods: dict[tuple[str, str], ApiPod] = field(default_factory=dict)
    revision: int = 100
    statuses: list[dict[str, Any]] = field(default_factory=list)
    deleted: list[tuple[str, str, int | None]] = field(default_factory=list)
    away: bool = False

    def patch(self, resource: object, key: tuple[str, str], body: Any, **_: Any) -> ApiPod:
        assert resource is not None
        self._check()
        self.statuses.append(body["status"])
        pod = self.pods[key]
        status = msgspec.to_builtins(pod.status)
        sent = _without_nulls(msgspec.to_builtins(body["status"]))
        merged = {c["type"]: c for c in [*status.get("conditions", ()), *sent.get("conditions", ())]}
        status.update({k: v for k, v in sent.items() if k != "podIPs"})
        status["conditions"] = list(merged.values())
        if "podIPs" in sent:
            status["podIPs"] = [ip for ip in sent["podIPs"] if "$patch" not in ip]
        self.revision += 1
        pod = msgspec.convert({**msgspec.to_builtins(pod), "status": status}, ApiPod)
        pod.metadata.resource_version = str(self.revision)
        self.pods[key] = pod
        return pod

    def delete(self, resource: object, key: tuple[str, str], *, uid: str, grace_period_s: int) -> None:
        assert resource is not None
        self._check()
        self.deleted.append((key[1], uid, grace_period_s))
        del self.pods[key]

    def list(self, resource: object, **_: Any) -> Listing[ApiPod]:
        assert resource is not None
        self._check()
        return Listing(list(self.pods.values()), str(self.revision))

    def _check(self) -> None:
        if self.away:
            raise ApiError.unavailable("away")


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_nulls(v) for k, v in value.items() if v is not None}
    return [_without_nulls(v) for v in value] if isinstance(value, list) else value


class FakeInformer:
    """Shows the API's pods at once."""

    def __init__(self, api: FakeApi) -> None:
        self._api = api
        self.has_synced = True
        self.behind = 0
        """So many revisions of the API were about other things than this node's pods."""

    @property
    def resource_version(self) -> str:
        return str(self._api.revision - self.behind)

    def add_indexer(self, name: str, indexer: object) -> None:
        pass

    def add_handler(self, handler: object) -> None:
        pass

    def items(self) -> list[ApiPod]:
        return list(self._api.pods.values())

    def index(self, name: str, value: str) -> list[ApiPod]:
        assert name == "uid"
        return [p for p in self._api.pods.values() if p.metadata.uid == value]
