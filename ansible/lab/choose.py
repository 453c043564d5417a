"""Chooses the provider and the lab's number and size, and says why. Nothing is changed here."""

from __future__ import annotations

from lab import facts, state
from lab.console import Steps
from lab.local import Local
from lab.provider import Provider
from lab.run import LabError


def by_name(name: str) -> Provider:
    """Return the provider of that name. Raises: LabError."""
    if name == "local":
        return Local()
    raise LabError(f"PROVIDER={name}: auto, local or vagrant")


def choose(name: str, values: object, steps: Steps) -> tuple[state.Record, Provider]:
    """Return the lab's record and its provider: as it stands, or as asked for."""
    assert isinstance(values, dict)
    found = state.record(name)
    slot = facts.slot_for(name, state.slots())
    workers = int(values["workers"] or (found.workers if found else state.table().default_workers))
    steps.say(f"lab {name}: local machines")
    return state.Record(slot, workers, "local"), by_name("local")
