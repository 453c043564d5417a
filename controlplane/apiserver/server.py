"""uvicorn around the shell: TLS with optional client certificates, readiness, draining.

A certificate is optional since service accounts come with a token; one that is shown must be the lab CA's and valid,
or the handshake fails. SIGTERM ends the streams first, so that the rest can finish within seconds.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import ssl

import uvicorn

from controlplane.apiserver.asgi import Shell
from controlplane.apiserver.config import ServerConfig
from controlplane.apiserver.protocol import PeerProtocol
from controlplane.daemon import event, notify

log = logging.getLogger(__name__)

KEEP_ALIVE_S = 120
DRAIN_S = 5
BACKLOG = 1024


class Server(uvicorn.Server):
    """uvicorn's server; says when it serves, and ends streams when it must stop."""

    def __init__(self, config: ServerConfig, shell: Shell) -> None:
        super().__init__(
            uvicorn.Config(
                shell,
                host=config.listen_address,
                port=config.port,
                http=PeerProtocol,
                ws="none",
                loop="uvloop",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                backlog=BACKLOG,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=DRAIN_S,
                ssl_certfile=config.tls_cert_file,
                ssl_keyfile=config.tls_key_file,
                ssl_ca_certs=config.client_ca_file,
                ssl_cert_reqs=ssl.CERT_OPTIONAL,
            )
        )
        self._shell = shell

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            event(log, "serving", address=f"{host}:{port}")
            notify("READY=1")

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serves until SIGTERM or SIGINT. (uvicorn's own would raise the signal again, and nothing after it runs.)"""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled, number)
        await self._serve(sockets)

    def _signalled(self, number: signal.Signals) -> None:
        event(log, "stopping", signal=number.name)
        notify("STOPPING=1")
        self._shell.begin_stop()
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._shell.begin_stop()
        await super().shutdown(sockets)
