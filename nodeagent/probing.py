"""One try of a probe: httpGet and tcpSocket on the event loop, from the node's own network to the pod's address.

A result is (passed, what was seen). Nothing here raises for what a pod does: refused, silent and broken answers are
failures with words. `exec` probes are the runtime's and live in `probes.py`.

Follows pkg/probe/http/http.go and pkg/probe/tcp/tcp.go.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from dataclasses import dataclass

import h11

from controlplane.api.types import HTTPGetAction
from nodeagent.pods import Container

_BODY_MAX = 10 * 1024
_READ_BYTES = 16 * 1024


@dataclass(frozen=True)
class Result:
    passed: bool
    message: str = ""


async def tcp(host: str, port: int, timeout_s: float) -> Result:
    """Whether a connection is accepted."""
    try:
        async with asyncio.timeout(timeout_s):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return Result(False, f"dial tcp {host}:{port}: i/o timeout")
    except OSError as error:
        return Result(False, f"dial tcp {host}:{port}: {_words(error)}")
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return Result(True)


async def http(action: HTTPGetAction, container: Container, pod_ip: str, timeout_s: float) -> Result:
    """Whether a GET is answered with 200–399; redirects are not followed."""
    port = container.port(action.port)
    host = action.host or pod_ip
    if port is None:
        return Result(False, f"the container has no port named {action.port!r}")
    url = f"{action.scheme.lower()}://{host}:{port}{action.path or '/'}"
    try:
        async with asyncio.timeout(timeout_s):
            code, body = await _get(action, host, port)
    except TimeoutError:
        return Result(
            False, f'Get "{url}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)'
        )
    except (OSError, h11.ProtocolError, EOFError) as error:
        return Result(False, f'Get "{url}": {_words(error)}')
    if 200 <= code < 400:
        return Result(True, body)
    return Result(False, f"HTTP probe failed with statuscode: {code}")


async def _get(action: HTTPGetAction, host: str, port: int) -> tuple[int, str]:
    context = None
    if action.scheme.upper() == "HTTPS":
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # as upstream: the probe asks for health, not for identity
    reader, writer = await asyncio.open_connection(host, port, ssl=context)
    try:
        connection = h11.Connection(h11.CLIENT)
        given = {h.name.lower(): h.value for h in action.http_headers or ()}
        headers = {"host": f"{host}:{port}", "user-agent": "kube-probe/1.37", "accept": "*/*", "connection": "close"}
        headers.update(given)
        path = action.path or "/"
        request = h11.Request(
            method="GET", target=path if path.startswith("/") else f"/{path}", headers=list(headers.items())
        )
        writer.write((connection.send(request) or b"") + (connection.send(h11.EndOfMessage()) or b""))
        return await _answer(connection, reader)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _answer(connection: h11.Connection, reader: asyncio.StreamReader) -> tuple[int, str]:
    code, body = 0, b""
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            data = await reader.read(_READ_BYTES)
            if not data and not code:
                raise EOFError("EOF")
            connection.receive_data(data)
        elif isinstance(event, h11.Response):
            code = event.status_code
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) >= _BODY_MAX:
                return code, body[:_BODY_MAX].decode(errors="replace")
        elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
            return code, body.decode(errors="replace")


def _words(error: BaseException) -> str:
    text = str(error)
    if isinstance(error, ConnectionRefusedError):
        return "connect: connection refused"
    return text or type(error).__name__
