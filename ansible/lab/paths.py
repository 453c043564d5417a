"""Where things lie: the repository, the user's cache folder, and a lab's own folder `.lab/NAME` (mode 700)."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
ANSIBLE = REPO / "ansible"
FACTS = ANSIBLE / "lab.toml"
LABS = REPO / ".lab"


def cache() -> Path:
    """The cache folder: only what can be rebuilt lies there."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "kubelab"


def lab_dir(name: str) -> Path:
    return LABS / name


def node_dir(lab: str, node: str) -> Path:
    return lab_dir(lab) / "nodes" / node


def venv() -> Path:
    """The host's virtual environment: a new lock makes a new one."""
    return cache() / f"venv-{digest([REPO / 'requirements/host.lock'])}"


def venv_bin(program: str) -> str:
    return str(venv() / "bin" / program)


def digest(files: Iterable[Path], *words: str) -> str:
    """A short hash of words and of the files' names and bytes (folders with all that is in them)."""
    total = hashlib.sha256()
    for word in words:
        total.update(word.encode() + b"\0")
    for path in sorted(_leaves(files)):
        name = path.relative_to(REPO) if path.is_relative_to(REPO) else path
        total.update(str(name).encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()[:12]


def _leaves(files: Iterable[Path]) -> Iterable[Path]:
    for path in files:
        if path.is_dir():
            yield from (p for p in path.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
        elif path.exists():
            yield path
