"""A container's log: json-file lines from one or several rotated files → what `kubectl logs` prints, followed or not.

nerdctl writes `<id>-json.log` and renames it to `….log.1`, `….log.2` … (the highest is the newest) when it is full.
A follower keeps the file it reads open, finishes it when it was renamed away, and goes on with the next one, so no
line is lost or repeated while the old files exist.

Used by `server.py`. Follows pkg/kubelet/kuberuntime/logs/logs.go.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import msgspec

from nodeagent.runtime.parse import time_of

_CHUNK = 64 * 1024
_POLL_S = 0.1
_QUIET_AFTER_END_S = 0.3


class Line(msgspec.Struct):
    """One line as nerdctl writes it."""

    log: str
    stream: str = ""
    time: str = ""


_decode = msgspec.json.Decoder(Line).decode


@dataclass(frozen=True)
class Query:
    """What a client wants to see."""

    follow: bool = False
    tail_lines: int | None = None
    since: datetime | None = None
    timestamps: bool = False
    limit_bytes: int | None = None


def shown(raw: bytes, query: Query) -> bytes:
    """One raw line as the client sees it; "" when it is too old, and the raw line itself when it is not ours."""
    try:
        line = _decode(raw)
    except msgspec.MsgspecError:
        return raw + b"\n" if raw.strip() else b""
    if query.since is not None:
        at = time_of(line.time)
        if at is not None and at < query.since:
            return b""
    text = line.log.encode(errors="replace")
    return line.time.encode() + b" " + text if query.timestamps else text


def files_of(path: Path) -> list[Path]:
    """All files of one log, oldest first; the live one is last."""
    rotated = []
    for entry in path.parent.glob(path.name + ".*"):
        number = entry.name.removeprefix(path.name + ".")
        if number.isdigit():
            rotated.append((int(number), entry))
    return [entry for _, entry in sorted(rotated)] + ([path] if path.exists() else [])


async def stream(path: Path, query: Query, alive: Callable[[], bool]) -> AsyncIterator[bytes]:
    """The log in pieces; with `follow` until the container is not `alive` and all it wrote was read."""
    left = query.limit_bytes
    async for piece in _pieces(path, query, alive):
        if left is not None:
            piece = piece[:left]
            left -= len(piece)
        if piece:
            yield piece
        if left == 0:
            return


async def _pieces(path: Path, query: Query, alive: Callable[[], bool]) -> AsyncIterator[bytes]:
    reader = _Reader(path, query.tail_lines)
    try:
        quiet_since: float | None = None
        loop = asyncio.get_running_loop()
        while True:
            was_alive = alive()
            lines = reader.read()
            if lines:
                quiet_since = None
                yield b"".join(shown(line, query) for line in lines)
                await asyncio.sleep(0)
                continue
            if reader.next_file():
                continue
            if not query.follow:
                return
            now = loop.time()
            if not was_alive:
                quiet_since = now if quiet_since is None else quiet_since
                if now - quiet_since >= _QUIET_AFTER_END_S:
                    return
            await asyncio.sleep(_POLL_S)
    finally:
        reader.close()


class _Reader:
    """Whole lines from one file after the other."""

    def __init__(self, path: Path, tail_lines: int | None) -> None:
        self._path = path
        self._pending = b""
        files = files_of(path)
        start, offset = (files[0] if files else None), 0
        if tail_lines is not None:
            start, offset = tail_start(files, tail_lines)
        self._file = _opened(start or path)
        if self._file is not None:
            self._file.seek(offset)

    def read(self) -> list[bytes]:
        """The next whole lines; none at the end of the file."""
        if self._file is None:
            return []
        while data := self._file.read(_CHUNK):
            *lines, self._pending = (self._pending + data).split(b"\n")
            if lines:
                return lines
        return []

    def next_file(self) -> bool:
        """Go on with the file after this one, if this one was rotated away and is read to its end."""
        files = files_of(self._path)
        if self._file is None:
            self._file = _opened(self._path)
            return self._file is not None
        inode = os.fstat(self._file.fileno()).st_ino
        inodes = [_inode(f) for f in files]
        if not files or inode == inodes[-1]:
            return False
        following = inodes.index(inode) + 1 if inode in inodes else 0
        rest = self._file.read()  # what came between our last read and the renaming
        if rest:
            self._file.seek(-len(rest), os.SEEK_CUR)
            return True
        self._file.close()
        self._pending = b""
        self._file = _opened(files[following])
        return True

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def _opened(path: Path) -> BinaryIO | None:
    try:
        return path.open("rb")
    except FileNotFoundError:
        return None


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return -1


def tail_start(files: list[Path], count: int) -> tuple[Path | None, int]:
    """The file and offset at which the last `count` lines begin; the very end for 0."""
    if not files:
        return None, 0
    if count <= 0:
        return files[-1], files[-1].stat().st_size
    missing = count
    for path in reversed(files):
        offset, found = _last_lines(path, missing)
        missing -= found
        if missing <= 0:
            return path, offset
    return files[0], 0


def _last_lines(path: Path, count: int) -> tuple[int, int]:
    """Where the last `count` lines of a file begin, and how many there are (fewer when it has fewer)."""
    found = 0
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        position = end
        while position > 0:
            start = max(0, position - _CHUNK)
            file.seek(start)
            block = file.read(position - start)
            for index in _newlines_backwards(block):
                if start + index == end - 1:
                    continue  # the newline that ends the last line
                found += 1
                if found == count:
                    return start + index + 1, count
            position = start
    return 0, found + (1 if end else 0)


def _newlines_backwards(block: bytes) -> Iterator[int]:
    index = block.rfind(b"\n")
    while index >= 0:
        yield index
        index = block.rfind(b"\n", 0, index)
