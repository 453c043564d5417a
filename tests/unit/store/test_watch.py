"""Watchers and their hub, without Redis."""

from __future__ import annotations

import asyncio

import pytest

from controlplane.api.document import Document
from controlplane.api.errors import ApiError
from controlplane.store import Change, Key
from controlplane.store import watch as watch_module
from controlplane.store.watch import Hub, Watcher


def change(revision: int, resource: str = "pods", namespace: str = "a", name: str = "x") -> Change:
    return Change(revision, Key(resource, namespace, name), "ADDED", None, Document(b"{}"))


def subscribe(hub: Hub, backlog: list[Change], revision: int, *scope: str) -> Watcher:
    resource, namespace, name = (*scope, "", "", "")[:3] if scope else ("pods", "", "")
    watcher = Watcher(hub, (resource, namespace, name), backlog, revision)
    hub.add(watcher)
    return watcher


async def revisions(watcher: Watcher) -> list[int]:
    return [one.revision for one in await watcher.next(1.0) or []]


def test_a_batch_that_was_under_way_is_not_repeated() -> None:
    """The cache posted 3 and 4; before the loop delivers them, somebody subscribes with both in the backlog."""

    async def main() -> None:
        hub = Hub(asyncio.get_running_loop(), 2)
        hub.post([change(3), change(4)], 4)
        watcher = subscribe(hub, [change(3), change(4)], 4)
        hub.post([change(5)], 5)
        await hub.wait_for(5, 1.0)
        assert await revisions(watcher) == [3, 4, 5]
        assert watcher.revision == 5

    asyncio.run(main())


@pytest.mark.parametrize(
    ("scope", "seen"),
    [
        (("pods", "", ""), [1, 2, 3, 6]),
        (("pods", "a", ""), [1, 2, 6]),
        (("pods", "a", "y"), [2]),
        (("nodes", "", ""), [4]),
        (("nodes", "", "y"), []),
    ],
    ids=["resource", "namespace", "name", "cluster", "nothing"],
)
def test_scope(scope: tuple[str, str, str], seen: list[int]) -> None:
    changes = [
        change(1),
        change(2, name="y"),
        change(3, namespace="b"),
        change(4, "nodes", ""),
        change(5, "x"),
        change(6),
    ]

    async def main() -> None:
        hub = Hub(asyncio.get_running_loop(), 0)
        live = subscribe(hub, [], 0, *scope)
        hub.post(changes, 6)
        await hub.wait_for(6, 1.0)
        resumed = subscribe(hub, [one for one in changes if one.key.resource == scope[0]], 6, *scope)
        for watcher in (live, resumed):
            if seen:
                assert await revisions(watcher) == seen
            assert watcher.revision == 6
            assert await watcher.next(0.0) is None

    asyncio.run(main())


def test_a_bookmark_never_promises_what_is_still_waiting() -> None:
    async def main() -> None:
        hub = Hub(asyncio.get_running_loop(), 0)
        watcher = subscribe(hub, [], 0)
        hub.post([change(1), change(2), change(3)], 7)
        await hub.wait_for(7, 1.0)
        assert watcher.revision == 0
        await watcher.next(1.0)
        assert watcher.revision == 7

    asyncio.run(main())


def test_overflow_counts_what_came_not_the_backlog(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_module, "MAX_WAITING", 3)

    async def main() -> None:
        hub = Hub(asyncio.get_running_loop(), 10)
        backlog = [change(revision) for revision in range(1, 11)]
        patient, slow = subscribe(hub, backlog, 10), subscribe(hub, backlog, 10)
        hub.post([change(11), change(12), change(13)], 13)
        await hub.wait_for(13, 1.0)
        assert await revisions(patient) == list(range(1, 14))
        hub.post([change(14)], 14)
        await hub.wait_for(14, 1.0)
        with pytest.raises(ApiError, match="too slow"):
            await slow.next(1.0)
        assert await revisions(patient) == [14]

    asyncio.run(main())


def test_large_backlogs_come_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_module, "MAX_TAKEN", 4)

    async def main() -> None:
        hub = Hub(asyncio.get_running_loop(), 10)
        watcher = subscribe(hub, [change(revision) for revision in range(1, 11)], 10)
        assert [await revisions(watcher) for _ in range(3)] == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10]]

    asyncio.run(main())


def test_an_interruption_ends_all_watchers() -> None:
    async def main() -> None:
        hub = Hub(asyncio.get_running_loop(), 0)
        watchers = [subscribe(hub, [], 0), subscribe(hub, [change(1)], 1), subscribe(hub, [], 0, "nodes")]
        waiting = asyncio.create_task(watchers[0].next(1.0))
        await asyncio.sleep(0)
        hub.post_end("list again")
        with pytest.raises(ApiError, match="list again"):
            await waiting
        for watcher in watchers:
            with pytest.raises(ApiError) as caught:
                await watcher.next(1.0)
            assert caught.value.code == 410

    asyncio.run(main())


def test_a_hub_of_a_closed_loop_says_so() -> None:
    async def make() -> Hub:
        return Hub(asyncio.get_running_loop(), 0)

    hub = asyncio.run(make())
    assert not hub.post([change(1)], 1)
    assert not hub.post_end("gone")


def test_waiting_for_revisions() -> None:
    async def main() -> None:
        hub = Hub(asyncio.get_running_loop(), 5)
        assert await hub.wait_for(5, 0.0)
        assert not await hub.wait_for(6, 0.0)
        waits = [asyncio.create_task(hub.wait_for(revision, 1.0)) for revision in (9, 7, 8)]
        await asyncio.sleep(0)
        hub.post([], 8)
        assert await waits[1]
        assert await waits[2]
        assert not waits[0].done()
        hub.post([], 9)
        assert await waits[0]

    asyncio.run(main())
