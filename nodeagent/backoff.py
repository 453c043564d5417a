"""How long a crashed container, or a failed pull, waits for its next try: 0, 10, 20, 40 … 300 seconds.

The first crash is answered at once, as upstream does; ten clean minutes forget all crashes. Pure.

Follows kubernetes' kuberuntime `doBackOff` and client-go/util/flowcontrol/backoff.go.
"""

from __future__ import annotations

FIRST_S = 10.0
MAX_S = 300.0
CLEAN_RUN_S = 600.0
_DOUBLINGS_MAX = 10


def delay_s(crashes: int) -> float:
    """Seconds to wait after the end of a run that had `crashes` quick ends before it."""
    if crashes <= 0:
        return 0.0
    return min(MAX_S, FIRST_S * 2.0 ** min(crashes - 1, _DOUBLINGS_MAX))


def crashes_before_next(crashes: int, ran_s: float) -> int:
    """The count that the next run starts with: one more, or a fresh one after a clean run."""
    return crashes_at_end(crashes, ran_s) + 1


def crashes_at_end(crashes: int, ran_s: float) -> int:
    """The count that the wait after this run goes by."""
    return 0 if ran_s >= CLEAN_RUN_S else crashes


def pull_delay_s(failures: int) -> float:
    """Seconds until the next pull after `failures` failed ones in a row."""
    return min(MAX_S, FIRST_S * 2.0 ** min(max(failures - 1, 0), _DOUBLINGS_MAX))


def shown(seconds: float) -> str:
    """`10s`, `2m40s`, `5m0s`: as Go prints durations, which is what people know from upstream's messages."""
    whole = round(seconds)
    return f"{whole}s" if whole < 60 else f"{whole // 60}m{whole % 60}s"
