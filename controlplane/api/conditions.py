"""Conditions of a status: found, and made as they go over the wire. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from controlplane.api.types import Condition


def find(conditions: Iterable[Condition] | None, kind: str) -> Condition | None:
    """The condition of that type."""
    return next((condition for condition in conditions or () if condition.type == kind), None)


def wire(
    kind: str, status: str, at: datetime, *, reason: str, message: str, old: Condition | None = None
) -> dict[str, Any]:
    """A condition since `at`; since `old`'s time while the status is the same as there."""
    same = old is not None and old.status == status
    since = old.last_transition_time if same and old else None
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": since or at.replace(microsecond=0),
    }
