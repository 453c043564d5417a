"""What a container that the lab runs in leaves of memory: the tightest limit on the way up decides."""

from pathlib import Path

import pytest

from lab import cgroups

MIB = 1 << 20


def group(folder: Path, version: int, limit: str, used_mib: int, cache_mib: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    names = ("memory.max", "memory.current") if version == 2 else ("memory.limit_in_bytes", "memory.usage_in_bytes")
    prefix = "" if version == 2 else "total_"
    for name, value in zip(names, (limit, str(used_mib * MIB)), strict=True):
        (folder / name).write_text(value + "\n")
    (folder / "memory.stat").write_text(f"anon 5\n{prefix}inactive_file {cache_mib * MIB}\n")
    return folder


@pytest.mark.parametrize("version", [1, 2])
def test_the_tightest_limit_decides(tmp_path: Path, version: int) -> None:
    group(tmp_path / "a", version, str(1000 * MIB), 700, 50)
    inner = group(tmp_path / "a/b", version, str(4000 * MIB), 700, 50)
    assert cgroups.memory_left_mib([inner]) == 350


def test_a_group_without_a_limit_says_nothing(tmp_path: Path) -> None:
    assert cgroups.memory_left_mib([group(tmp_path / "a", 2, "max", 700, 50)]) is None
    assert cgroups.memory_left_mib([tmp_path]) is None
