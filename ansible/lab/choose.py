"""Chooses a lab's provider, number and size before anything is changed: as it stands, or as asked for."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from lab import cgroups, facts, forward, preflight, state
from lab.console import Steps
from lab.hosts import Hosts
from lab.local import Local
from lab.provider import Provider
from lab.run import LabError
from lab.vagrant import Vagrant


def by_name(name: str, inventory: str = "") -> Provider:
    """Return the provider of that name."""
    if name == "hosts":
        return Hosts(Path(inventory))
    return Vagrant() if name == "vagrant" else Local()


def standing(name: str) -> Provider:
    """Return the provider of a lab as it was brought up, local where there is no record of it."""
    found = state.record(name)
    return by_name(found.provider, found.inventory) if found else by_name("local")


def choose(name: str, option: Callable[[str], str], steps: Steps) -> tuple[state.Record, Provider]:
    """Return the lab's record and provider, saying which and why. Raises: LabError naming all that is missing."""
    found = state.record(name)
    wanted = wanted_record(name, option, found, state.slots())
    lab = facts.lab(state.table(), name, wanted.slot, wanted.workers)
    made_here = lab.nodes if wanted.provider != "hosts" else ()
    off = [node for node in made_here if cgroups.init_of(name, node.name) is None]
    driver = option("DRIVER")
    needs = preflight.needs(
        state.table(), lab, wanted.provider, new_nodes=len(off), forward_runs=bool(forward.running(name))
    )
    decision = preflight.decide(preflight.observe(state.table(), lab, driver), needs)
    if decision.problems:
        raise LabError("nothing was changed, because\n" + "\n".join(f"  - {p}" for p in decision.problems))
    if wanted.provider == "hosts":
        steps.say(f"lab {name}: your own machines, those of {wanted.inventory}")
        return wanted, by_name("hosts", wanted.inventory)
    title = {"local": "local machines", "vagrant": "virtual machines"}[decision.provider]
    why = "as it stands" if found else decision.why
    steps.say(f"lab {name}: 1 master and {wanted.workers} workers as {title} ({why})")
    provider = Vagrant(driver) if decision.provider == "vagrant" else by_name(decision.provider)
    return state.Record(wanted.slot, wanted.workers, decision.provider), provider


def wanted_record(
    name: str, option: Callable[[str], str], found: state.Record | None, slots: Mapping[str, int]
) -> state.Record:
    """What is asked for, with what stands as the default. Raises: LabError where the two can't be joined."""
    inventory = option("INVENTORY") or (found.inventory if found else "")
    provider = "hosts" if inventory else option("PROVIDER") or (found.provider if found else "auto")
    asked = option("WORKERS")
    if asked and not asked.isdigit():
        raise LabError(f"WORKERS={asked}: a number")
    if asked and inventory:
        raise LabError(f"WORKERS={asked}: of your own machines, the inventory says how many there are")
    if provider == "hosts" and not inventory:
        raise LabError("PROVIDER=hosts: say which machines, INVENTORY=file (ansible/README.md)")
    workers = int(asked or (found.workers if found else state.table().default_workers))
    suffix = "" if name == state.table().default_lab else f" LAB={name}"
    if found and provider not in ("auto", found.provider):
        raise LabError(f"lab {name} stands on the provider {found.provider}: `make down{suffix}` first")
    if found and workers < found.workers:
        raise LabError(f"lab {name} has {found.workers} workers and can only grow: `make down{suffix}` first")
    if inventory and not Path(inventory).is_file():
        raise LabError(f"INVENTORY={inventory}: no such file")
    provider = found.provider if found else provider
    path = os.path.abspath(inventory) if inventory else ""
    return state.Record(facts.slot_for(name, dict(slots)), workers, provider, path)
