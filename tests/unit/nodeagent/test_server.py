"""Port 10250: who is let in, what is answered, and logs over real TLS on loopback."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from nodeagent.loop import EventLoop
from nodeagent.runtime.base import Container
from nodeagent.server import API_SERVER, AgentServer, Peer, Refusal, Request, allow, log_query, peer_of, tls_context
from tests.support.pki import Authority
from tests.unit.nodeagent.builders import make_container

NODE = Peer("system:node:worker-2", frozenset({"system:nodes"}))
SERVER = Peer(API_SERVER, frozenset({"system:masters"}))
ADMIN = Peer("kubernetes-admin", frozenset({"system:masters"}))


@pytest.mark.parametrize(
    ("path", "peer", "allowed"),
    [
        (("fence",), NODE, True),
        (("fence",), SERVER, False),
        (("fence", ""), NODE, False),
        (("healthz",), SERVER, True),
        (("healthz",), NODE, False),
        (("containerLogs", "n", "p", "c"), SERVER, True),
        (("containerLogs", "n", "p", "c"), ADMIN, False),
        (("containerLogs", "n", "p", "c"), NODE, False),
        (("pods",), Peer("", frozenset()), False),
    ],
)
def test_who_may_ask_for_what(path: tuple[str, ...], peer: Peer, allowed: bool) -> None:
    request = Request(path, {}, peer)
    if allowed:
        allow(request)
    else:
        with pytest.raises(Refusal) as refused:
            allow(request)
        assert refused.value.code == 403


def test_the_identity_is_the_certificates() -> None:
    subject = ((("organizationName", "system:nodes"),), (("commonName", "system:node:a"),))
    assert peer_of({"subject": subject}) == Peer("system:node:a", frozenset({"system:nodes"}))
    assert peer_of(None) == Peer("", frozenset())


NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_log_options() -> None:
    query = log_query({"follow": "true", "tailLines": "5", "sinceSeconds": "60", "limitBytes": "9"}, NOW)
    assert (query.follow, query.tail_lines, query.limit_bytes) == (True, 5, 9)
    assert query.since == datetime(2026, 3, 1, 11, 59, tzinfo=UTC)


@pytest.mark.parametrize("options", [{"tailLines": "-1"}, {"limitBytes": "x"}, {"sinceTime": "yesterday"}])
def test_log_options_out_of_form(options: dict[str, str]) -> None:
    with pytest.raises(Refusal) as refused:
        log_query(options, NOW)
    assert refused.value.code == 400


# --- over TLS -------------------------------------------------------------------------------------------------------


class Served:
    """One container with a log; everything else is 404."""

    def __init__(self, log: Path) -> None:
        self._log = log

    def log_target(self, namespace: str, pod: str, container: str, previous: bool) -> Container:
        if (namespace, pod, container, previous) != ("default", "web", "c", False):
            raise Refusal(404, f"{pod} is not here")
        return make_container()

    def log_path(self, _: Container) -> Path:
        return self._log

    def runs(self, _: str) -> bool:
        return False

    def pods_here(self) -> list[Any]:
        return [{"metadata": {"name": "web"}}]

    def last_reached_seconds_ago(self) -> float:
        return 0.25


class Rig:
    def __init__(self, folder: Path) -> None:
        self._authority = Authority(folder / "pki")
        serving = self._authority.server("kubelet-server", ("127.0.0.1",), ("worker-1",))
        log = folder / "x.log"
        log.write_text(
            '{"log":"one\\n","time":"2026-03-01T12:00:00Z"}\n{"log":"two\\n","time":"2026-03-01T12:00:01Z"}\n'
        )
        self.loop = EventLoop()
        self.loop.start()
        self.server = AgentServer(Served(log))
        context = tls_context(str(serving.cert), str(serving.key), str(self._authority.cert))
        self.loop.run(self.server.start("127.0.0.1", 0, context))

    def get(self, path: str, user: str = API_SERVER, *groups: str, method: str = "GET") -> tuple[int, str]:
        context = ssl.create_default_context(cafile=str(self._authority.cert))
        if user:
            pair = self._authority.client(user, *groups)
            context.load_cert_chain(str(pair.cert), str(pair.key))
        connection = http.client.HTTPSConnection("127.0.0.1", self.server.port, context=context, timeout=5)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def close(self) -> None:
        self.loop.run(self.server.stop())
        self.loop.stop()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    yield made
    made.close()


def test_answers(rig: Rig) -> None:
    assert rig.get("/containerLogs/default/web/c") == (200, "one\ntwo\n")
    assert rig.get("/containerLogs/default/web/c?tailLines=1&timestamps=true") == (200, "2026-03-01T12:00:01Z two\n")
    assert rig.get("/healthz") == (200, "ok")
    assert rig.get("/fence", "system:node:worker-2", "system:nodes") == (200, '{"lastReachedSecondsAgo": 0.25}')
    assert '"name": "web"' in rig.get("/pods")[1]


def test_refusals(rig: Rig) -> None:
    assert rig.get("/containerLogs/default/other/c") == (404, "other is not here")
    assert rig.get("/containerLogs/default/web%2F..%2Fx/c")[0] == 404
    assert rig.get("/containerLogs/default/web/c", "kubernetes-admin", "system:masters")[0] == 403
    assert rig.get("/containerLogs/default/web/c/..")[0] == 404
    assert rig.get("/../../etc/passwd")[0] == 404
    assert rig.get("/containerLogs/default/web/c?tailLines=x")[0] == 400
    assert rig.get("/healthz", method="POST")[0] == 405


def test_without_a_certificate_there_is_no_connection(rig: Rig) -> None:
    with pytest.raises((ssl.SSLError, OSError)):
        rig.get("/healthz", "")
