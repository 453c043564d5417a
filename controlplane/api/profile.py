"""Timing profiles: `lab` is ours and the default, `kubernetes` restores upstream's figures.

Every component that counts seconds reads them here, so that a class can compare the two. The figures and their
reasons stand in `docs/failover.md`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """Durations in seconds; None means never."""

    name: str
    lease_period_s: float
    """How often an agent renews its node's lease."""
    lease_timeout_s: float
    """How long one try to renew may take."""
    node_unknown_s: float
    """Without a renewal seen for this long a node is Unknown and its endpoints go."""
    eviction_toleration_s: int
    """tolerationSeconds that admission gives pods for not-ready and unreachable nodes."""
    replacement_s: float | None
    """Pods of a lost node are gone for sure (its fence has fired) this long after the last renewal seen."""
    fence_ask_s: float | None
    """An agent that could not renew for this long asks its peers."""
    fence_deadline_s: float | None
    """An agent that could not renew for this long, and isn't told to stay by every peer, stops its pods."""
    all_silent_s: float
    """When no node has renewed for this long the fault is on the master's side: timers start again."""
    startup_grace_s: float
    """After the start of the master or the store a node not seen yet isn't Unknown for this long."""


LAB = Profile(
    name="lab",
    lease_period_s=1.0,
    lease_timeout_s=0.8,
    node_unknown_s=3.0,
    eviction_toleration_s=1,
    replacement_s=4.0,
    fence_ask_s=1.5,
    fence_deadline_s=2.5,
    all_silent_s=1.5,
    startup_grace_s=60.0,
)

KUBERNETES = Profile(
    name="kubernetes",
    lease_period_s=10.0,
    lease_timeout_s=10.0,
    node_unknown_s=50.0,
    eviction_toleration_s=300,
    replacement_s=None,
    fence_ask_s=None,
    fence_deadline_s=None,
    all_silent_s=15.0,
    startup_grace_s=60.0,
)

PROFILES = {p.name: p for p in (LAB, KUBERNETES)}


def profile(name: str) -> Profile:
    """The profile of that name.

    Raises: ValueError that lists the names there are.
    """
    try:
        return PROFILES[name]
    except KeyError:
        raise ValueError(f"profile {name!r} does not exist; choose one of {', '.join(PROFILES)}") from None
