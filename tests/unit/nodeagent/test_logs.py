"""Logs: formats, tails over rotated files, and following across a rotation without loss or repetition."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nodeagent.logs import Query, files_of, shown, stream


def raw(text: str, second: int = 0) -> str:
    at = f"2026-03-01T12:00:{second:02}.5Z"
    return json.dumps({"log": text + "\n", "stream": "stdout", "time": at}) + "\n"


def write(path: Path, *lines: str) -> Path:
    path.write_text("".join(raw(line) for line in lines))
    return path


def read(path: Path, query: Query) -> str:
    async def collect() -> bytes:
        return b"".join([piece async for piece in stream(path, query, lambda: False)])

    return asyncio.run(collect()).decode()


@pytest.mark.parametrize(
    ("query", "text"),
    [
        (Query(), "hello\n"),
        (Query(timestamps=True), "2026-03-01T12:00:07.5Z hello\n"),
        (Query(since=datetime(2026, 3, 1, 12, 0, 7, tzinfo=UTC)), "hello\n"),
        (Query(since=datetime(2026, 3, 1, 12, 0, 8, tzinfo=UTC)), ""),
    ],
    ids=["plain", "timestamps", "since before", "since after"],
)
def test_a_line(query: Query, text: str) -> None:
    assert shown(raw("hello", 7).rstrip("\n").encode(), query).decode() == text


@pytest.mark.parametrize(("line", "text"), [(b"not json", b"not json\n"), (b"", b"")])
def test_a_line_that_is_not_ours_is_shown_as_it_is(line: bytes, text: bytes) -> None:
    assert shown(line, Query(timestamps=True)) == text


def test_rotated_files_are_read_oldest_first(tmp_path: Path) -> None:
    live = write(tmp_path / "x-json.log", "e", "f")
    write(tmp_path / "x-json.log.9", "a", "b")
    write(tmp_path / "x-json.log.10", "c", "d")
    (tmp_path / "x-json.log.tmp").write_text("no")
    assert [p.name for p in files_of(live)] == ["x-json.log.9", "x-json.log.10", "x-json.log"]
    assert read(live, Query()) == "a\nb\nc\nd\ne\nf\n"


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, ""), (1, "f\n"), (2, "e\nf\n"), (3, "d\ne\nf\n"), (5, "b\nc\nd\ne\nf\n"), (99, "a\nb\nc\nd\ne\nf\n")],
)
def test_the_tail_reaches_back_over_files(tmp_path: Path, count: int, text: str) -> None:
    live = write(tmp_path / "x.log", "e", "f")
    write(tmp_path / "x.log.1", "a", "b")
    write(tmp_path / "x.log.2", "c", "d")
    assert read(live, Query(tail_lines=count)) == text


def test_a_tail_over_many_blocks(tmp_path: Path) -> None:
    live = write(tmp_path / "x.log", *(f"{n:06}" for n in range(5000)))
    assert read(live, Query(tail_lines=3000)) == "".join(f"{n:06}\n" for n in range(2000, 5000))


def test_bytes_are_limited(tmp_path: Path) -> None:
    assert read(write(tmp_path / "x.log", "hello", "world"), Query(limit_bytes=8)) == "hello\nwo"


def test_no_file_is_an_empty_log(tmp_path: Path) -> None:
    assert read(tmp_path / "x.log", Query()) == ""


def test_a_follower_goes_on_in_the_new_file(tmp_path: Path) -> None:
    """Half a line, its rest just before the rotation, and lines in the next file: each once, in order."""
    path = write(tmp_path / "x.log", "a")
    alive = True

    async def scenario() -> str:
        nonlocal alive
        seen = b""
        following = stream(path, Query(follow=True), lambda: alive)
        seen += await anext(following)
        half = raw("b")
        with path.open("a") as log:
            log.write(half[:10])
            log.flush()
            pending = asyncio.ensure_future(anext(following))
            await asyncio.sleep(0)
            log.write(half[10:])
        path.rename(tmp_path / "x.log.1")
        write(path, "c", "d")
        seen += await pending
        alive = False
        async for piece in following:
            seen += piece
        return seen.decode()

    assert asyncio.run(scenario()) == "a\nb\nc\nd\n"
