"""nerdctl's JSON, as version 1.7.7 prints it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from nodeagent.runtime import base, parse
from nodeagent.runtime.base import EventKind, RuntimeEvent, State

ID = "51a0100c15bcae4488d3807856cb4f261826bd18664beed9cdf52997b5ea7cd3"


def inspected(**state: Any) -> str:
    item = {
        "Id": ID,
        "Created": "2026-11-24T11:11:43.410605875Z",
        "State": {"Status": "running", "Pid": 22943, "ExitCode": 0, "FinishedAt": "0001-01-01T00:00:00Z", **state},
        "Image": "docker.io/library/busybox:latest",
        "LogPath": "/var/lib/nerdctl/x-json.log",
        "Name": "k8s_c_web_default_uid_2",
        "Config": {
            "Labels": {
                base.LABEL_POD_UID: "uid",
                base.LABEL_POD_NAME: "web",
                base.LABEL_POD_NAMESPACE: "default",
                base.LABEL_CONTAINER: "c",
                base.LABEL_ATTEMPT: "2",
                base.LABEL_CRASHES: "junk",
                base.LABEL_GRACE: "5",
            }
        },
        "NetworkSettings": {"IPAddress": "10.244.77.2"},
    }
    return json.dumps([item, {"Id": "foreign", "Config": {"Labels": {"a": "b"}}}])


def test_a_running_container() -> None:
    (found,) = parse.containers(inspected())
    assert (found.id, found.container, found.attempt, found.crashes, found.grace_s) == (ID, "c", 2, 0, 5)
    assert (found.state, found.pid, found.ip, found.exit_code) == (State.RUNNING, 22943, "10.244.77.2", None)
    assert found.created_at == datetime(2026, 11, 24, 11, 11, 43, 410605, UTC)


def test_an_ended_container() -> None:
    (found,) = parse.containers(inspected(Status="exited", ExitCode=137, FinishedAt="2026-11-24T11:13:03.75Z"))
    assert (found.state, found.pid, found.exit_code) == (State.EXITED, 0, 137)
    assert found.finished_at == datetime(2026, 11, 24, 11, 13, 3, 750000, UTC)


@pytest.mark.parametrize(("text", "count"), [("", 0), ("[]", 0)])
def test_nothing(text: str, count: int) -> None:
    assert len(parse.containers(text)) == count


def line(topic: str, **inner: Any) -> bytes:
    outer = {"Timestamp": "2026-11-24T11:13:03.174Z", "Topic": topic, "Event": json.dumps(inner)}
    return json.dumps(outer).encode()


AT = datetime(2026, 11, 24, 11, 13, 3, 174000, UTC)


@pytest.mark.parametrize(
    ("raw", "events"),
    [
        (line("/tasks/start", container_id=ID, pid=7), [RuntimeEvent(EventKind.STARTED, ID, pid=7, at=AT)]),
        (
            line("/tasks/exit", container_id=ID, id=ID, pid=7, exit_status=3),
            [RuntimeEvent(EventKind.EXITED, ID, exit_code=3, at=AT)],
        ),
        (line("/tasks/exit", container_id=ID, id="exec-1", pid=7, exit_status=3), []),
        (line("/tasks/oom", container_id=ID), [RuntimeEvent(EventKind.OOM, ID, at=AT)]),
        (line("/containers/delete", id=ID), [RuntimeEvent(EventKind.REMOVED, ID, at=AT)]),
        (line("/images/create", name="x"), [RuntimeEvent(EventKind.IMAGES, at=AT)]),
        (line("/snapshot/prepare", key=ID), []),
        (b"\n", []),
        (b"{broken\n", []),
        (b'time="x" level=warning\n', []),
    ],
    ids=["start", "exit", "exit of an exec", "oom", "delete", "image", "other", "blank", "broken", "log line"],
)
def test_events(raw: bytes, events: list[RuntimeEvent]) -> None:
    assert list(parse.events(raw)) == events


def test_images() -> None:
    text = (
        '{"Digest":"sha256:a","Name":"docker.io/library/busybox:latest","Size":"1.9 MiB"}\n'
        '{"Digest":"sha256:b","Name":"<none>","Size":"1 B"}\n'
    )
    (image,) = parse.images(text)
    assert (image.name, image.digest, image.size_bytes) == (
        "docker.io/library/busybox:latest", "sha256:a", int(1.9 * 1024**2),
    )  # fmt: skip
