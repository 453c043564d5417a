"""The time line: what the change stream has dropped, in compressed files on the master.

Segments `FIRSTREVISION.jsonl.gz` hold gzip members of JSON lines (`zcat` reads them), beside each a `.index` with a
line per member, so that a time or a revision is found without unpacking everything. A member counts once its index
line is there, and the index line is written after the member is synced; what a crash left behind it is cut off at
the next start. The oldest segments go when the whole exceeds its bound. Lines hold the object before and after, so
the state at any moment that the history covers is the present one with the later changes undone.

Written by the compactor, before it drops anything from the stream; one writer at a time.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from controlplane.api.document import Document
from controlplane.store.model import MIB, Change, ChangeType, Key

SEGMENT_BYTES = 16 * MIB
GZIP_LEVEL = 5


class _Line(msgspec.Struct, rename="camel"):
    """One change, as a line of a segment."""

    revision: int
    at_ms: int
    resource: str
    namespace: str
    name: str
    type: ChangeType
    before: msgspec.Raw
    after: msgspec.Raw


@dataclass(frozen=True, slots=True)
class _Member:
    """One line of an index."""

    first_revision: int
    last_revision: int
    first_ms: int
    last_ms: int
    offset: int
    length: int

    @classmethod
    def parse(cls, line: str) -> _Member:
        first, last, first_ms, last_ms, offset, length = map(int, line.split())
        return cls(first, last, first_ms, last_ms, offset, length)

    def line(self) -> str:
        numbers = (self.first_revision, self.last_revision, self.first_ms, self.last_ms, self.offset, self.length)
        return " ".join(map(str, numbers)) + "\n"


class History:
    """The files in one folder. Opening it repairs what a crash left."""

    def __init__(self, folder: Path, bound_bytes: int) -> None:
        self._folder = folder
        self._bound_bytes = bound_bytes
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for segment in self._segments():
            _repair(segment)
        members = [member for segment in self._segments() for member in _members(segment)]
        self.last_revision = max((member.last_revision for member in members), default=0)

    def append(self, changes: Sequence[Change]) -> None:
        """Add changes, oldest first, and sync; those that are there already are left out.

        Raises: OSError; then nothing counts as added.
        """
        new = [change for change in changes if change.revision > self.last_revision]
        if not new:
            return
        packed = gzip.compress(b"".join(_encode(change) for change in new), GZIP_LEVEL, mtime=0)
        segment = self._segment_for(new[0].revision)
        offset = segment.stat().st_size if segment.exists() else 0
        _append(segment, packed)
        times = [change.at_ms for change in new]
        member = _Member(new[0].revision, new[-1].revision, min(times), max(times), offset, len(packed))
        _append(_index(segment), member.line().encode("ascii"))
        self.last_revision = member.last_revision
        self._prune()

    def read(
        self, first_revision: int = 0, last_revision: int | None = None, first_ms: int = 0, last_ms: int | None = None
    ) -> Iterator[Change]:
        """The changes within both ranges (inclusive), oldest first."""
        last = last_revision if last_revision is not None else self.last_revision
        for segment in self._segments():
            for member in _members(segment):
                if member.last_revision < first_revision or member.first_revision > last:
                    continue
                if member.last_ms < first_ms or (last_ms is not None and member.first_ms > last_ms):
                    continue
                for change in _unpack(segment, member):
                    in_time = first_ms <= change.at_ms and (last_ms is None or change.at_ms <= last_ms)
                    if first_revision <= change.revision <= last and in_time:
                        yield change

    def size_bytes(self) -> int:
        return sum(path.stat().st_size for path in self._folder.iterdir())

    def _segments(self) -> list[Path]:
        return sorted(self._folder.glob("*.jsonl.gz"))

    def _segment_for(self, revision: int) -> Path:
        segments = self._segments()
        if segments and segments[-1].stat().st_size < SEGMENT_BYTES:
            return segments[-1]
        return self._folder / f"{revision:020d}.jsonl.gz"

    def _prune(self) -> None:
        segments = self._segments()
        size = self.size_bytes()
        while size > self._bound_bytes and len(segments) > 1:
            oldest = segments.pop(0)
            index = _index(oldest)
            size -= oldest.stat().st_size + index.stat().st_size
            oldest.unlink()
            index.unlink()


def _index(segment: Path) -> Path:
    return segment.with_name(segment.name.removesuffix(".jsonl.gz") + ".index")


def _members(segment: Path) -> list[_Member]:
    index = _index(segment)
    text = index.read_text(encoding="ascii") if index.exists() else ""
    return [_Member.parse(line) for line in text.splitlines()]


def _repair(segment: Path) -> None:
    """Cut off what was not finished: a torn index line, and data that no index line covers."""
    index = _index(segment)
    text = index.read_bytes() if index.exists() else b""
    whole = text[: text.rfind(b"\n") + 1]
    if whole != text:
        os.truncate(index, len(whole))
    members = _members(segment)
    end = members[-1].offset + members[-1].length if members else 0
    if end == 0:
        segment.unlink()
        index.unlink(missing_ok=True)
    elif segment.stat().st_size > end:
        os.truncate(segment, end)


def _append(path: Path, data: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _encode(change: Change) -> bytes:
    key = change.key
    before, after = (msgspec.Raw(document.raw if document else b"null") for document in (change.before, change.after))
    line = _Line(change.revision, change.at_ms, key.resource, key.namespace, key.name, change.type, before, after)
    return msgspec.json.encode(line) + b"\n"


def _unpack(segment: Path, member: _Member) -> Iterator[Change]:
    with segment.open("rb") as file:
        file.seek(member.offset)
        lines = gzip.decompress(file.read(member.length)).splitlines()
    for line in lines:
        entry = msgspec.json.decode(line, type=_Line)
        key = Key(entry.resource, entry.namespace, entry.name)
        before, after = (None if raw == b"null" else Document(raw) for raw in map(bytes, (entry.before, entry.after)))
        yield Change(entry.revision, key, entry.type, before, after, entry.at_ms)
