"""docs/faults.md: each row names a test, and each test that it names exists."""

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = (REPOSITORY / "docs/faults.md").read_text()
ROWS = [row for row in re.findall(r"^\| (.*) \|$", PAGE, re.MULTILINE) if not row.startswith(("what ", "---"))]


def named_in(row: str) -> list[tuple[str, str]]:
    """(file, test) for each test that the row names; `::test` alone is in the file named before it."""
    found: list[tuple[str, str]] = []
    for file, test in re.findall(r"`([\w/]*(?:\.py)?)::(\w+)`", row.rsplit(" | ", 1)[-1]):
        found.append((file or found[-1][0], test))
    return found


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split(" | ")[0])
def test_the_row_is_held(row: str) -> None:
    assert named_in(row)
    for file, test in named_in(row):
        source = (REPOSITORY / "tests" / file).read_text()
        assert re.search(rf"^(def|class) {test}\b", source, re.MULTILINE), f"{file} has no {test}"


def test_the_page_is_read() -> None:
    assert len(ROWS) > 30
