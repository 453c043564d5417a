"""Probes: thresholds, what a verdict leads to, and single tries against a real socket on loopback."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from controlplane.api.types import HTTPGetAction
from nodeagent import probing
from nodeagent.loop import EventLoop
from nodeagent.pods import Pod
from nodeagent.probes import ProbeManager, Tally
from nodeagent.probing import Result
from nodeagent.status import Health
from tests.unit.nodeagent.builders import UID, make_container, make_pod
from tests.unit.nodeagent.fakes import FakeRuntime


@pytest.mark.parametrize(
    ("results", "success", "failure", "verdict"),
    [
        ("", 1, 3, None),
        ("+", 1, 3, True),
        ("--", 1, 3, None),
        ("---", 1, 3, False),
        ("--+--", 1, 3, True),
        ("---+", 2, 3, False),
        ("---++", 2, 3, True),
        ("+--", 1, 3, True),
    ],
)
def test_tally(results: str, success: int, failure: int, verdict: bool | None) -> None:
    tally = Tally()
    for result in results:
        tally = tally.count(result == "+", success, failure)
    assert tally.verdict is verdict


# --- one try --------------------------------------------------------------------------------------------------------


def answering(answer: bytes, probe: Callable[[int], Awaitable[Result]]) -> Result:
    """The result of a probe of a server that sends `answer` and closes."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        ended.set()

    ended = asyncio.Event()

    async def run() -> Result:
        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        async with server:
            result = await probe(server.sockets[0].getsockname()[1])
            await asyncio.wait_for(ended.wait(), 5)
        return result

    return asyncio.run(run())


def get(port: int, **fields: Any) -> Awaitable[Result]:
    container = make_pod(container={"ports": [{"name": "web", "containerPort": port}]}).spec.containers[0]
    return probing.http(HTTPGetAction(**{"port": "web", **fields}), container, "127.0.0.1", 2.0)


@pytest.mark.parametrize(
    ("answer", "passed", "message"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", True, "ok"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\nContent-Length: 0\r\n\r\n", True, ""),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", False, "HTTP probe failed with statuscode: 404"),
        (b"HTTP/1.1 500 No\r\n\r\nbroken", False, "HTTP probe failed with statuscode: 500"),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", True, "until the end"),
        (b"", False, "EOF"),
        (b"what?\r\n\r\n", False, "illegal"),
    ],
    ids=["200", "redirect", "404", "500", "http/1.0", "closed", "no http"],
)
def test_http(answer: bytes, passed: bool, message: str) -> None:
    result = answering(answer, get)
    assert result.passed is passed
    assert message in result.message


def test_http_without_the_named_port() -> None:
    container = make_pod().spec.containers[0]
    result = asyncio.run(probing.http(HTTPGetAction(port="web"), container, "127.0.0.1", 1.0))
    assert result == Result(False, "the container has no port named 'web'")


def test_tcp() -> None:
    assert answering(b"", lambda port: probing.tcp("127.0.0.1", port, 1.0)).passed


def test_a_closed_port_is_refused() -> None:
    async def run() -> Result:
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        return await probing.tcp("127.0.0.1", port, 1.0)

    result = asyncio.run(run())
    assert not result.passed
    assert "connection refused" in result.message


# --- what follows ---------------------------------------------------------------------------------------------------


class Rig:
    """A probe manager on a real loop, with exec probes that the test answers."""

    def __init__(self) -> None:
        self.loop = EventLoop()
        self.loop.start()
        self.runtime = FakeRuntime()
        self.events: list[str] = []
        self.woken: asyncio.Queue[str] = asyncio.Queue()
        self.probes = ProbeManager(self.loop.loop, self.runtime, self.tell, self.woken.put_nowait)

    def tell(self, pod: Pod, type: str, reason: str, message: str) -> None:
        self.events.append(f"{reason}: {message}")

    def wait(self) -> None:
        async def wait() -> None:
            assert await asyncio.wait_for(self.woken.get(), 5) == UID

        self.loop.run(wait())

    def sync(self, **probe: Any) -> Pod:
        pod = make_pod(container={kind: {"exec": {"command": ["x"]}, **fields} for kind, fields in probe.items()})
        self.probes.sync(pod, [make_container()], "10.244.1.5")
        return pod

    def close(self) -> None:
        self.probes.stop()
        self.loop.stop()


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    yield made
    made.close()


def test_readiness_is_false_until_the_first_success(rig: Rig) -> None:
    rig.sync(readinessProbe={})
    rig.wait()
    assert rig.probes.health() == {"c-0": Health(True, True)}


def test_liveness_that_fails_makes_unhealthy(rig: Rig) -> None:
    rig.runtime.exec_code = 1
    rig.sync(livenessProbe={"failureThreshold": 1})
    rig.wait()
    assert rig.probes.unhealthy() == {"c-0": "Container c failed liveness probe, will be restarted"}
    assert rig.events[0].startswith("Unhealthy: Liveness probe failed: c-0")


def test_the_startup_probe_comes_before_the_others(rig: Rig) -> None:
    rig.sync(startupProbe={}, readinessProbe={"initialDelaySeconds": 3600})
    assert not rig.probes.health()["c-0"].started
    rig.wait()
    assert rig.probes.health() == {"c-0": Health(True, False)}


def test_a_container_that_was_ready_stays_so_until_its_probe_speaks(rig: Rig) -> None:
    told = {"containerStatuses": [{"name": "c", "containerID": "containerd://c-0", "ready": True, "started": True}]}
    pod = make_pod(
        container={"readinessProbe": {"exec": {"command": ["x"]}, "initialDelaySeconds": 3600}}, status=told
    )  # fmt: skip
    rig.probes.sync(pod, [make_container()], "10.244.1.5")
    assert rig.probes.health() == {"c-0": Health(True, True)}


def test_what_no_longer_runs_is_forgotten(rig: Rig) -> None:
    pod = rig.sync(readinessProbe={"initialDelaySeconds": 3600})
    rig.probes.sync(pod, [], "")
    rig.loop.run(asyncio.sleep(0))
    assert rig.probes.health() == {}
