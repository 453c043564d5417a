"""Times: RFC 3339 in, the API's two forms out, and kubectl's short durations."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.api import times


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("2026-11-24T11:00:00Z", "2026-11-24T11:00:00Z"),
        ("2026-11-24T11:00:00.999Z", "2026-11-24T11:00:00Z"),
        ("2026-11-24T13:00:00+02:00", "2026-11-24T11:00:00Z"),
        ("2026-11-24T11:00:00.123456789Z", "2026-11-24T11:00:00Z"),
    ],
)
def test_time_is_whole_seconds_in_utc(text: str, stored: str) -> None:
    assert times.canonical(text) == stored


def test_micro_time_has_six_digits() -> None:
    assert times.canonical_micro("2026-11-24T13:00:00.5+02:00") == "2026-11-24T11:00:00.500000Z"


@pytest.mark.parametrize(
    "text",
    ["", "now", "2026-11-24", "2026-13-24T11:00:00Z", "2026-02-30T11:00:00Z", "2026-11-24T25:00:00Z",
     "2026-11-24 11:00:00Z", "2026-11-24T11:00:00", "0001-01-01T00:00:00+23:59", "2026-11-24T11:00:00Z\n"],
)  # fmt: skip
def test_refuses_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        times.canonical(text)


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9999, 1, 1), timezones=st.just(UTC)))
def test_micro_time_round_trips(moment: datetime) -> None:
    assert times.parse(times.micro_time(moment)) == moment


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-5, "<invalid>"), (0, "0s"), (59, "59s"), (119, "119s"), (120, "2m"), (125, "2m5s"), (599, "9m59s"),
        (600, "10m"), (10_799, "179m"), (10_800, "3h"), (10_860, "3h1m"), (28_800, "8h"), (172_799, "47h"),
        (172_800, "2d"), (176_400, "2d1h"), (691_200, "8d"), (86_400 * 729, "729d"), (86_400 * 730, "2y"),
        (86_400 * 735, "2y5d"), (86_400 * 365 * 9, "9y"),
    ],
)  # fmt: skip
def test_durations_as_kubectl_shows_them(seconds: int, shown: str) -> None:
    assert times.human(seconds) == shown


def test_age() -> None:
    now = datetime(2026, 11, 24, 11, tzinfo=UTC)
    assert times.age(times.time(now - timedelta(seconds=42)), now) == "42s"
    assert times.age(None, now) == "<unknown>"
