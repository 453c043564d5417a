"""What the runtime wrote goes to the disk behind everybody's back, once for all that was written meanwhile."""

import threading
from pathlib import Path

from nodeagent.runtime.settle import Settler, sync_file_system


def test_each_store_is_synced_and_nobody_waits() -> None:
    synced: list[str] = []
    done = threading.Event()

    def sync(path: str) -> None:
        synced.append(path)
        if len(synced) == 2:
            done.set()

    Settler(["/images", "/names"], sync).soon()
    assert done.wait(10)
    assert synced == ["/images", "/names"]


def test_what_is_written_during_a_sync_gets_one_more() -> None:
    begun, go_on, twice = threading.Event(), threading.Event(), threading.Event()
    count = 0

    def sync(path: str) -> None:
        nonlocal count
        count += 1
        begun.set()
        go_on.wait(10)
        if count == 2:
            twice.set()

    settler = Settler(["/images"], sync)
    settler.soon()
    assert begun.wait(10)
    for _ in range(5):
        settler.soon()
    go_on.set()
    assert twice.wait(10)
    assert count == 2


def test_without_stores_there_is_nothing_to_do() -> None:
    Settler([]).soon()
    assert not [thread for thread in threading.enumerate() if thread.name == "settle" and not thread.daemon]


def test_a_store_that_is_not_there_is_left_out(tmp_path: Path) -> None:
    sync_file_system(str(tmp_path / "gone"))
