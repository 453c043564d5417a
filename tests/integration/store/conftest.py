"""Stores and watch caches over a real Redis, closed at the end of the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from controlplane.store import Store, StoreConfig, WatchCache
from tests.integration.redis_server import RedisServer

LIMIT_S = 20.0
"""How long a test waits for what must happen; never a figure to be proud of."""


@dataclass
class Bench:
    """A Redis and what runs on it. `open` gives one more store on it, as after a restart of the API server."""

    server: RedisServer
    config: StoreConfig
    opened: ExitStack = field(default_factory=ExitStack)

    def open(self, **changed: Any) -> Store:
        store = Store(replace(self.config, **changed))
        self.opened.callback(store.close)
        return store

    def cache(self, store: Store) -> WatchCache:
        """A started cache that has loaded."""
        cache = WatchCache(store)
        cache.start()
        self.opened.callback(cache.stop)
        cache.wait_for(store.revision(), LIMIT_S)
        return cache


@pytest.fixture
def make_bench(start_redis: Callable[..., RedisServer], tmp_path: Path) -> Iterator[Callable[[bool], Bench]]:
    benches: list[Bench] = []

    def make(durable: bool) -> Bench:
        server = start_redis(durable)
        config = StoreConfig(server.socket, tmp_path / "state", server.password, durable, reply_timeout_s=5.0)
        benches.append(Bench(server, config))
        return benches[-1]

    yield make
    for bench in benches:
        bench.opened.close()


@pytest.fixture(params=[True, False], ids=["durable", "leases"])
def bench(request: pytest.FixtureRequest, make_bench: Callable[[bool], Bench]) -> Bench:
    """The contract holds for both kinds of store."""
    return make_bench(request.param)


@pytest.fixture
def durable(make_bench: Callable[[bool], Bench]) -> Bench:
    return make_bench(True)


@pytest.fixture
def leases(make_bench: Callable[[bool], Bench]) -> Bench:
    return make_bench(False)
