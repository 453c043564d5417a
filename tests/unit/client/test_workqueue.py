"""The work queue: merging, one hand per key, delays and back-off, with a clock that the test moves."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest

from controlplane.api.errors import ApiError
from controlplane.client.workqueue import Key, WorkQueue, run_controller

A: Key = ("default", "a")
B: Key = ("default", "b")


class ManualClock:
    def __init__(self) -> None:
        self.time_s = 0.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.time_s, UTC)

    def monotonic(self) -> float:
        return self.time_s


def test_a_burst_of_adds_is_one_item() -> None:
    queue = WorkQueue()
    for _ in range(5):
        queue.add(A)
    assert queue.get(0) == A
    queue.done(A)
    assert queue.get(0) is None


def test_a_key_in_processing_is_not_handed_out_twice() -> None:
    queue = WorkQueue()
    queue.add(A)
    assert queue.get(0) == A
    queue.add(A)
    assert queue.get(0) is None, "the key is still in another hand"
    queue.done(A)
    assert queue.get(0) == A, "what was added meanwhile is processed once more"


def test_keys_come_in_order_of_arrival() -> None:
    queue = WorkQueue()
    queue.add(B)
    queue.add(A)
    assert [queue.get(0), queue.get(0)] == [B, A]


def test_a_delayed_key_comes_when_it_is_due() -> None:
    clock = ManualClock()
    queue = WorkQueue(clock)
    queue.add_after(A, 10)
    assert queue.get(0) is None
    clock.time_s = 10
    assert queue.get(0) == A


def test_the_earliest_of_several_delays_counts() -> None:
    clock = ManualClock()
    queue = WorkQueue(clock)
    queue.add_after(A, 10)
    queue.add_after(A, 2)
    queue.add_after(A, 5)
    clock.time_s = 2
    assert queue.get(0) == A
    queue.done(A)
    clock.time_s = 20
    assert queue.get(0) is None, "the later delays were merged into the first"


def test_back_off_grows_is_capped_and_forgotten() -> None:
    queue = WorkQueue(ManualClock())
    delays = [queue.add_failed(A) for _ in range(15)]
    assert delays[0] <= 0.05
    assert delays[5] > delays[0]
    assert max(delays) <= 30
    queue.forget(A)
    assert queue.add_failed(A) <= 0.05


def test_shut_down_frees_the_workers() -> None:
    queue = WorkQueue()
    got: list[Key | None] = []
    worker = threading.Thread(target=lambda: got.append(queue.get()))
    worker.start()
    queue.shut_down()
    worker.join(timeout=5)
    assert got == [None]
    queue.add(A)
    assert queue.get(0) is None


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(ApiError.conflict("pods", "a"), id="write conflict"),
        pytest.param(RuntimeError("bug"), id="bug"),
    ],
)
def test_a_failed_reconcile_is_tried_again(error: Exception) -> None:
    queue = WorkQueue()
    tries: list[Key] = []
    succeeded = threading.Event()

    def reconcile(key: Key) -> None:
        tries.append(key)
        if len(tries) < 3:
            raise error
        succeeded.set()

    threads = run_controller("test", queue, reconcile)
    queue.add(A)
    assert succeeded.wait(10)
    queue.shut_down()
    for thread in threads:
        thread.join(timeout=5)
    assert tries == [A, A, A]


def test_a_stale_leader_stops_instead_of_trying_again() -> None:
    queue = WorkQueue()
    stopped = threading.Event()

    def reconcile(_: Key) -> None:
        raise ApiError.stale_term("manager", 1, 2)

    run_controller("test", queue, reconcile, on_stale_term=stopped.set)
    queue.add(A)
    assert stopped.wait(10)
    queue.shut_down()
    assert queue.get(0) is None
