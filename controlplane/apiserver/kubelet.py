"""A small HTTP/1.1 client for a node's agent, for coroutines: one request, its answer piece by piece.

The agent lets in only the API server, which shows its client certificate; the agent's serving certificate must be the
lab CA's and carry the node's address. Every step has a time-out, except the silence between two lines of a followed
log. Asyncio and h11, since a followed log must not hold a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator

import h11

from controlplane.api.errors import ApiError
from controlplane.apiserver.config import ServerConfig

CONNECT_S = 5.0
ANSWER_S = 10.0
READ_BYTES = 65536
ERROR_BYTES = 4096


class Kubelet:
    """Reaches the agents; one per process, its TLS context is made once."""

    def __init__(self, config: ServerConfig) -> None:
        self._port = config.kubelet_port
        self._context = ssl.create_default_context(cafile=config.kubelet_ca_file)
        self._context.load_cert_chain(config.kubelet_client_cert_file, config.kubelet_client_key_file)

    @contextlib.asynccontextmanager
    async def get(self, node: str, address: str, path: str) -> AsyncIterator[Exchange]:
        """GETs `path` from a node's agent and yields the answer, whose body can be read piece by piece.

        Raises: ApiError 502 or 504 when the agent can't be reached or answers nothing, its own error otherwise.
        """
        try:
            async with asyncio.timeout(CONNECT_S):
                reader, writer = await asyncio.open_connection(address, self._port, ssl=self._context)
        except TimeoutError:
            raise ApiError(504, "Timeout", f"{_agent(node)} does not answer at {address}:{self._port}") from None
        except OSError as error:
            why = f"{_agent(node)} can't be reached at {address}:{self._port}: {error}"
            raise ApiError(502, "InternalError", why) from None
        exchange = Exchange(node, reader, writer)
        try:
            await exchange.ask(path, f"{address}:{self._port}")
            yield exchange
        finally:
            exchange.close()


class Exchange:
    """One request and its answer on one connection."""

    def __init__(self, node: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._node = node
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.CLIENT)

    async def ask(self, path: str, host: str) -> None:
        """Sends the request and reads the answer's head.

        Raises: ApiError.
        """
        request = h11.Request(method="GET", target=path, headers=[("Host", host), ("Connection", "close")])
        try:
            async with asyncio.timeout(ANSWER_S):
                self._writer.write(self._http.send(request) + self._http.send(h11.EndOfMessage()))
                await self._writer.drain()
                head = await self._event()
                if not isinstance(head, h11.Response):
                    raise ApiError(502, "InternalError", f"{_agent(self._node)} ended the connection")
                if head.status_code != 200:
                    raise await self._refusal(head.status_code)
        except TimeoutError:
            raise ApiError(504, "Timeout", f"{_agent(self._node)} took the request but does not answer") from None
        except (OSError, h11.ProtocolError) as error:
            raise ApiError(502, "InternalError", f"{_agent(self._node)}: {error}") from None

    def close(self) -> None:
        """Ends the connection at once (a TLS farewell could wait for the agent); who reads the body sees its end."""
        self._writer.transport.abort()

    async def body(self) -> AsyncIterator[bytes]:
        """The pieces as they come; it ends where the agent ends, whether by word or by dying."""
        with contextlib.suppress(OSError, h11.ProtocolError):
            while True:
                event = await self._event()
                if isinstance(event, h11.Data):
                    yield bytes(event.data)
                else:
                    return

    async def _refusal(self, code: int) -> ApiError:
        text = b""
        async for piece in self.body():
            text += piece
            if len(text) > ERROR_BYTES:
                break
        words = text[:ERROR_BYTES].decode("utf-8", "replace").strip() or f"{_agent(self._node)} answered {code}"
        match code:
            case 400:
                return ApiError.bad_request(words)
            case 404:
                return ApiError(404, "NotFound", words)
            case _:
                return ApiError(502, "InternalError", f"{_agent(self._node)} answered {code}: {words}")

    async def _event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        while True:
            event = self._http.next_event()
            if event is not h11.NEED_DATA:
                return event
            self._http.receive_data(await self._reader.read(READ_BYTES))


def _agent(node: str) -> str:
    return f"the agent of node {node}"
