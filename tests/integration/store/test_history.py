"""The history files: what is read is what was written, after a crash at any byte too, within their bound."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from controlplane.api.document import Document
from controlplane.store import Change, Key
from controlplane.store import history as history_module
from controlplane.store.history import History

BOUND = 1 << 30


def changes(first: int, last: int) -> list[Change]:
    """One object that changes; revision n happens at n seconds."""
    result = []
    for revision in range(first, last + 1):
        before = Document(b'{"n":%d}' % (revision - 1)) if revision > 1 else None
        after = Document(f'{{"n":{revision},"text":"ü\\n"}}'.encode())
        key = Key("pods", "default", "we|b")
        result.append(Change(revision, key, "MODIFIED" if before else "ADDED", before, after, revision * 1000))
    return result


def read(folder: Path, **limits: int) -> list[int]:
    return [change.revision for change in History(folder, BOUND).read(**limits)]


def test_what_was_written_is_read(tmp_path: Path) -> None:
    history = History(tmp_path, BOUND)
    history.append(changes(1, 10))
    history.append(changes(11, 11))
    deleted = Change(12, Key("nodes", "", "w"), "DELETED", Document(b"{}"), None, 12000)
    history.append([deleted])
    found = list(History(tmp_path, BOUND).read())
    assert [change.revision for change in found] == list(range(1, 13))
    for there, given in zip(found, [*changes(1, 11), deleted], strict=True):
        assert (there.key, there.type, there.at_ms) == (given.key, given.type, given.at_ms)
        assert (there.before and there.before.raw) == (given.before and given.before.raw)
        assert (there.after and there.after.raw) == (given.after and given.after.raw)


def test_ranges(tmp_path: Path) -> None:
    history = History(tmp_path, BOUND)
    for first in (1, 11, 21):
        history.append(changes(first, first + 9))
    assert read(tmp_path, first_revision=9, last_revision=12) == [9, 10, 11, 12]
    assert read(tmp_path, first_ms=28_500) == [29, 30]
    assert read(tmp_path, first_ms=5_000, last_ms=6_000) == [5, 6]
    assert read(tmp_path, first_revision=31) == []


def test_what_is_there_is_not_added_again(tmp_path: Path) -> None:
    History(tmp_path, BOUND).append(changes(1, 10))
    again = History(tmp_path, BOUND)
    again.append(changes(5, 12))
    again.append(changes(1, 3))
    assert read(tmp_path) == list(range(1, 13))


def test_a_crash_at_any_byte(tmp_path: Path) -> None:
    """The second member is cut anywhere, with or without its index line: the first stays, the second can be added."""
    whole = tmp_path / "whole"
    history = History(whole, BOUND)
    history.append(changes(1, 5))
    segment, index = next(whole.glob("*.gz")), next(whole.glob("*.index"))
    kept_data, kept_index = segment.read_bytes(), index.read_bytes()
    history.append(changes(6, 9))
    data, lines = segment.read_bytes(), index.read_bytes()
    cuts = [(end, len(kept_index)) for end in range(len(kept_data), len(data) + 1, 7)]
    cuts += [(len(data), end) for end in range(len(kept_index), len(lines))]
    for number, (data_end, index_end) in enumerate(cuts):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / segment.name).write_bytes(data[:data_end])
        (folder / index.name).write_bytes(lines[:index_end])
        torn = History(folder, BOUND)
        assert torn.last_revision == 5
        torn.append(changes(6, 9))
        assert read(folder) == list(range(1, 10))


def test_a_crash_in_the_first_member(tmp_path: Path) -> None:
    (tmp_path / "00000000000000000001.jsonl.gz").write_bytes(b"torn")
    assert read(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_the_oldest_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_module, "SEGMENT_BYTES", 500)
    history = History(tmp_path, 5000)
    for first in range(1, 2000, 10):
        history.append(changes(first, first + 9))
        assert history.size_bytes() <= 5000
    kept = read(tmp_path)
    assert kept == list(range(kept[0], 2001))
    assert kept[0] > 1


def test_people_can_read_it(tmp_path: Path) -> None:
    history = History(tmp_path, BOUND)
    history.append(changes(1, 3))
    history.append(changes(4, 6))
    segment = next(tmp_path.glob("*.gz"))
    shown = subprocess.run(["zcat", str(segment)], capture_output=True, check=True, text=True).stdout
    assert len(shown.splitlines()) == 6
    assert '"revision":6,"atMs":6000,"resource":"pods","namespace":"default"' in shown
    assert segment.stat().st_mode & 0o777 == 0o600
