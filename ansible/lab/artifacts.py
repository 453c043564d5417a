"""What can be rebuilt lies in the user's cache folder, named by the hash of what it is made from.

An artifact appears at once and whole (built beside, then renamed), is built by one process at a time, and is left
alone while a lab or a mount uses it. An interrupted build leaves only a `.part` that the next build removes.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lab import paths

KEEP = 2


def cached(kind: str, key: str, build: Callable[[Path], None]) -> tuple[Path, bool]:
    """Return the artifact's path, and whether it had to be built. `build` fills the path that it's given."""
    wanted = paths.cache() / f"{kind}-{key}"
    if wanted.exists():
        os.utime(wanted)
        return wanted, False
    paths.cache().mkdir(parents=True, exist_ok=True)
    with locked(paths.cache() / f".{kind}.lock"):
        if wanted.exists():
            return wanted, False
        for stale in paths.cache().glob(f".{kind}-*.part"):
            remove(stale)
        part = paths.cache() / f".{kind}-{key}.part"
        build(part)
        part.rename(wanted)
        prune(kind)
    return wanted, True


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file for the time of the block; says so when it has to wait for another command."""
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"  · waiting for another command that holds {path.name}", flush=True)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def claim(artifact: Path, user: Path) -> None:
    """Note that the lab folder `user` needs the artifact for as long as that folder exists."""
    notes = paths.cache() / "users" / artifact.name
    notes.mkdir(parents=True, exist_ok=True)
    (notes / paths.digest([], str(user))).write_text(str(user))


def claim_instead(artifact: Path, user: Path) -> None:
    """Note that the lab folder needs this artifact, and no other of its kind any more."""
    kind = artifact.name.rsplit("-", 1)[0]
    for notes in (paths.cache() / "users").glob(f"{kind}-????????????"):
        (notes / paths.digest([], str(user))).unlink(missing_ok=True)
    claim(artifact, user)


def prune(kind: str) -> None:
    """Remove all but the newest of a kind, except those that a lab or a mount uses."""
    mounts = Path("/proc/self/mounts").read_text()
    found = sorted(paths.cache().glob(f"{kind}-????????????"), key=lambda p: -p.stat().st_mtime)
    for old in found[KEEP:]:
        notes = paths.cache() / "users" / old.name
        needed = notes.is_dir() and any(Path(n.read_text()).is_dir() for n in notes.iterdir())
        if not needed and str(old) not in mounts:
            for path in (old, notes, old.with_name(f"{old.name}.tar")):
                remove(path)


def remove(path: Path) -> None:
    """Remove a file or folder, whatever it is."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
