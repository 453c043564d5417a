"""A long answer written piece by piece, as watches and log follows need it.

A reader who doesn't read is given up after a while, since a coroutine that waits for it holds memory; a reader who
went away is noticed through `gone`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

WRITE_S = 30.0
"""So long may one piece wait for a reader."""


class Stream:
    """One open answer; `on_gone` runs once, when the client went away."""

    def __init__(self, receive: Receive, send: Send, headers: list[tuple[bytes, bytes]]) -> None:
        self._receive = receive
        self._send = send
        self._headers = headers
        self._listener: asyncio.Task[None] | None = None
        self.opened = False
        self.gone = False
        self.on_gone: Callable[[], None] = lambda: None

    async def open(self, content_type: str, code: int = 200) -> None:
        self.opened = True
        headers = [(b"content-type", content_type.encode()), *self._headers]
        await self._send({"type": "http.response.start", "status": code, "headers": headers})
        # An empty piece makes the headers leave at once.
        await self._send({"type": "http.response.body", "body": b"", "more_body": True})
        self._listener = asyncio.create_task(self._listen())

    async def write(self, data: bytes) -> None:
        """Raises: TimeoutError when the client reads nothing for `WRITE_S`."""
        async with asyncio.timeout(WRITE_S):
            await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def finish(self) -> None:
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    def release(self) -> None:
        """Stops listening; call it always, last."""
        if self._listener is not None:
            self._listener.cancel()

    async def _listen(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        self.on_gone()
