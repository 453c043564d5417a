"""nerdctl's JSON → values: containers from `inspect`, images from `images`, events from `events`. Pure.

The shapes are nerdctl 1.7.7's `dockercompat` ones and containerd's event types; unknown fields are ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from nodeagent.runtime import base
from nodeagent.runtime.base import Container, EventKind, Image, PodRef, RuntimeEvent, State

_SIZE = re.compile(r"([0-9.]+)\s*([KMGT]?i?B?)")
_UNITS = {"K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
_STATES = {"running": State.RUNNING, "paused": State.RUNNING, "pausing": State.RUNNING, "created": State.CREATED}


def containers(text: str) -> list[Container]:
    """The containers of pods in the output of `container inspect`; others are left out."""
    found = msgspec.json.decode(text) if text.strip() else []
    return [_container(item) for item in found if base.LABEL_POD_UID in _labels(item)]


def _labels(item: Mapping[str, Any]) -> Mapping[str, str]:
    return (item.get("Config") or {}).get("Labels") or {}


def _container(item: Mapping[str, Any]) -> Container:
    labels = _labels(item)
    state = item.get("State") or {}
    status = _STATES.get(str(state.get("Status", "")).lower(), State.EXITED)
    exited = status is State.EXITED
    log_path = str(item.get("LogPath") or "")
    return Container(
        id=str(item["Id"]),
        name=str(item.get("Name", "")),
        pod=PodRef(
            labels[base.LABEL_POD_UID],
            labels.get(base.LABEL_POD_NAMESPACE, ""),
            labels.get(base.LABEL_POD_NAME, ""),
        ),
        container=labels.get(base.LABEL_CONTAINER, ""),
        attempt=_int(labels.get(base.LABEL_ATTEMPT)),
        crashes=_int(labels.get(base.LABEL_CRASHES)),
        spec_hash=labels.get(base.LABEL_SPEC_HASH, ""),
        boot_id=labels.get(base.LABEL_BOOT_ID, ""),
        grace_s=_int(labels.get(base.LABEL_GRACE), 30),
        image=str(item.get("Image", "")),
        image_id=labels.get(base.LABEL_IMAGE_ID, ""),
        sandbox=labels.get(base.LABEL_SANDBOX, ""),
        state=status,
        pid=int(state.get("Pid") or 0) if status is State.RUNNING else 0,
        ip=str((item.get("NetworkSettings") or {}).get("IPAddress") or ""),
        log_path=log_path,
        exit_code=int(state.get("ExitCode") or 0) if exited else None,
        created_at=time_of(item.get("Created")),
        finished_at=time_of(state.get("FinishedAt")) if exited else None,
    )


def _int(value: str | None, default: int = 0) -> int:
    return int(value) if value is not None and value.isdigit() else default


def time_of(value: object) -> datetime | None:
    """An RFC 3339 time with any number of fractional digits; None for Go's zero time."""
    if not isinstance(value, str) or value.startswith("0001-"):
        return None
    head, dot, rest = value.partition(".")
    if dot:
        digits = re.match(r"\d+", rest)
        end = digits.end() if digits else 0
        value = f"{head}.{rest[:end][:6].ljust(6, '0')}{rest[end:]}"
    try:
        return datetime.fromisoformat(value).astimezone(UTC)
    except ValueError:
        return None


def images(text: str) -> list[Image]:
    """The images in the output of `images --format json`, one a line; unnamed ones are left out."""
    found = []
    for line in text.splitlines():
        if not line.strip():
            continue
        item = msgspec.json.decode(line)
        name = str(item.get("Name") or "")
        if name and not name.startswith("<none>"):
            digest = str(item.get("Digest") or item.get("ID") or "")
            found.append(Image(name, digest, size(str(item.get("Size") or ""))))
    return found


def size(text: str) -> int:
    """Bytes behind a size for people, such as `1.9 MiB`."""
    match = _SIZE.match(text.strip())
    return int(float(match.group(1)) * _UNITS.get(match.group(2)[:1], 1)) if match else 0


def events(line: bytes) -> Iterator[RuntimeEvent]:
    """The events of interest in one line of `events --format json`; blank and foreign lines give none."""
    if not line.startswith(b"{"):
        return
    try:
        outer = msgspec.json.decode(line)
        inner = msgspec.json.decode(outer.get("Event") or "{}")
    except msgspec.DecodeError:
        return
    topic = str(outer.get("Topic", ""))
    at = time_of(outer.get("Timestamp"))
    if topic.startswith("/images/"):
        yield RuntimeEvent(EventKind.IMAGES, at=at)
    elif topic == "/tasks/start":
        yield RuntimeEvent(EventKind.STARTED, id=inner.get("container_id", ""), pid=int(inner.get("pid", 0)), at=at)
    elif topic == "/tasks/oom":
        yield RuntimeEvent(EventKind.OOM, id=inner.get("container_id", ""), at=at)
    elif topic == "/containers/delete":
        yield RuntimeEvent(EventKind.REMOVED, id=inner.get("id", ""), at=at)
    elif topic == "/tasks/exit" and inner.get("id") == inner.get("container_id"):
        yield RuntimeEvent(
            EventKind.EXITED, id=inner.get("container_id", ""), exit_code=int(inner.get("exit_status", 0)), at=at
        )
