"""The high-water mark's files."""

from __future__ import annotations

from pathlib import Path

import pytest

from controlplane.store.mark import BLOCK, Mark, MarkDamaged


def test_a_new_one_knows_nothing(tmp_path: Path) -> None:
    mark = Mark(tmp_path, "durable")
    assert (mark.cluster_id, mark.seen, mark.reserved) == ("", 0, 0)


def test_everything_told_is_below_what_is_reserved(tmp_path: Path) -> None:
    """Killed at any moment, the next process knows a number that was reached and one that was not passed."""
    mark = Mark(tmp_path, "durable")
    mark.adopt("c", 0)
    for revision in [*range(1, 3 * BLOCK, 7), 50 * BLOCK]:
        mark.observe(revision)
        after_crash = Mark(tmp_path, "durable")
        assert after_crash.cluster_id == "c"
        assert after_crash.seen <= revision <= after_crash.reserved


def test_blocks_cost_few_syncs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    syncs: list[int] = []
    monkeypatch.setattr("controlplane.store.mark.os.fsync", syncs.append)
    mark = Mark(tmp_path, "durable")
    mark.adopt("c", 0)
    for revision in range(10 * BLOCK):
        mark.observe(revision)
    assert len(syncs) <= 2 * 22


def test_a_clean_end_is_exact(tmp_path: Path) -> None:
    mark = Mark(tmp_path, "durable")
    mark.adopt("c", 0)
    mark.observe(17)
    mark.flush()
    assert Mark(tmp_path, "durable").seen == 17


@pytest.mark.parametrize("text", ["", "c", "c x", "other 900", "\x00"])
def test_a_bad_file_of_what_was_seen_is_only_less_exact(tmp_path: Path, text: str) -> None:
    mark = Mark(tmp_path, "durable")
    mark.adopt("c", 30)
    (tmp_path / "durable.seen").write_text(text)
    assert Mark(tmp_path, "durable").seen == 30


@pytest.mark.parametrize("text", ["", "{", '{"cluster_id": 5, "reserved": 1}', '{"cluster_id": "c"}'])
def test_a_bad_mark_stops(tmp_path: Path, text: str) -> None:
    (tmp_path / "durable.mark.json").write_text(text)
    with pytest.raises(MarkDamaged, match=r"durable\.mark\.json"):
        Mark(tmp_path, "durable")


def test_a_file_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within what is reserved the store goes on; beyond it nothing may be told."""
    mark = Mark(tmp_path, "durable")
    mark.adopt("c", 0)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("controlplane.store.mark.os.fsync", full)
    mark.observe(BLOCK - 1)
    with pytest.raises(OSError, match="space"):
        mark.observe(BLOCK + 1)
    assert mark.seen == BLOCK - 1
