"""RFC 3339 times as the API writes them: `Time` in whole seconds, `MicroTime` with six digits, always UTC.

After `k8s.io/apimachinery/pkg/apis/meta/v1/{time,micro_time}.go`. `human` is kubectl's own short form of a
duration (`5s`, `2m3s`, `4h`), as the AGE columns show it; after `k8s.io/apimachinery/pkg/util/duration`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

_SECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\Z").match
_FULL = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{1,9})?(Z|[+-]\d\d:\d\d)\Z").match

MINUTE, HOUR, DAY = 60, 3600, 86400
YEAR = 365 * DAY


def parse(text: str) -> datetime:
    """The moment, in UTC. Raises: ValueError."""
    match = _FULL(text)
    if match is None:
        raise ValueError(f'parsing time "{text}" as "2006-01-02T15:04:05Z07:00": cannot parse')
    seconds, fraction, zone = match.groups()
    micro = (fraction or ".0")[1:7].ljust(6, "0")
    moment = datetime.fromisoformat(f"{seconds}.{micro}{'+00:00' if zone == 'Z' else zone}")
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f'time "{text}" is out of range') from error


def time(moment: datetime) -> str:
    """A `Time`: whole seconds, UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro_time(moment: datetime) -> str:
    """A `MicroTime`: six digits after the point, UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def canonical(text: str) -> str:
    """A `Time` as we store it. Raises: ValueError."""
    if _SECONDS(text):
        datetime.fromisoformat(text)
        return text
    return time(parse(text))


def canonical_micro(text: str) -> str:
    """A `MicroTime` as we store it. Raises: ValueError."""
    return micro_time(parse(text))


def human(seconds: float) -> str:
    """A duration as kubectl's columns show it: `42s`, `3m10s`, `25m`, `4h2m`, `3d`, `2y40d`."""
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    if whole < 0:
        return "0s"
    if whole < 2 * MINUTE:
        return f"{whole}s"
    minutes = whole // MINUTE
    if minutes < 10:
        rest = whole % MINUTE
        return f"{minutes}m{rest}s" if rest else f"{minutes}m"
    if minutes < 3 * 60:
        return f"{minutes}m"
    hours = whole // HOUR
    if hours < 8:
        rest = minutes % 60
        return f"{hours}h{rest}m" if rest else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    if hours < 24 * 8:
        rest = hours % 24
        return f"{hours // 24}d{rest}h" if rest else f"{hours // 24}d"
    days = whole // DAY
    if days < 365 * 2:
        return f"{days}d"
    years = whole // YEAR
    if days < 365 * 8:
        rest = days % 365
        return f"{years}y{rest}d" if rest else f"{years}y"
    return f"{years}y"


def age(text: str | None, now: datetime) -> str:
    """How long ago a stored time was, for a column; `<unknown>` when there is none."""
    if not text:
        return "<unknown>"
    return human((now - parse(text)).total_seconds())
