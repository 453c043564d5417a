"""The ASGI shell: every request enters here, passes the gate, and goes to Flask or to a coroutine.

Reads are answered in place in the event loop (they come from memory); writes wait for a disk, so they run in a small
pool of threads, those of leases in one of their own, so that heartbeats never wait for a disk. Streams are
coroutines. Short requests always have room: the number of writes under way and of streams is bounded, and what is
beyond gets 429.

Called by uvicorn; see `server.py`.
"""

from __future__ import annotations

import asyncio
import io
import logging
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from flask import Flask

from controlplane.api.errors import ApiError
from controlplane.apiserver import gate, logs, watch
from controlplane.apiserver.audit import FLUSH_S, AuditLog
from controlplane.apiserver.backend import Backend
from controlplane.apiserver.call import ENVIRON_KEY, Call
from controlplane.apiserver.protocol import STATE_PEER
from controlplane.apiserver.registry import Resource
from controlplane.apiserver.render import encode
from controlplane.apiserver.respond import as_api_error
from controlplane.apiserver.stream import Receive, Send, Stream
from controlplane.daemon import event

log = logging.getLogger(__name__)

BODY_LIMIT_BYTES = 3 * 1024 * 1024
DRAIN_LIMIT_BYTES = 64 * 1024 * 1024
BODY_S = 30.0
WRITERS = 24
LEASE_WRITERS = 8
WRITES_LIMIT = 200
STREAMS_LIMIT = 5000
BODIES = frozenset({"POST", "PUT", "PATCH", "DELETE"})

Headers = list[tuple[bytes, bytes]]


class Shell:
    """The ASGI application."""

    def __init__(self, backend: Backend, app: Flask, audit: AuditLog) -> None:
        self._backend = backend
        self._app = app
        self._audit = audit
        self._pools = {
            "durable": ThreadPoolExecutor(WRITERS, "write"),
            "leases": ThreadPoolExecutor(LEASE_WRITERS, "write-lease"),
        }
        self._streams: set[Stream] = set()
        audit.schedule = self._flush_later

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"unexpected {scope['type']} connection")
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        call = Call(scope["method"], scope["path"], scope["query_string"].decode("latin-1"), headers)
        stream: Stream | None = None
        try:
            gate.admit(call, scope.get("state", {}).get(STATE_PEER), self._backend.tokens)
            serve = self._stream_of(call)
            if serve is not None:
                stream = Stream(receive, send, self._headers(call))
                code = await self._serve_stream(call, serve, stream)
            else:
                code = await self._serve_request(call, receive, send)
        except ApiError as error:
            code = error.code
            await _send_error(send, error, self._headers(call))
        except Exception as error:
            code = 500
            if stream is not None and stream.opened:
                as_api_error(error, call)
                raise
            await _send_error(send, as_api_error(error, call), self._headers(call))
        self._account(call, scope, code, stream is not None)

    def _stream_of(self, call: Call) -> tuple[str, Resource] | None:
        """Which coroutine answers this call, if any."""
        info = call.info
        if not info.resource:
            return None
        following = info.resource == "pods" and info.subresource == "log" and call.method == "GET"
        if not following and (info.verb != "watch" or info.subresource):
            return None
        resource = self._backend.find(info.group, info.version, info.resource)
        if resource is None or (info.namespace and not resource.namespaced):
            return None
        return ("log" if following else "watch"), resource

    async def _serve_stream(self, call: Call, serve: tuple[str, Resource], stream: Stream) -> int:
        metrics = self._backend.metrics
        if metrics.watches >= STREAMS_LIMIT:
            metrics.rejected += 1
            raise ApiError.too_many_requests("too many watches and followed logs")
        metrics.watches += 1
        self._streams.add(stream)
        try:
            kind, resource = serve
            if kind == "log":
                await logs.serve(self._backend, call, stream)
            else:
                await watch.serve(self._backend, call, resource, stream)
            if not stream.gone:
                await stream.finish()
        except TimeoutError:
            event(log, "stream-closed", key=call.path, reason="nobody reads")
        finally:
            metrics.watches -= 1
            self._streams.discard(stream)
            stream.release()
        return 200

    async def _serve_request(self, call: Call, receive: Receive, send: Send) -> int:
        if call.method not in BODIES:
            await self._catch_up(call)
            return await self._respond(call, send, self._flask(call))
        metrics = self._backend.metrics
        if metrics.inflight["mutating"] >= WRITES_LIMIT:
            metrics.rejected += 1
            raise ApiError.too_many_requests("too many writes at once")
        metrics.inflight["mutating"] += 1
        try:
            call.body = await _read_body(call, receive)
            resource = self._backend.find(call.info.group, call.info.version, call.info.resource)
            pool = self._pools[resource.store if resource else "durable"]
            answer = await asyncio.get_running_loop().run_in_executor(pool, self._flask, call)
        finally:
            metrics.inflight["mutating"] -= 1
        return await self._respond(call, send, answer)

    async def _catch_up(self, call: Call) -> None:
        """Waits until the cache has what this process acknowledged and what the client has seen."""
        info = call.info
        resource = self._backend.find(info.group, info.version, info.resource) if info.resource else None
        if resource is None:
            return
        seen = call.number("resourceVersion") if "resourceVersion=" in call.query_string else 0
        await self._backend.half(resource).caught_up(seen or 0)

    def _flask(self, call: Call) -> tuple[int, list[tuple[str, str]], bytes]:
        """Calls the Flask app in this thread."""
        environ = {
            ENVIRON_KEY: call,
            "REQUEST_METHOD": call.method,
            "PATH_INFO": call.path.encode().decode("latin-1"),
            "QUERY_STRING": call.query_string,
            "SCRIPT_NAME": "",
            "SERVER_NAME": "kubernetes",
            "SERVER_PORT": "443",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "https",
            "wsgi.input": io.BytesIO(call.body),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        with self._app.request_context(environ):
            response = self._app.full_dispatch_request()
            return response.status_code, response.headers.to_wsgi_list(), response.get_data()

    async def _respond(self, call: Call, send: Send, answer: tuple[int, list[tuple[str, str]], bytes]) -> int:
        code, listed, body = answer
        headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in listed]
        await _send(send, code, headers + self._headers(call), body)
        return code

    def _headers(self, call: Call) -> Headers:
        return [
            (b"audit-id", call.id.encode()),
            (b"x-request-id", call.id.encode()),
            (b"cache-control", b"no-cache, private"),
        ]

    def _account(self, call: Call, scope: dict[str, Any], code: int, streamed: bool) -> None:
        """The metric and the audit line of a request that has ended."""
        duration_s = time.monotonic() - call.started
        info = call.info
        known = self._backend.find(info.group, info.version, info.resource) is not None
        self._backend.metrics.request(
            info.verb if known else "other",
            info.resource if known else "",
            info.subresource if known else "",
            code,
            None if streamed else duration_s,
        )
        client = scope.get("client")
        self._audit.write(
            {
                "time": time.time(),
                "auditID": call.id,
                "verb": info.verb,
                "requestURI": f"{call.path}?{call.query_string}" if call.query_string else call.path,
                "user": call.user.name if call.user else None,
                "sourceIP": client[0] if client else None,
                "userAgent": call.headers.get("user-agent"),
                "resource": info.resource,
                "subresource": info.subresource,
                "namespace": info.namespace,
                "name": info.name,
                "code": code,
                "durationSeconds": round(duration_s, 6),
            }
        )

    def _flush_later(self) -> None:
        asyncio.get_running_loop().call_later(FLUSH_S, self._audit.flush)

    def begin_stop(self) -> None:
        """Ends all streams, so that their clients go elsewhere and the server can drain."""
        self._backend.stopping = True
        for stream in list(self._streams):
            stream.on_gone()

    def stop(self) -> None:
        """Ends the writers' threads; the server has drained."""
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)
        self._audit.flush()


async def _read_body(call: Call, receive: Receive) -> bytes:
    """The whole body.

    Raises: ApiError 413 beyond the limit, before anything is parsed; 408 when it doesn't come.
    """
    declared = call.headers.get("content-length", "0")
    too_large = declared.isdigit() and int(declared) > BODY_LIMIT_BYTES
    if too_large and "expect" in call.headers:
        raise _body_too_large()
    pieces: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_S):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ApiError.bad_request("the request's body ended early")
                piece = message.get("body", b"")
                size += len(piece)
                too_large = too_large or size > BODY_LIMIT_BYTES
                if not too_large:
                    pieces.append(piece)
                if not message.get("more_body", False) or size > DRAIN_LIMIT_BYTES:
                    break
    except TimeoutError:
        raise ApiError(408, "Timeout", "the request's body did not come in time") from None
    if too_large:
        raise _body_too_large()
    return b"".join(pieces)


def _body_too_large() -> ApiError:
    return ApiError.too_large(f"Request entity too large: limit is {BODY_LIMIT_BYTES}")


async def _send_error(send: Send, error: ApiError, headers: Headers) -> None:
    headers = [(b"content-type", b"application/json"), *headers]
    if error.code in (408, 413):
        headers.append((b"connection", b"close"))
    if error.retry_after_s is not None:
        headers.append((b"retry-after", str(error.retry_after_s).encode()))
    if error.code == 401:
        headers.append((b"www-authenticate", b'Bearer realm="kubelab"'))
    await _send(send, error.code, headers, encode(error.status()))


async def _send(send: Send, code: int, headers: Headers, body: bytes) -> None:
    if not any(name == b"content-length" for name, _ in headers):
        headers = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": code, "headers": headers})
    await send({"type": "http.response.body", "body": body})
