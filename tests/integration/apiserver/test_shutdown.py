"""SIGTERM: the server ends soon, whatever its clients do, and what it has answered arrives."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.integration.apiserver.support import Api, config_map
from tests.support.server import RunningServer
from tests.support.waiting import eventually

WAITS = "Waiting for connections to close"
LATE = "timeout graceful shutdown exceeded"
PIECE_BYTES = 900_000
PIECES = 10
RECEIVE_BYTES = 64 * 1024


@contextmanager
def connection(server: RunningServer) -> Iterator[http.client.HTTPSConnection]:
    """A connection that does nothing by itself, and for which the kernel holds little."""
    pair = server.credentials("admin")
    context = ssl.create_default_context(cafile=str(server.ca))
    context.load_cert_chain(pair.cert, pair.key)
    client = http.client.HTTPSConnection("127.0.0.1", server.port, timeout=30)
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
    plain.settimeout(30)
    plain.connect(("127.0.0.1", server.port))
    client.sock = context.wrap_socket(plain, server_hostname="127.0.0.1")
    try:
        yield client
    finally:
        client.close()


def ended_in_time(server: RunningServer) -> bool:
    assert server.terminate() == 0
    return LATE not in server.log.read_text()


@pytest.mark.parametrize("path", ["", "/version"], ids=["never asked", "asked once"])
def test_an_idle_connection_that_nobody_reads(own_server: RunningServer, path: str) -> None:
    with connection(own_server) as client:
        if path:
            client.request("GET", path)
            assert client.getresponse().read()
        assert ended_in_time(own_server)


def test_a_watch(own_server: RunningServer) -> None:
    api = Api(own_server.session("admin"), "default")
    with api.watch("configmaps") as watch:
        assert ended_in_time(own_server)
        assert watch.ended() == []


def test_a_watch_that_nobody_reads(own_server: RunningServer) -> None:
    with connection(own_server) as client:
        client.request("GET", "/api/v1/namespaces?watch=1")
        assert client.getresponse().status == 200
        assert ended_in_time(own_server)


def test_an_answer_that_is_on_its_way_arrives(own_server: RunningServer) -> None:
    """More of it than the kernel holds: the client reads on only while the server waits for it."""
    api = Api(own_server.session("admin"), "default")
    for number in range(PIECES):
        api.ok("POST", "configmaps", config_map(f"c{number}", x="x" * PIECE_BYTES))
    with connection(own_server) as client:
        client.request("GET", "/api/v1/namespaces/default/configmaps")
        response = client.getresponse()
        own_server.send_terminate()
        eventually("the server waits for its reader", lambda: WAITS in own_server.log.read_text(), timeout_s=10)
        assert len(response.read()) > PIECES * PIECE_BYTES
    assert own_server.wait() == 0
    assert LATE not in own_server.log.read_text()
