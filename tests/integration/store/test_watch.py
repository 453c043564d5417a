"""The watch cache on a real Redis: lists, watches that resume, 410 where they can't, never a gap or a repeat."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

import pytest

from controlplane.api.errors import ApiError
from controlplane.store import Change, Key, Store, WatchCache, Watcher
from controlplane.store import watch as watch_module
from tests.integration.store.conftest import LIMIT_S, Bench
from tests.integration.store.support import pod, refused, run_threads

POD = Key("pods", "default", "web")


async def take(watcher: Watcher, upto: int) -> list[Change]:
    """The changes that a watcher gets until it has seen revision `upto`."""
    got: list[Change] = []
    while watcher.revision < upto:
        got += await watcher.next(LIMIT_S) or []
    return got


def run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(main, 3 * LIMIT_S))


def test_lists_are_sorted_and_of_one_revision(bench: Bench) -> None:
    store = bench.open()
    for namespace, name in [("b", "1"), ("a", "2"), ("a-b", "1"), ("a", "1")]:
        store.create(Key("pods", namespace, name), pod(name))
    store.create(Key("nodes", "", "worker-1"), pod("worker-1"))
    cache = bench.cache(store)
    assert cache.revision == store.revision()
    assert [d.name for d in cache.list("pods", "a").documents] == ["1", "2"]
    assert len(cache.list("pods").documents) == 4
    assert cache.list("pods").revision == store.revision()
    assert [d.name for d in cache.list("nodes").documents] == ["worker-1"]
    assert cache.list("absent").documents == []
    assert cache.get(Key("pods", "a", "3")) is None
    assert cache.counts() == {"pods": 4, "nodes": 1}


def test_a_read_after_the_write_sees_it(bench: Bench) -> None:
    store = bench.open()
    cache = bench.cache(store)

    def write_and_read(number: int) -> None:
        for i in range(20):
            created = store.create(Key("pods", "default", f"{number}-{i}"), pod())
            cache.wait_for(store.acknowledged, LIMIT_S)
            cached = cache.get(Key("pods", "default", f"{number}-{i}"))
            assert cached is not None
            assert cached.raw == created.raw

    run_threads(write_and_read, 8)


def test_a_watch_tells_each_step_with_before_and_after(bench: Bench) -> None:
    store = bench.open()
    cache = bench.cache(store)

    async def main() -> None:
        watcher = cache.subscribe("pods", "", cache.revision)
        first = await asyncio.to_thread(store.create, POD, pod(app="web"))
        revision = int(first.resource_version)
        await asyncio.to_thread(store.update, POD, pod(app="other"), revision)
        await asyncio.to_thread(store.delete, POD, None)
        changes = await take(watcher, revision + 2)
        assert [change.type for change in changes] == ["ADDED", "MODIFIED", "DELETED"]
        assert [change.revision for change in changes] == [revision, revision + 1, revision + 2]
        labels = [(c.before and c.before.labels["app"], c.after and c.after.labels["app"]) for c in changes]
        assert labels == [(None, "web"), ("web", "other"), ("other", None)]
        assert changes[1].departed.resource_version == str(revision + 1)  # who selects app=web sees it go
        assert changes[1].departed.labels == {"app": "web"}
        assert changes[2].departed.resource_version == str(revision + 2)
        assert changes[2].key == POD
        assert await watcher.next(0.01) is None
        assert watcher.revision == revision + 2

    run(main())


def test_scopes(bench: Bench) -> None:
    store = bench.open()
    cache = bench.cache(store)
    start = cache.revision
    for namespace in ("a", "b"):
        for name in ("1", "2"):
            store.create(Key("pods", namespace, name), pod(name))
    store.create(Key("nodes", "", "1"), pod("1"))
    cache.wait_for(store.acknowledged, LIMIT_S)

    async def seen(*scope: Any) -> list[tuple[str, str]]:
        changes = await cache.subscribe(*scope).next(LIMIT_S) or []
        return [(change.key.namespace, change.key.name) for change in changes]

    async def main() -> None:
        assert await seen("pods", "", start) == [("a", "1"), ("a", "2"), ("b", "1"), ("b", "2")]
        assert await seen("pods", "b", start) == [("b", "1"), ("b", "2")]
        assert await seen("pods", "b", start, "2") == [("b", "2")]
        assert await seen("nodes", "", start) == [("", "1")]
        assert await seen("pods", "", start + 3) == [("b", "2")]

    run(main())


def test_watchers_under_load_see_all_in_order(bench: Bench) -> None:
    """Watchers that begin at any moment, from any revision: each sees every change after it, once, in order."""
    store = bench.open()
    cache = bench.cache(store)
    start = cache.revision
    total = 16 * 40

    async def watch(begin: int) -> None:
        watcher = cache.subscribe("pods", "", begin)
        changes = await take(watcher, start + total)
        assert [change.revision for change in changes] == list(range(begin + 1, start + total + 1))
        watcher.close()

    async def main() -> None:
        writing = asyncio.to_thread(run_threads, lambda n: churn(store, n, 10), 16)
        watches = [asyncio.create_task(watch(start)) for _ in range(5)]
        writer = asyncio.create_task(writing)
        while not writer.done():
            await asyncio.sleep(0.005)
            now = cache.revision
            watches += [asyncio.create_task(watch(begin)) for begin in {now, max(start, now - 7), (start + now) // 2}]
        await writer
        await asyncio.gather(*watches)

    run(main())


def churn(store: Store, number: int, rounds: int) -> None:
    """Create, change twice, delete: four revisions a round."""
    for i in range(rounds):
        key = Key("pods", f"n{number % 3}", f"{number}-{i}")
        created = store.create(key, pod(step="1"))
        changed = store.update(key, pod(step="2"), int(created.resource_version))
        store.update(key, pod(step="3"), int(changed.resource_version))
        store.delete(key, None)


def test_several_event_loops(bench: Bench) -> None:
    store = bench.open()
    cache = bench.cache(store)
    start = cache.revision

    async def main() -> None:
        assert len(await take(cache.subscribe("pods", "", start), start + 160)) == 160

    run_threads(lambda n: run(main()) if n < 3 else churn(store, n, 20), 5)


def test_the_past_survives_a_restart_of_the_api_server(bench: Bench) -> None:
    store = bench.open()
    start = store.revision()
    churn(store, 1, 3)
    store.create(POD, pod())
    cache = bench.cache(bench.open())

    async def main() -> None:
        changes = await take(cache.subscribe("pods", "", start), start + 13)
        assert [change.revision for change in changes] == list(range(start + 1, start + 14))

    run(main())


def test_a_cache_that_loads_under_load_misses_nothing(bench: Bench) -> None:
    store = bench.open()
    start = store.revision()
    writer = threading.Thread(target=run_threads, args=(lambda n: churn(store, n, 75), 6))
    writer.start()
    caches = [bench.cache(store) for _ in range(4)]
    writer.join()
    survivor = store.create(POD, pod())
    reference = bench.cache(store)

    async def main(cache: WatchCache) -> None:
        changes = await take(cache.subscribe("pods", "", start), start + 1801)
        assert [change.revision for change in changes] == list(range(start + 1, start + 1802))

    for cache in [*caches, reference]:
        cache.wait_for(store.acknowledged, LIMIT_S)
        assert [document.raw for document in cache.list("pods").documents] == [survivor.raw]
        run(main(cache))


def test_the_future_is_refused_and_can_be_awaited(bench: Bench) -> None:
    store = bench.open()
    cache = bench.cache(store)
    now = cache.revision

    async def main() -> None:
        with refused("Timeout"):
            cache.subscribe("pods", "", now + 1)
        with refused("Timeout"):
            await cache.wait_for_async(now + 1, 0.01)
        waiting = asyncio.create_task(cache.wait_for_async(now + 2, LIMIT_S))
        await asyncio.to_thread(store.create, POD, pod())
        await asyncio.to_thread(store.delete, POD, None)
        await waiting
        cache.subscribe("pods", "", now + 2)

    run(main())
    with refused("Timeout"):
        cache.wait_for(now + 3, 0.01)


def test_a_slow_watcher_is_closed_and_hurts_nobody(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_module, "MAX_WAITING", 50)
    store = bench.open()
    cache = bench.cache(store)
    start = cache.revision

    async def main() -> None:
        slow = cache.subscribe("pods", "", start)
        quick = cache.subscribe("pods", "", start)
        reading = asyncio.create_task(take(quick, start + 120))
        await asyncio.to_thread(churn, store, 1, 30)
        assert len(await reading) == 120
        with refused("Expired"):
            await slow.next(LIMIT_S)
        assert slow.revision >= 0

    run(main())


def test_a_closed_watcher(bench: Bench) -> None:
    cache = bench.cache(bench.open())

    async def main() -> None:
        watcher = cache.subscribe("pods", "", cache.revision)
        waiting = asyncio.create_task(watcher.next(LIMIT_S))
        await asyncio.sleep(0)
        watcher.close()
        with refused("Expired"):
            await waiting

    run(main())


def test_stopping_the_cache_ends_its_watchers(bench: Bench) -> None:
    store = bench.open()
    cache = WatchCache(store)
    cache.start()
    cache.wait_for(store.revision(), LIMIT_S)

    async def main() -> None:
        watcher = cache.subscribe("pods", "", cache.revision)
        waiting = asyncio.create_task(watcher.next(LIMIT_S))
        await asyncio.to_thread(cache.stop)
        with pytest.raises(ApiError):
            await waiting

    run(main())
