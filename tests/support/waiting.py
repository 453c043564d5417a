"""Waiting for something to come true, in tests that watch real processes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from controlplane.api.errors import ApiError

V = TypeVar("V")

DEADLINE_S = 30.0
EVERY_S = 0.03


def eventually(what: str, check: Callable[[], V | None], timeout_s: float = DEADLINE_S) -> V:
    """The first true answer of `check`; an error of the API is none. Raises: AssertionError after the deadline."""
    end = time.monotonic() + timeout_s
    said = ""
    while True:
        try:
            answer = check()
        except ApiError as error:
            answer, said = None, f" ({error.message})"
        if answer:
            return answer
        assert time.monotonic() < end, f"not within {timeout_s:g} s: {what}{said}"
        time.sleep(EVERY_S)
