"""uvicorn's HTTP protocol with three additions: the client's certificate, dead peers, a bound on header bytes.

uvicorn doesn't hand the TLS peer to the application, so each connection looks once, after its handshake, and puts
the peer into the scope's state for all its requests. A machine that lost its power never says goodbye, so the kernel
asks after silent peers, and gives up those that acknowledge nothing. And uvicorn bounds neither the request line nor
the headers, so one connection could fill the memory.
"""

from __future__ import annotations

import asyncio
import socket

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from controlplane.apiserver.identity import from_certificate

STATE_PEER = "peer"
HEADERS_LIMIT_BYTES = 64 * 1024
KEEPALIVE = (
    (socket.TCP_KEEPIDLE, 30),
    (socket.TCP_KEEPINTVL, 10),
    (socket.TCP_KEEPCNT, 3),
    (socket.TCP_USER_TIMEOUT, 30_000),
)
"""Seconds of silence, seconds between questions, questions unanswered; milliseconds without an acknowledgement."""
TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class PeerProtocol(HttpToolsProtocol):
    """One client connection."""

    _header_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's own
        super().connection_made(transport)
        _notice_dead_peers(transport)
        certificate = transport.get_extra_info("peercert")
        peer = from_certificate(certificate) if certificate else None
        self.app_state = {**self.app_state, STATE_PEER: peer}

    def on_message_begin(self) -> None:
        self._header_bytes = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def send_400_response(self, msg: str) -> None:
        if self._header_bytes <= HEADERS_LIMIT_BYTES:
            super().send_400_response(msg)
        else:
            self.transport.write(TOO_LARGE)
            self.transport.close()

    def _count(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > HEADERS_LIMIT_BYTES:
            raise ValueError("request headers too large")  # makes the parser give up; uvicorn then answers


def _notice_dead_peers(transport: asyncio.Transport) -> None:
    connection = transport.get_extra_info("socket")
    if connection is None:
        return
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in KEEPALIVE:
        connection.setsockopt(socket.IPPROTO_TCP, option, value)
