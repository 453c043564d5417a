"""The queue: order, waking by news that helps, back-off, and that nothing waits behind an unschedulable pod."""

from __future__ import annotations

import pytest

from controlplane.scheduler.queue import News, SchedulingQueue
from tests.unit.scheduler.build import demand

RESOURCES = frozenset({"resources"})
SELECTOR = frozenset({"node-selector"})


def pop(queue: SchedulingQueue, now: float) -> str | None:
    found = queue.pop(now)
    return found.key[1] if found else None


def test_priority_first_then_who_came_first() -> None:
    queue = SchedulingQueue()
    for name, priority in (("a", None), ("b", 10), ("c", None), ("d", 10)):
        queue.add(demand(name, priority=priority), 0.0)
    assert [pop(queue, 0.0) for _ in range(5)] == ["b", "d", "a", "c", None]


def test_nothing_waits_behind_an_unschedulable_pod() -> None:
    queue = SchedulingQueue()
    queue.add(demand("big", priority=100), 0.0)
    queue.add(demand("small"), 0.0)
    assert pop(queue, 0.0) == "big"
    queue.refused("uid-big", RESOURCES, 0.0)
    assert pop(queue, 0.0) == "small"


@pytest.mark.parametrize(
    ("by", "news", "woken"),
    [
        pytest.param(RESOURCES, News.POD_GONE, 1, id="room: a pod went"),
        pytest.param(RESOURCES, News.NODE_CHANGED, 1, id="room: a node changed"),
        pytest.param(SELECTOR, News.POD_GONE, 0, id="label: a pod that went can't help"),
        pytest.param(SELECTOR, News.NODE_CHANGED, 1, id="label: a node changed"),
    ],
)
def test_news_wakes_those_that_it_can_help(by: frozenset[str], news: News, woken: int) -> None:
    queue = SchedulingQueue()
    queue.add(demand("a"), 0.0)
    pop(queue, 0.0)
    queue.refused("uid-a", by, 0.0)
    assert queue.tell(news, 5.0) == woken
    assert pop(queue, 5.0) == ("a" if woken else None)


def test_a_woken_pod_still_waits_for_its_back_off() -> None:
    queue = SchedulingQueue()
    queue.add(demand("a"), 0.0)
    pop(queue, 0.0)
    queue.refused("uid-a", RESOURCES, 0.0)
    queue.tell(News.POD_GONE, 0.2)
    assert pop(queue, 0.2) is None
    assert queue.next_due() == 1.0
    assert pop(queue, 1.0) == "a"
    queue.failed("uid-a", 1.0)
    assert queue.next_due() == 3.0


def test_back_off_is_capped() -> None:
    queue = SchedulingQueue()
    queue.add(demand("a"), 0.0)
    now = 0.0
    waits = []
    for _ in range(7):
        assert pop(queue, now) == "a"
        queue.failed("uid-a", now)
        due = queue.next_due()
        assert due is not None
        waits.append(due - now)
        now = due
    assert waits == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0, 10.0]


def test_news_during_a_try_counts() -> None:
    queue = SchedulingQueue()
    queue.add(demand("a"), 0.0)
    pop(queue, 0.0)
    queue.tell(News.POD_GONE, 0.0)
    queue.refused("uid-a", RESOURCES, 0.0)
    assert pop(queue, 1.0) == "a"


def test_a_forgotten_pod_is_tried_after_five_minutes() -> None:
    queue = SchedulingQueue()
    queue.add(demand("a"), 0.0)
    pop(queue, 0.0)
    queue.refused("uid-a", SELECTOR, 0.0)
    assert queue.next_due() == 300.0
    assert pop(queue, 299.0) is None
    assert pop(queue, 300.0) == "a"


def test_a_removed_pod_never_comes_back() -> None:
    queue = SchedulingQueue()
    queue.add(demand("a"), 0.0)
    queue.remove("uid-a")
    assert pop(queue, 0.0) is None
    queue.failed("uid-a", 0.0)
    queue.refused("uid-a", RESOURCES, 0.0)
    assert pop(queue, 400.0) is None
    assert queue.next_due() is None


def test_a_pod_is_never_handed_out_twice_at_once() -> None:
    queue = SchedulingQueue()
    queue.add(demand("a"), 0.0)
    assert pop(queue, 0.0) == "a"
    queue.add(demand("a"), 0.0)
    queue.add(demand("a", cpu="1"), 0.0)
    assert pop(queue, 0.0) is None
    queue.refused("uid-a", RESOURCES, 0.0)
    again = queue.pop(1.0)
    assert again is not None
    assert again.requests["cpu"] == 1000
