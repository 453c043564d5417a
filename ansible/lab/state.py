"""What a lab's folder remembers between commands: its number, its size, its provider."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

from lab import facts, own, paths
from lab.facts import Facts, Lab
from lab.run import LabError


@dataclass(frozen=True)
class Record:
    """`.lab/NAME/lab.json`."""

    slot: int
    workers: int
    provider: str
    inventory: str = ""


def table() -> Facts:
    return facts.load(paths.FACTS.read_text())


def record(name: str) -> Record | None:
    """The lab's record, or None where there is no such lab."""
    with contextlib.suppress(FileNotFoundError):
        return Record(**json.loads((paths.lab_dir(name) / "lab.json").read_text()))
    return None


def save(name: str, new: Record) -> None:
    folder = paths.lab_dir(name)
    folder.mkdir(parents=True, exist_ok=True)
    for private in (paths.LABS, folder):
        private.chmod(0o700)
    part = folder / "lab.json.part"
    part.write_text(json.dumps(asdict(new)) + "\n")
    part.rename(folder / "lab.json")


def slots() -> dict[str, int]:
    """The numbers of the labs that this working tree has."""
    names = [path.parent.name for path in paths.LABS.glob("*/lab.json")]
    return {name: found.slot for name in names if (found := record(name))}


def load(name: str) -> Lab:
    """The lab as it was brought up. Raises: LabError when it wasn't."""
    found = record(name)
    if found is None:
        raise LabError(f"there is no lab {name!r} here: `make up{_suffix(name)}` makes it")
    if found.provider == "hosts":
        return own.lab(table(), listing(name), name, found.slot)
    return facts.lab(table(), name, found.slot, found.workers)


def listing_path(name: str) -> Path:
    """Where the lab keeps what its person's inventory said when it was brought up."""
    return paths.lab_dir(name) / "listing.json"


def listing(name: str) -> own.Listing:
    """What the inventory of a lab of a person's own machines said. Raises: LabError."""
    try:
        return cast("own.Listing", json.loads(listing_path(name).read_text()))
    except FileNotFoundError:
        raise LabError(f"lab {name} doesn't know its machines: `make up{_suffix(name)} INVENTORY=file`") from None


def save_listing(name: str, new: own.Listing) -> None:
    """Keep it: readable for its owner only, since an inventory may hold passwords."""
    part = listing_path(name).with_suffix(".part")
    part.touch(mode=0o600)
    part.write_text(json.dumps(new, indent=1))
    part.rename(listing_path(name))


def _suffix(name: str) -> str:
    return "" if name == table().default_lab else f" LAB={name}"


def log(name: str, program: str) -> Path:
    return paths.lab_dir(name) / "log" / f"{program}.log"
