"""`kubelab-apiserver --config FILE`: puts the API server together and runs it.

A configuration that can't be used is one clear line and exit code 2. The stores may be away at the start: the server
waits for them before it serves.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from pathlib import Path

from controlplane.apiserver.app import create_app
from controlplane.apiserver.asgi import Shell
from controlplane.apiserver.audit import AuditLog
from controlplane.apiserver.backend import KINDS_OF_STORE, Backend, Half
from controlplane.apiserver.basics import Basics
from controlplane.apiserver.config import ServerConfig
from controlplane.apiserver.registry import Store as StoreKind
from controlplane.apiserver.resources import ALL
from controlplane.apiserver.server import Server
from controlplane.apiserver.services import services_of
from controlplane.daemon import event, load_config, setup_logging
from controlplane.store import Store, StoreConfig, WatchCache

log = logging.getLogger(__name__)

PROG = "kubelab-apiserver"
STORE_POLL_S = 0.05
SWITCH_INTERVAL_S = 0.001
"""The event loop gets the interpreter back this soon from a writer's thread; the default of 5 ms is felt."""


def main(arguments: list[str] | None = None) -> int:
    """Runs the server until a signal; returns the exit code."""
    config = load_config(PROG, ServerConfig, arguments)
    try:
        Path(config.state_dir).mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        sys.stderr.write(f"{PROG}: {error}\n")
        return 2
    setup_logging()
    os.umask(0o077)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    run(config)
    return 0


def run(config: ServerConfig) -> None:
    """Serves until a signal."""
    halves = {kind: _half(config, kind) for kind in KINDS_OF_STORE}
    backend = Backend(config, ALL, halves)
    for half in halves.values():
        half.cache.start()
    _wait_for_stores(halves)
    services = services_of(backend)
    basics = Basics(services)
    shell = Shell(backend, create_app(services), AuditLog(Path(config.state_dir) / "audit.log"))
    basics.start()
    try:
        Server(config, shell).run()
    finally:
        shell.stop()
        basics.stop()
        for half in halves.values():
            half.cache.stop()
            half.store.close()


def _half(config: ServerConfig, kind: StoreKind) -> Half:
    durable = kind == "durable"
    store = Store(
        StoreConfig(
            socket=Path(config.redis_socket if durable else config.lease_redis_socket),
            state_dir=Path(config.state_dir) / kind,
            password=config.read_password(),
            durable=durable,
        )
    )
    return Half(store, WatchCache(store))


def _wait_for_stores(halves: dict[StoreKind, Half]) -> None:
    """Blocks until both caches have loaded; says once what it waits for."""
    said = False
    while not all(half.cache.ready() for half in halves.values()):
        if not said:
            waiting = [kind for kind, half in halves.items() if not half.cache.ready()]
            event(log, "waiting", stores=",".join(waiting))
            said = True
        time.sleep(STORE_POLL_S)


if __name__ == "__main__":
    sys.exit(main())
