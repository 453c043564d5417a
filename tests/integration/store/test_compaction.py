"""Compaction on a real Redis: what leaves the stream is in the history, and who watches from before it is told."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from controlplane.store import Change, Key, Store, WatchCache
from controlplane.store import compaction as compaction_module
from controlplane.store.compaction import Compactor
from controlplane.store.history import History
from tests.integration.store.conftest import LIMIT_S, Bench
from tests.integration.store.support import pod, refused, run_threads

POD = Key("pods", "default", "web")
MINUTE_MS = 60_000


def now_ms() -> int:
    return round(time.time() * 1000)


def fill(store: Store, count: int, size: int = 10) -> None:
    revision = int(store.create(POD, pod(text="x" * size)).resource_version)
    for step in range(count - 1):
        revision = int(store.update(POD, pod(text="x" * size, step=str(step)), revision).resource_version)


def caught_up(bench: Bench, store: Store) -> tuple[WatchCache, Compactor]:
    cache = bench.cache(store)
    cache.wait_for(store.acknowledged, LIMIT_S)
    return cache, Compactor(store, cache)


def test_nothing_is_due(bench: Bench) -> None:
    store = bench.open()
    fill(store, 20)
    cache, compactor = caught_up(bench, store)
    assert compactor.step(now_ms()) == 0
    assert cache.compacted == store.revision() - 20


def test_old_changes_go(bench: Bench) -> None:
    store = bench.open()
    start = store.revision()
    fill(store, 20)
    cache, compactor = caught_up(bench, store)
    assert compactor.step(now_ms() + 12 * MINUTE_MS) == 20
    assert cache.compacted == start + 20
    store.delete(POD, None)
    cache.wait_for(store.acknowledged, LIMIT_S)

    async def main() -> None:
        with refused("Expired"):
            cache.subscribe("pods", "", start + 19)
        changes = await cache.subscribe("pods", "", start + 20).next(LIMIT_S) or []
        assert [change.revision for change in changes] == [start + 21]

    asyncio.run(main())
    with bench.server.client() as client:
        assert client.xlen("changes") == 1
    again = bench.cache(bench.open())
    assert again.compacted == start + 20


def test_a_large_stream_is_cut(bench: Bench) -> None:
    store = bench.open(keep_bytes=200_000)
    fill(store, 100, size=2000)
    cache, compactor = caught_up(bench, store)
    assert compactor.step(now_ms()) > 0
    with bench.server.client() as client:
        assert int(client.memory_usage("changes", samples=0) or 0) < 200_000
    assert compactor.step(now_ms()) == 0
    assert cache.compacted < cache.revision


def test_what_left_the_stream_is_in_the_history(durable: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction_module, "MEMBER_CHANGES", 7)
    store = durable.open()
    fill(store, 50)
    store.delete(POD, None)
    cache, compactor = caught_up(durable, store)

    async def main() -> None:
        seen = await cache.subscribe("pods", "", 0).next(LIMIT_S) or []
        assert await asyncio.to_thread(compactor.step, now_ms() + 12 * MINUTE_MS) == 51
        kept = list(open_history(durable).read())
        assert [change.revision for change in kept] == list(range(1, 52))
        for before, after in zip(seen, kept, strict=True):
            assert (before.key, before.type, before.at_ms) == (after.key, after.type, after.at_ms)
            assert (before.before and before.before.raw) == (after.before and after.before.raw)
            assert (before.after and before.after.raw) == (after.after and after.after.raw)

    asyncio.run(main())


def test_leases_have_no_history(leases: Bench) -> None:
    store = leases.open()
    fill(store, 10)
    compactor = caught_up(leases, store)[1]
    assert compactor.step(now_ms() + 12 * MINUTE_MS) == 10
    assert not (leases.config.state_dir / "history").exists()


def test_nothing_is_dropped_that_the_history_could_not_keep(durable: Bench) -> None:
    store = durable.open()
    fill(store, 10)
    cache, compactor = caught_up(durable, store)
    (durable.config.state_dir / "history").write_text("in the way")
    with pytest.raises(OSError, match="exists"):
        compactor.step(now_ms() + 12 * MINUTE_MS)
    assert cache.compacted == 0
    with durable.server.client() as client:
        assert client.xlen("changes") == 10


def test_a_crash_between_history_and_stream(durable: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next look finds the same changes due and must not add them twice."""
    store = durable.open()
    fill(store, 10)
    append = History.append

    def append_and_die(history: History, changes: Sequence[Change]) -> None:
        append(history, changes)
        raise OSError("killed")

    compactor = caught_up(durable, store)[1]
    monkeypatch.setattr(History, "append", append_and_die)
    with pytest.raises(OSError, match="killed"):
        compactor.step(now_ms() + 12 * MINUTE_MS)
    monkeypatch.undo()
    with durable.server.client() as client:
        assert client.xlen("changes") == 10
    restarted = durable.open()
    assert caught_up(durable, restarted)[1].step(now_ms() + 12 * MINUTE_MS) == 10
    assert [change.revision for change in open_history(durable).read()] == list(range(1, 11))


def test_compaction_under_load_and_watches(bench: Bench) -> None:
    """Writers, watchers that keep up, and compaction at every moment: who follows gets everything, once."""
    store = bench.open()
    cache, compactor = caught_up(bench, store)
    start = cache.revision
    total = 8 * 60
    done = threading.Event()

    def write(number: int) -> None:
        for i in range(60):
            store.create(Key("pods", "default", f"{number}-{i}"), pod())

    def compact() -> int:
        dropped = 0
        while not done.is_set():
            dropped += compactor.step(now_ms() + 12 * MINUTE_MS)
        return dropped

    async def main() -> None:
        watcher = cache.subscribe("pods", "", start)
        compacting = asyncio.create_task(asyncio.to_thread(compact))
        writing = asyncio.create_task(asyncio.to_thread(run_threads, write, 8))
        got: list[int] = []
        while len(got) < total:
            got += [change.revision for change in await watcher.next(LIMIT_S) or []]
        await writing
        done.set()
        assert await compacting > 0
        assert got == list(range(start + 1, start + total + 1))

    asyncio.run(asyncio.wait_for(main(), 3 * LIMIT_S))
    assert len(cache.list("pods").documents) == total
    if bench.config.durable:
        revisions = [change.revision for change in open_history(bench).read()]
        assert revisions == list(range(1, len(revisions) + 1))


def open_history(bench: Bench) -> History:
    return History(Path(bench.config.state_dir) / "history", 1 << 30)
