"""Asks other agents when they last reached the API: `GET https://PEER:10250/fence`, with this node's certificate.

Runs on the agent's event loop and gives up after half a second; an answer that can't be understood is no answer.
Called by `guard.py` when renewals fail.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import ssl
from collections.abc import Callable

import h11
import msgspec

from controlplane.client.clock import Clock
from nodeagent.fence import ANSWER_WITHIN_S, Answer

_ANSWER_MAX = 64 * 1024


class PeerAsker:
    """Asks peers by address. Thread-safe: `ask` only schedules."""

    def __init__(self, loop: asyncio.AbstractEventLoop, context: ssl.SSLContext, port: int, clock: Clock) -> None:
        self._loop = loop
        self._context = context
        self._port = port
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()

    def ask(self, peer: str, heard: Callable[[str, Answer], None]) -> None:
        """Ask the peer at an address; `heard` is called from the loop if it answers in time."""
        self._loop.call_soon_threadsafe(self._start, peer, heard)

    def _start(self, peer: str, heard: Callable[[str, Answer], None]) -> None:
        task = self._loop.create_task(self._ask(peer, heard))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask(self, peer: str, heard: Callable[[str, Answer], None]) -> None:
        asked = self._clock.monotonic()
        with contextlib.suppress(OSError, TimeoutError, ValueError, h11.ProtocolError, msgspec.MsgspecError):
            async with asyncio.timeout(ANSWER_WITHIN_S):
                age_s = await self._fetch(peer)
            heard(peer, Answer(asked, self._clock.monotonic(), age_s))

    async def _fetch(self, peer: str) -> float:
        reader, writer = await asyncio.open_connection(peer, self._port, ssl=self._context)
        try:
            request = f"GET /fence HTTP/1.1\r\nHost: {peer}\r\nConnection: close\r\n\r\n"
            writer.write(request.encode())
            connection = h11.Connection(h11.CLIENT)
            connection.send(h11.Request(method="GET", target="/fence", headers=[("Host", peer)]))
            connection.send(h11.EndOfMessage())
            return await _age_of(connection, reader)
        finally:
            writer.close()


async def _age_of(connection: h11.Connection, reader: asyncio.StreamReader) -> float:
    body = b""
    while len(body) < _ANSWER_MAX:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(4096))
        elif isinstance(event, h11.Response):
            if event.status_code != 200:
                raise ValueError(f"answered {event.status_code}")
        elif isinstance(event, h11.Data):
            body += event.data
        else:
            break
    age_s = float(msgspec.json.decode(body)["lastReachedSecondsAgo"])
    if not math.isfinite(age_s) or age_s < 0:
        raise ValueError("not an age")
    return age_s
