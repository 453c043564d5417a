"""Which durable stores are trusted."""

from __future__ import annotations

from typing import Any

import pytest

from controlplane.store.guard import Facts, judge


def facts(**known: Any) -> Facts:
    given = {"cluster_id": "c", "revision": 500, "compacted": 0, "run_id": "r", "store_run_id": "r", "keys": 5}
    return Facts(**{**given, **known})


@pytest.mark.parametrize(
    ("store", "cluster_id", "seen", "word"),
    [
        pytest.param(facts(cluster_id="", revision=0, keys=0), "", 0, None, id="first start of all"),
        pytest.param(facts(), "", 0, None, id="our own mark is new"),
        pytest.param(facts(), "c", 500, None, id="as it was"),
        pytest.param(facts(), "c", 400, None, id="ahead: the last writes were not marked"),
        pytest.param(facts(cluster_id="", revision=0, keys=0), "c", 0, "empty", id="empty"),
        pytest.param(facts(), "c", 501, "revision 500", id="old"),
        pytest.param(facts(cluster_id="d", revision=900), "c", 500, "cluster d", id="another cluster's"),
        pytest.param(facts(cluster_id="", revision=0), "", 0, "no store of ours", id="other data"),
    ],
)
def test_judge(store: Facts, cluster_id: str, seen: int, word: str | None) -> None:
    why = judge(store, cluster_id, seen)
    assert (why is None) == (word is None)
    assert (word or "") in (why or "")
