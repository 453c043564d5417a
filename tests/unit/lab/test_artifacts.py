"""What a standing lab was made from stays in the cache, whatever else is built meanwhile."""

from pathlib import Path

import pytest

from lab import artifacts


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "kubelab"


def build(number: int) -> Path:
    return artifacts.cached("wheel", f"{number:012}", Path.mkdir)[0]


def test_a_labs_artifact_outlives_newer_ones(cache: Path, tmp_path: Path) -> None:
    lab = tmp_path / "lab"
    lab.mkdir()
    mine = build(0)
    artifacts.claim_instead(mine, lab)
    for number in range(1, 5):
        build(number)
    assert mine.exists()
    assert len(list(cache.glob("wheel-*"))) == artifacts.KEEP + 1


def test_a_lab_needs_its_latest_only(cache: Path, tmp_path: Path) -> None:
    lab = tmp_path / "lab"
    lab.mkdir()
    for number in range(6):
        artifacts.claim_instead(build(number), lab)
    assert len(list(cache.glob("wheel-*"))) <= artifacts.KEEP + 1


def test_a_lab_that_is_gone_needs_nothing(cache: Path, tmp_path: Path) -> None:
    mine = build(0)
    artifacts.claim_instead(mine, tmp_path / "gone")
    for number in range(1, 5):
        build(number)
    assert not mine.exists()
    assert len(list(cache.glob("wheel-*"))) == artifacts.KEEP
