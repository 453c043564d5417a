"""What the store survives: Redis killed, hung, gone, empty, old or replaced; the disk full.

The recorded load writes from several threads and keeps what was acknowledged; watchers record what they were told.
Afterwards everything acknowledged must be there, and every stream gapless and without repeats.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from dataclasses import dataclass, field

import pytest

from controlplane.api.errors import ApiError
from controlplane.store import Change, Key, Store, WatchCache, Watcher
from tests.integration.store.conftest import LIMIT_S, Bench
from tests.integration.store.support import pod, refused, run_threads

POD = Key("pods", "default", "web")


@dataclass
class Load:
    """Writers that go on until told to stop, and what they were answered."""

    store: Store
    done: threading.Event = field(default_factory=threading.Event)
    written: dict[str, int] = field(default_factory=dict)
    """Name → revision, acknowledged."""
    unknown: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)

    def run(self, writers: int) -> None:
        run_threads(self._write, writers)

    def _write(self, number: int) -> None:
        i = 0
        while not self.done.is_set():
            name = f"{number}-{i}"
            i += 1
            try:
                self.written[name] = int(self.store.create(Key("pods", "default", name), pod(name)).resource_version)
            except ApiError as error:
                if error.code not in (503, 504):
                    raise
                (self.refused if error.code == 503 else self.unknown).add(name)
                self.done.wait(0.01)

    def check(self, store: Store, changes: list[Change]) -> None:
        """What was acknowledged is there under its revision, what was refused is not, and the log has each once."""
        for name, revision in self.written.items():
            document = store.get(Key("pods", "default", name))
            assert document is not None, f"{name} was acknowledged and is lost"
            assert document.resource_version == str(revision)
        for name in self.refused:
            assert store.get(Key("pods", "default", name)) is None, f"{name} was refused and is there"
        revisions = [change.revision for change in changes]
        assert revisions == list(range(revisions[0], revisions[0] + len(revisions)))
        names = [change.key.name for change in changes]
        assert len(names) == len(set(names))
        assert self.written.keys() <= set(names)
        assert set(names) <= self.written.keys() | self.unknown


async def record(watcher: Watcher, changes: list[Change], done: threading.Event) -> None:
    """Keep what the watcher is told, until `done` is set and nothing more comes."""
    while True:
        last = done.is_set()
        new = await watcher.next(0.2)
        changes += new or []
        if last and not new:
            return


async def expires(watcher: Watcher) -> None:
    """The watcher is told to list again, after whatever it still gets."""
    with refused("Expired"):
        while True:
            await watcher.next(LIMIT_S)


async def reached(load: Load, count: int) -> None:
    while len(load.written) < count:
        await asyncio.sleep(0.005)


@pytest.mark.parametrize("writers", [1, 12])
def test_redis_killed_under_load(durable: Bench, writers: int) -> None:
    store = durable.open()
    cache = durable.cache(store)
    load = Load(store)
    changes: list[Change] = []

    async def main() -> None:
        settled = threading.Event()
        recording = asyncio.create_task(record(cache.subscribe("pods", "", cache.revision), changes, settled))
        writing = asyncio.create_task(asyncio.to_thread(load.run, writers))
        for _ in range(4):
            await reached(load, len(load.written) + 150)
            newest = store.acknowledged
            await asyncio.to_thread(durable.server.kill)
            await asyncio.to_thread(durable.server.start)
            with durable.server.client() as client:
                assert int(client.hget("meta", "revision") or 0) >= newest
        await reached(load, len(load.written) + 150)
        load.done.set()
        await writing
        await cache.wait_for_async(store.acknowledged, LIMIT_S)
        settled.set()
        await recording

    asyncio.run(asyncio.wait_for(main(), 5 * LIMIT_S))
    load.check(store, changes)
    assert not load.unknown  # Redis came back in time: each outcome was found out
    assert store.health().writable


def test_redis_killed_leases_go_on_above(leases: Bench) -> None:
    store = leases.open()
    cache = leases.cache(store)
    load = Load(store)

    async def main() -> None:
        writing = asyncio.create_task(asyncio.to_thread(load.run, 4))
        await reached(load, 200)
        watcher = cache.subscribe("pods", "", cache.revision)
        before = cache.revision
        newest = store.acknowledged
        await asyncio.to_thread(leases.server.kill)
        await asyncio.to_thread(leases.server.start)
        await reached(load, len(load.written) + 200)
        load.done.set()
        await writing
        await expires(watcher)
        await cache.wait_for_async(store.acknowledged, LIMIT_S)
        with refused("Expired"):
            cache.subscribe("pods", "", before)
        assert cache.revision > newest

    asyncio.run(asyncio.wait_for(main(), 5 * LIMIT_S))
    revisions = list(load.written.values())
    assert len(revisions) == len(set(revisions))
    listed = {document.name: int(document.resource_version) for document in cache.list("pods").documents}
    assert load.written.items() <= listed.items()


def test_leases_that_lost_their_newest_writes_never_reuse_a_revision(leases: Bench) -> None:
    store = leases.open()
    store.create(POD, pod())
    cache = leases.cache(store)
    leases.server.stop()
    old = leases.server.save_copy()
    leases.server.start()
    for i in range(5):
        store.create(Key("pods", "default", str(i)), pod())
    newest = store.acknowledged
    leases.server.kill()
    leases.server.put_back(old)
    leases.server.start()
    revision = int(store.create(Key("pods", "default", "next"), pod()).resource_version)
    assert revision > newest
    cache.wait_for(revision, LIMIT_S)
    assert {document.name for document in cache.list("pods").documents} == {"web"}
    assert len(cache.list("pods").documents) == 2


def test_leases_that_came_back_empty_go_on(leases: Bench) -> None:
    store = leases.open()
    store.create(POD, pod())
    cache = leases.cache(store)
    newest = store.acknowledged
    leases.server.kill()
    leases.server.forget()
    leases.server.start()
    revision = int(store.create(POD, pod()).resource_version)
    assert revision > newest
    cache.wait_for(revision, LIMIT_S)
    assert store.health().writable


def test_leases_emptied_while_they_run_go_on(leases: Bench) -> None:
    store = leases.open()
    cache = leases.cache(store)
    store.create(POD, pod())
    newest = store.acknowledged
    with leases.server.client() as client:
        client.flushall()
    with refused("ServiceUnavailable"):
        store.create(POD, pod())
    while not store.health().writable:
        threading.Event().wait(0.02)
    revision = int(store.create(POD, pod()).resource_version)
    assert revision > newest
    cache.wait_for(revision, LIMIT_S)


def test_a_connection_that_breaks_in_the_middle(durable: Bench) -> None:
    """Somebody kills our connections all the time: every write is still done once, and none is unknown."""
    store = durable.open()
    cache = durable.cache(store)
    start = cache.revision
    load = Load(store)
    changes: list[Change] = []

    async def main() -> None:
        settled = threading.Event()
        recording = asyncio.create_task(record(cache.subscribe("pods", "", start), changes, settled))
        writing = asyncio.create_task(asyncio.to_thread(load.run, 8))
        with durable.server.client() as client:
            for _ in range(30):
                await reached(load, len(load.written) + 20)
                await asyncio.to_thread(client.client_kill_filter, _type="normal", skipme=True)
        load.done.set()
        await writing
        await cache.wait_for_async(store.acknowledged, LIMIT_S)
        settled.set()
        await recording

    asyncio.run(asyncio.wait_for(main(), 5 * LIMIT_S))
    load.check(store, changes)
    assert not load.unknown
    assert not load.refused


def test_redis_that_hangs_is_given_time(durable: Bench) -> None:
    store = durable.open()
    cache = durable.cache(store)
    store.create(POD, pod())
    cache.wait_for(store.acknowledged, LIMIT_S)
    durable.server.send(signal.SIGSTOP)
    timer = threading.Timer(1.0, durable.server.send, [signal.SIGCONT])
    timer.start()
    assert cache.get(POD) is not None
    store.delete(POD, None)
    timer.join()


def test_redis_that_hangs_too_long_gets_an_honest_answer_and_the_write_is_not_done_twice(durable: Bench) -> None:
    store = durable.open(reply_timeout_s=0.3)
    first = int(store.create(POD, pod()).resource_version)
    durable.server.send(signal.SIGSTOP)
    timer = threading.Timer(1.5, durable.server.send, [signal.SIGCONT])
    timer.start()
    changed = store.update(POD, pod(step="two"), first)  # its first try ran into the time-out and was looked up
    timer.join()
    stored = store.get(POD)
    assert stored is not None
    assert stored.raw == changed.raw
    assert store.revision() == first + 1


def test_redis_away(bench: Bench) -> None:
    store = bench.open()
    cache = bench.cache(store)
    created = store.create(POD, pod())
    cache.wait_for(store.acknowledged, LIMIT_S)
    bench.server.kill()
    for write in (lambda: store.delete(POD, None), lambda: store.next_term("x"), lambda: store.get(POD)):
        with refused("ServiceUnavailable"):
            write()
    assert "does not answer" in store.health().reason or "broke" in store.health().reason
    cached = cache.get(POD)
    assert cached is not None
    assert cached.raw == created.raw
    bench.server.start()
    store.delete(POD, None)
    cache.wait_for(store.acknowledged, LIMIT_S)
    assert cache.get(POD) is None
    assert store.health().writable


class TestFrozen:
    """A durable store that is not what it was."""

    def frozen(self, store: Store, cache: WatchCache, word: str) -> None:
        """Read-only, and says why; the cache keeps what it knows, and watches get 410."""
        with pytest.raises(ApiError) as caught:
            store.create(Key("pods", "default", "new"), pod())
        assert caught.value.code == 503
        assert word in caught.value.message
        health = store.health()
        assert not health.writable
        assert "read-only" in health.reason
        assert word in health.reason
        assert cache.get(POD) is not None

    def watch_ends(self, cache: WatchCache, begin: int) -> None:
        async def main() -> None:
            with refused("Expired"):
                while True:
                    await cache.subscribe("pods", "", begin).next(0.05)

        asyncio.run(asyncio.wait_for(main(), LIMIT_S))

    def test_empty(self, durable: Bench) -> None:
        store = durable.open()
        cache = durable.cache(store)
        begin = cache.revision
        store.create(POD, pod())
        cache.wait_for(store.acknowledged, LIMIT_S)
        durable.server.kill()
        durable.server.forget()
        durable.server.start()
        self.frozen(store, cache, "empty")
        self.watch_ends(cache, begin)

    def test_old_and_then_right_again(self, durable: Bench) -> None:
        store = durable.open()
        cache = durable.cache(store)
        store.create(POD, pod())
        durable.server.stop()
        old = durable.server.save_copy()
        durable.server.start()
        second = int(store.update(POD, pod(step="2"), 1).resource_version)
        cache.wait_for(second, LIMIT_S)
        durable.server.stop()
        right = durable.server.folder / "right"
        durable.server.data.rename(right)
        durable.server.data.mkdir()
        durable.server.put_back(old)
        durable.server.start()
        self.frozen(store, cache, "revision 1")
        self.watch_ends(cache, 0)
        durable.server.stop()
        durable.server.put_back(right)
        durable.server.start()
        while not store.health().writable:
            threading.Event().wait(0.02)
        third = store.update(POD, pod(step="3"), second)
        cache.wait_for(int(third.resource_version), LIMIT_S)

        async def main() -> None:
            assert [change.revision for change in await cache.subscribe("pods", "", second).next(LIMIT_S) or []] == [
                3
            ]

        asyncio.run(main())

    def test_emptied_while_it_runs(self, durable: Bench) -> None:
        store = durable.open()
        cache = durable.cache(store)
        store.create(POD, pod())
        cache.wait_for(store.acknowledged, LIMIT_S)
        with durable.server.client() as client:
            client.flushall()
        self.frozen(store, cache, "replaced")
        while "empty" not in store.health().reason:
            threading.Event().wait(0.02)
        self.frozen(store, cache, "empty")

    def test_another_cluster(self, durable: Bench) -> None:
        store = durable.open()
        cache = durable.cache(store)
        store.create(POD, pod())
        cache.wait_for(store.acknowledged, LIMIT_S)
        with durable.server.client() as client:
            client.hset("meta", "cluster_id", "another")
        self.frozen(store, cache, "another")

    def test_found_at_the_start(self, durable: Bench) -> None:
        store = durable.open()
        store.create(POD, pod())
        store.close()
        durable.server.kill()
        durable.server.forget()
        durable.server.start()
        again = durable.open()
        with refused("ServiceUnavailable"):
            again.create(POD, pod())
        assert "empty" in again.health().reason
        cache = WatchCache(again)
        cache.start()
        assert not cache.ready()
        cache.stop()

    def test_a_redis_with_other_data(self, durable: Bench) -> None:
        with durable.server.client() as client:
            client.set("something", "else")
        store = durable.open()
        with refused("ServiceUnavailable"):
            store.create(POD, pod())
        assert "no store of ours" in store.health().reason


def test_disk_full(bench: Bench) -> None:
    store = bench.open()
    cache = bench.cache(store)
    store.create(POD, pod())
    cache.wait_for(store.acknowledged, LIMIT_S)
    full = bench.open(min_free_bytes=1 << 60, state_dir=bench.config.state_dir / "full")
    for write in (lambda: full.create(POD, pod()), lambda: full.next_term("x")):
        with refused("ServiceUnavailable"):
            write()
    assert "disk full" in full.health().reason
    assert cache.get(POD) is not None
    assert full.get(POD) is not None


@pytest.mark.parametrize("torn", [b"*3\r\n$4\r\nHS", b"*1\r\n$5\r\nMULTI\r\n*3\r\n$4\r\nHDEL\r\n$7\r\nobjects\r\n"])
def test_torn_tail_of_the_append_only_file(durable: Bench, torn: bytes) -> None:
    """A power cut in the middle of a write: Redis cuts off what isn't whole, and what was acknowledged is there."""
    store = durable.open()
    cache = durable.cache(store)
    created = [store.create(Key("pods", "default", str(i)), pod(str(i))) for i in range(20)]
    durable.server.kill()
    with next(durable.server.data.glob("appendonlydir/*.incr.aof")).open("ab") as file:
        file.write(torn)
    durable.server.start()
    following = store.create(POD, pod())
    assert int(following.resource_version) == int(created[-1].resource_version) + 1
    cache.wait_for(store.acknowledged, LIMIT_S)
    for i, document in enumerate(created):
        stored = store.get(Key("pods", "default", str(i)))
        assert stored is not None
        assert stored.raw == document.raw
