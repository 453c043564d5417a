"""Small things that the store's tests share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from controlplane.api.errors import ApiError


def pod(name: str = "web", **labels: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default", "labels": labels}}


@contextmanager
def refused(reason: str) -> Iterator[None]:
    """The block must raise an ApiError with this reason."""
    with pytest.raises(ApiError) as caught:
        yield
    assert caught.value.reason == reason, caught.value.message


def run_threads(work: Callable[[int], object], count: int) -> None:
    """Run `work(n)` in `count` threads at once; an error in one is an error of the test."""
    errors: list[BaseException] = []

    def run(number: int) -> None:
        try:
            work(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
