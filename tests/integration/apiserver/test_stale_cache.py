"""A cache that is behind the store decides nothing: what it would refuse or leave alone is read anew.

The store and its Redis are real; the cache is held at the first revision, as it is for a moment after every write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from controlplane.api.document import Document, Obj
from controlplane.api.errors import ApiError
from controlplane.apiserver.backend import Backend
from controlplane.apiserver.call import Call
from controlplane.apiserver.deletes import Deletes, Options
from controlplane.apiserver.identity import User
from controlplane.apiserver.resources.configmaps import RESOURCE
from controlplane.apiserver.writes import Target, Writes
from controlplane.store import Key, Store, StoreConfig
from tests.integration.redis_server import RedisServer

TARGET = Target(RESOURCE, "default", "settings")


class Behind:
    """A cache that saw only the first revision."""

    def __init__(self, first: Document) -> None:
        self._first = first

    def get(self, key: Key) -> Document | None:
        return self._first if key == TARGET.key else None


@pytest.fixture
def store(start_redis: Callable[..., RedisServer], tmp_path: Path) -> Iterator[Store]:
    server = start_redis()
    made = Store(StoreConfig(server.socket, tmp_path / "state", server.password, durable=True))
    yield made
    made.close()


def config_map(**data: str) -> Obj:
    meta = {"name": "settings", "namespace": "default", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}


def call() -> Call:
    made = Call("PUT", "/api/v1/namespaces/default/configmaps/settings", "", {})
    made.user = User("admin", frozenset())
    return made


@pytest.fixture
def writes(store: Store) -> tuple[Document, Document, Writes, Deletes]:
    """The first revision (all that the cache has), the second (in the store), and the write paths over both."""
    first = store.create(TARGET.key, config_map(a="1"))
    second = store.update(TARGET.key, config_map(a="2"), int(first.resource_version))
    behind = Behind(first)
    context = SimpleNamespace(user="admin", now=datetime.now(UTC))
    backend: Any = SimpleNamespace(store=lambda _: store, cache=lambda _: behind, context=lambda _: context)
    made = Writes(cast("Backend", backend))
    return first, second, made, Deletes(cast("Backend", backend), made)


def test_an_update_of_what_only_the_cache_still_has_is_a_conflict(
    writes: tuple[Document, Document, Writes, Deletes],
) -> None:
    first, _, written, _ = writes
    with pytest.raises(ApiError) as refused:
        written.change(call(), TARGET, lambda _: first.copy())
    assert refused.value.reason == "Conflict"


def test_a_change_that_changes_nothing_answers_with_what_the_store_has(
    writes: tuple[Document, Document, Writes, Deletes],
) -> None:
    _, second, written, _ = writes

    def set_to_one(old: Document) -> Obj:
        obj = old.copy()
        obj["data"] = {"a": "1"}
        return obj

    changed = written.change(call(), TARGET, set_to_one)
    assert changed.obj["data"] == {"a": "1"}
    assert int(changed.resource_version) > int(second.resource_version), "the second write was undone, not ignored"


def test_a_refusal_is_judged_by_what_the_store_has(writes: tuple[Document, Document, Writes, Deletes]) -> None:
    _, _, written, _ = writes

    def only_from_two(old: Document) -> Obj:
        if old.obj["data"] != {"a": "2"}:
            raise ApiError.bad_request("not from here")
        obj = old.copy()
        obj["data"] = {"a": "3"}
        return obj

    assert written.change(call(), TARGET, only_from_two).obj["data"] == {"a": "3"}


def test_a_delete_goes_by_what_the_store_has(
    store: Store, writes: tuple[Document, Document, Writes, Deletes]
) -> None:
    _, second, _, deletes = writes
    options = Options(None, "", "", second.resource_version, False)
    assert deletes.delete(call(), TARGET, options).gone
    assert store.get(TARGET.key) is None
