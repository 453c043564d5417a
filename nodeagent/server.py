"""What a node serves on port 10250, and to whom: logs to the API server, one number to the other nodes.

TLS with a client certificate of the lab's CA, always. `/fence` is for the group system:nodes; all else is for the API
server's own identity. Every path is matched whole, names from the URL are only ever compared with names that the
agent knows, and anything else is 403 or 404.

One connection carries one request; each is a coroutine on the agent's event loop, so a followed log holds no thread.
Follows pkg/kubelet/server/server.go.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs, unquote, urlsplit

import h11

from nodeagent.logs import Query, stream
from nodeagent.runtime.base import Container, RuntimeFailure

log = logging.getLogger(__name__)

API_SERVER = "kube-apiserver-kubelet-client"
NODES = "system:nodes"
_REQUEST_S = 10.0
_READ_BYTES = 16 * 1024


class Refusal(Exception):
    """A request that isn't served; the message is for the person behind it."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Served(Protocol):
    """What the server needs of the agent."""

    def log_target(self, namespace: str, pod: str, container: str, previous: bool) -> Container:
        """The container whose log is meant. Raises: Refusal."""

    def log_path(self, container: Container) -> Path:
        """Where its log is; may block. Raises: RuntimeFailure."""

    def runs(self, container_id: str) -> bool: ...

    def pods_here(self) -> list[Any]:
        """The pods of this node, encodable."""

    def last_reached_seconds_ago(self) -> float: ...


@dataclass(frozen=True)
class Peer:
    """Who is at the other end, from its certificate."""

    user: str
    groups: frozenset[str]


@dataclass(frozen=True)
class Request:
    path: tuple[str, ...]
    query: Mapping[str, str]
    peer: Peer


def peer_of(certificate: Mapping[str, Any] | None) -> Peer:
    """The identity in a verified certificate: CN is the user, each O a group."""
    fields = [pair for rdn in (certificate or {}).get("subject", ()) for pair in rdn]
    user = next((value for name, value in fields if name == "commonName"), "")
    return Peer(user, frozenset(value for name, value in fields if name == "organizationName"))


def tls_context(cert_file: str, key_file: str, ca_file: str) -> ssl.SSLContext:
    """Serve with this certificate; nobody without one of the lab's CA gets in."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=ca_file)
    context.load_cert_chain(cert_file, key_file)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


class AgentServer:
    """Serves until its task is cancelled."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int, context: ssl.SSLContext) -> None:
        """Raises: OSError when the port is taken."""
        self._server = await asyncio.start_server(self._connection, host, port, ssl=context, limit=_READ_BYTES)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()

    @property
    def port(self) -> int:
        assert self._server is not None  # noqa: S101  # start() has run
        return int(self._server.sockets[0].getsockname()[1])

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        http = h11.Connection(h11.SERVER)
        try:
            async with asyncio.timeout(_REQUEST_S):
                request = await self._request(http, reader, writer)
            if request is not None:
                await self._answer(request, http, reader, writer)
        except (OSError, TimeoutError, h11.ProtocolError):
            pass
        except Exception:
            log.exception("request to the agent")
        finally:
            writer.close()

    async def _request(
        self, http: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> Request | None:
        while True:
            event = http.next_event()
            if event is h11.NEED_DATA:
                data = await reader.read(_READ_BYTES)
                if not data:
                    return None
                http.receive_data(data)
            elif isinstance(event, h11.Request):
                peer = peer_of(writer.get_extra_info("peercert"))
                if event.method != b"GET":
                    await _send(http, writer, 405, "text/plain", b"only GET is served here\n")
                    return None
                target = urlsplit(event.target.decode("ascii", "replace"))
                parts = tuple(unquote(part) for part in target.path.strip("/").split("/"))
                query = {name: values[-1] for name, values in parse_qs(target.query).items()}
                return Request(parts, query, peer)
            else:
                return None

    async def _answer(
        self, request: Request, http: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            allow(request)
            match request.path:
                case ("fence",):
                    age_s = self._served.last_reached_seconds_ago()
                    body = json.dumps({"lastReachedSecondsAgo": age_s}).encode()
                    await _send(http, writer, 200, "application/json", body)
                case ("healthz",):
                    await _send(http, writer, 200, "text/plain", b"ok")
                case ("pods",):
                    items = json.dumps({"kind": "PodList", "apiVersion": "v1", "items": self._served.pods_here()})
                    await _send(http, writer, 200, "application/json", items.encode())
                case ("containerLogs", namespace, pod, container):
                    pieces = await self._log(namespace, pod, container, request.query)
                    await _send_pieces(pieces, http, reader, writer)
                case _:
                    raise Refusal(404, "not found")
        except Refusal as refusal:
            await _send(http, writer, refusal.code, "text/plain", refusal.message.encode())

    async def _log(
        self, namespace: str, pod: str, container: str, options: Mapping[str, str]
    ) -> AsyncIterator[bytes]:
        query = log_query(options, datetime.now(UTC))
        target = self._served.log_target(namespace, pod, container, options.get("previous") == "true")
        try:
            path = await asyncio.to_thread(self._served.log_path, target)
        except RuntimeFailure as failure:
            raise Refusal(500, f"the log of {container} can't be found: {failure}") from failure
        return stream(path, query, lambda: self._served.runs(target.id))


def allow(request: Request) -> None:
    """Raises: Refusal 403 unless this peer may ask for this path."""
    for_peers = request.path == ("fence",)
    allowed = NODES in request.peer.groups if for_peers else request.peer.user == API_SERVER
    if not allowed:
        raise Refusal(403, f"Forbidden (user={request.peer.user}, path=/{'/'.join(request.path)})")


def log_query(options: Mapping[str, str], now: datetime) -> Query:
    """The log options of a URL.

    Raises: Refusal 400 for a number that isn't one.
    """
    numbers: dict[str, int] = {}
    for name in ("tailLines", "limitBytes", "sinceSeconds"):
        if name in options:
            if not options[name].isdecimal() or len(options[name]) > 18:
                raise Refusal(400, f"{name}: Invalid value: {options[name]!r}: must be a whole number, at least 0")
            numbers[name] = int(options[name])
    since = now - timedelta(seconds=min(numbers["sinceSeconds"], 10**9)) if "sinceSeconds" in numbers else None
    if "sinceTime" in options:
        try:
            since = datetime.fromisoformat(options["sinceTime"])
        except ValueError:
            raise Refusal(400, f"sinceTime: Invalid value: {options['sinceTime']!r}") from None
        if since.tzinfo is None:
            since = since.replace(tzinfo=UTC)
    return Query(
        follow=options.get("follow") == "true",
        tail_lines=numbers.get("tailLines"),
        since=since,
        timestamps=options.get("timestamps") == "true",
        limit_bytes=numbers.get("limitBytes"),
    )


async def _send(http: h11.Connection, writer: asyncio.StreamWriter, code: int, kind: str, body: bytes) -> None:
    headers = [("Content-Type", kind), ("Content-Length", str(len(body))), ("Connection", "close")]
    writer.write(http.send(h11.Response(status_code=code, headers=headers)) or b"")
    writer.write(http.send(h11.Data(data=body)) or b"")
    writer.write(http.send(h11.EndOfMessage()) or b"")
    await writer.drain()


async def _send_pieces(
    pieces: AsyncIterator[bytes], http: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Send a stream; stop as soon as the other side has gone."""
    headers = [("Content-Type", "text/plain"), ("Transfer-Encoding", "chunked"), ("Connection", "close")]
    writer.write(http.send(h11.Response(status_code=200, headers=headers)) or b"")
    await writer.drain()

    async def copy() -> None:
        async for piece in pieces:
            writer.write(http.send(h11.Data(data=piece)) or b"")
            await writer.drain()
        writer.write(http.send(h11.EndOfMessage()) or b"")
        await writer.drain()

    copying = asyncio.ensure_future(copy())
    gone = asyncio.ensure_future(_until_gone(reader))
    try:
        await asyncio.wait({copying, gone}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (copying, gone):
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError, OSError):
            await copying


async def _until_gone(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(OSError):
        while await reader.read(_READ_BYTES):
            pass
