"""What a lab's folder remembers between commands: its number, its size, its provider."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from lab import facts, paths
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
    return facts.lab(table(), name, found.slot, found.workers)


def _suffix(name: str) -> str:
    return "" if name == table().default_lab else f" LAB={name}"


def log(name: str, program: str) -> Path:
    return paths.lab_dir(name) / "log" / f"{program}.log"
