"""uvicorn's HTTP protocol with four additions: the client's certificate, dead peers, a bound on header bytes, an end.

uvicorn doesn't hand the TLS peer to the application, so each connection looks once, after its handshake, and puts
the peer into the scope's state for all its requests. A machine that lost its power never says goodbye, so the kernel
asks after silent peers, and gives up those that acknowledge nothing. And uvicorn bounds neither the request line nor
the headers, so one connection could fill the memory. At the server's end uvicorn closes each connection, and TLS then
waits until the peer closes its side, too; a client that keeps an idle connection doesn't even look. So a connection
whose answers have all left is cut without the peer's leave.
"""

from __future__ import annotations

import asyncio
import select
import socket

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from controlplane.apiserver.identity import from_certificate

STATE_PEER = "peer"
END_POLL_S = 0.05
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

    def shutdown(self) -> None:
        """The server ends: closes an idle connection now, a busy one after its response; waits for no peer."""
        super().shutdown()
        self.loop.call_later(END_POLL_S, self._end)

    def _end(self) -> None:
        if self not in self.connections:
            return
        answered = self.cycle is None or self.cycle.response_complete or self.transport.is_closing()
        if answered and _all_sent(self.transport):
            self.transport.abort()
        else:
            self.loop.call_later(END_POLL_S, self._end)

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


def _all_sent(transport: asyncio.Transport) -> bool:
    """Whether the kernel has all that was written, and sends it also after our end.

    The TLS transport doesn't count what waits in the one below it, but nothing waits there while the kernel has room.
    """
    if transport.get_write_buffer_size():
        return False
    poll = select.poll()
    poll.register(transport.get_extra_info("socket").fileno(), select.POLLOUT)
    return any(events & select.POLLOUT for _, events in poll.poll(0))
