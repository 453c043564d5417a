"""Shared by the integration tests: real servers that a test starts and that never outlive it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.integration.redis_server import RedisServer


@pytest.fixture
def start_redis() -> Iterator[Callable[..., RedisServer]]:
    """`start_redis(durable=True)` starts a redis-server with the settings of the lab's durable or lease instance."""
    servers: list[RedisServer] = []

    def start(durable: bool = True) -> RedisServer:
        server = RedisServer(durable)
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        server.close()
