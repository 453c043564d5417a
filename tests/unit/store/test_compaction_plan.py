"""When the stream is trimmed, and how far."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.store.compaction import Due, Stream, plan

NOW = 10_000_000
KEEP_MS = 600_000
KEEP_BYTES = 1000


@pytest.mark.parametrize(
    ("stream", "due"),
    [
        pytest.param(Stream(500, 500, 90, 0), None, id="empty"),
        pytest.param(Stream(500, 400, 1000, NOW - KEEP_MS), None, id="just at both bounds"),
        pytest.param(Stream(500, 400, 900, NOW - 661_000), Due(400, NOW - KEEP_MS), id="too old"),
        pytest.param(Stream(500, 400, 1200, NOW), Due(425, NOW - KEEP_MS), id="too big: a quarter is too much"),
        pytest.param(Stream(500, 400, 1200, NOW + 3_600_000), Due(425, NOW - KEEP_MS), id="the clock was set back"),
    ],
)
def test_plan(stream: Stream, due: Due | None) -> None:
    assert plan(stream, KEEP_MS, KEEP_BYTES, NOW) == due


@given(count=st.integers(0, 10**6), size=st.integers(1, 10**9), age=st.integers(-(10**7), 10**7))
def test_never_more_than_there_is(count: int, size: int, age: int) -> None:
    due = plan(Stream(700 + count, 700, size, NOW - age), KEEP_MS, KEEP_BYTES, NOW)
    assert due is None or 700 <= due.revision <= 700 + count
