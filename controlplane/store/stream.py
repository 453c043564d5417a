"""Reading the change stream: its entries as changes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from controlplane.api.document import Document
from controlplane.store.link import Link
from controlplane.store.model import Change, ChangeType, Key

CHUNK = 500


def entries(link: Link, after: int, upto: int) -> Iterator[Change]:
    """The changes with `after` < revision ≤ `upto`, oldest first.

    Raises: Away, redis.ResponseError.
    """
    while after < upto:
        reply = link.call("XRANGE", "changes", f"({after}-0", f"{upto}-0", "COUNT", str(CHUNK))
        if not reply:
            return
        for entry in reply:
            yield _change(entry)
        after = _revision(reply[-1])


def read_after(link: Link, after: int, count: int, block_ms: int) -> list[Change]:
    """The next changes after revision `after`; waits for some up to `block_ms`.

    Raises: Away, redis.ResponseError.
    """
    reply = link.call("XREAD", "COUNT", str(count), "BLOCK", str(block_ms), "STREAMS", "changes", f"{after}-0")
    if not reply:
        return []
    return [_change(entry) for entry in reply[0][1]]


def _revision(entry: Any) -> int:
    return int(entry[0].partition(b"-")[0])


def _change(entry: Any) -> Change:
    values: list[bytes] = entry[1]
    fields = dict(zip(values[::2], values[1::2], strict=True))
    before, after = fields[b"before"], fields[b"after"]
    kind: ChangeType = "ADDED" if not before else "MODIFIED" if after else "DELETED"
    return Change(
        revision=_revision(entry),
        key=Key.parse(fields[b"key"].decode()),
        type=kind,
        before=Document(before) if before else None,
        after=Document(after) if after else None,
        at_ms=int(fields[b"at_ms"]),
    )
