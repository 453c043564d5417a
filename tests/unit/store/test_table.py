"""The watch cache's memory against a naive model, and what it keeps."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from controlplane.api.document import Document
from controlplane.store import Change, Key
from controlplane.store.model import ChangeType
from controlplane.store.table import Memory, Table

KEYS = [Key(r, n, o) for r in ("pods", "nodes") for n in ("", "a", "a-b", "a/b", "b") for o in ("1", "2")]


def log(steps: list[tuple[int, bool]]) -> list[Change]:
    """A well-formed log: each step changes a key, creating it where needed, or deletes it if it is there."""
    state: dict[Key, Document] = {}
    changes = []
    for revision, (index, delete) in enumerate(steps, start=1):
        key = KEYS[index % len(KEYS)]
        before = state.get(key)
        after = None if delete and before else Document(b'{"revision":%d}' % revision)
        kind: ChangeType = "DELETED" if after is None else "MODIFIED" if before else "ADDED"
        changes.append(Change(revision, key, kind, before and Document(before.raw), after))
        if after is None:
            del state[key]
        else:
            state[key] = after
    return changes


def state_after(changes: list[Change]) -> dict[Key, bytes]:
    state: dict[Key, bytes] = {}
    for change in changes:
        if change.after is None:
            state.pop(change.key, None)
        else:
            state[change.key] = change.after.raw
    return state


def listed(memory: Memory, resource: str, namespace: str = "") -> list[bytes]:
    return [document.raw for document in memory.table(resource).list(namespace)]


def expected(state: dict[Key, bytes], wanted: Callable[[Key], bool]) -> list[bytes]:
    return [raw for key, raw in sorted(state.items()) if wanted(key)]


logs = st.lists(st.tuples(st.integers(0, len(KEYS) - 1), st.booleans()), max_size=60).map(log)


@given(logs)
def test_following_the_log_gives_its_state(changes: list[Change]) -> None:
    memory = Memory()
    applied = memory.apply(changes)
    state = state_after(changes)
    for resource in ("pods", "nodes"):
        assert listed(memory, resource) == expected(state, lambda key, r=resource: key.resource == r)  # type: ignore[misc]
        for namespace in ("a", "a-b", "a/b", "absent"):
            scope = (resource, namespace)
            assert listed(memory, *scope) == expected(state, lambda key, s=scope: (key.resource, key.namespace) == s)  # type: ignore[misc]
    assert memory.revision == len(changes)
    assert [change.revision for change in applied] == [change.revision for change in changes]


@given(logs, st.integers(0, 60), st.integers(0, 60), st.integers(0, 60))
def test_a_load_in_the_middle_of_the_log_gives_the_same(
    changes: list[Change], begin: int, scanned: int, forgotten: int
) -> None:
    """The scan sees any mixture of states between the revision that it began at and the newest: here, a later one."""
    memory = Memory()
    scanned = max(begin, scanned)
    for key, raw in state_after(changes[:scanned]).items():
        revision = max(change.revision for change in changes[:scanned] if change.key == key)
        memory.put(key, Document(raw), revision)
    memory.apply(changes[begin:])
    state = state_after(changes)
    for resource in ("pods", "nodes"):
        assert listed(memory, resource) == expected(state, lambda key, r=resource: key.resource == r)  # type: ignore[misc]
    memory.forget(forgotten)
    for resource, window in memory.windows.items():
        kept = [change.revision for change in window.since(0)]
        assert kept == [c.revision for c in changes[begin:] if c.key.resource == resource and c.revision > forgotten]


@given(logs, st.integers(0, 60))
def test_cooling_changes_nothing_but_what_was_decoded(changes: list[Change], upto: int) -> None:
    memory = Memory()
    memory.apply(changes)
    before = {resource: window.since(0) for resource, window in memory.windows.items()}
    while memory.cool(upto):
        continue
    for resource, window in memory.windows.items():
        for was, now in zip(before[resource], window.since(0), strict=True):
            assert (was.revision, was.key, was.type) == (now.revision, now.key, now.type)
            assert (was.before and was.before.raw) == (now.before and now.before.raw)
            assert (was.after and was.after.raw) == (now.after and now.after.raw)
            if was.revision > upto:
                assert was is now


def test_following_shares_documents() -> None:
    """The before of a change is the very document that was listed: a window costs one copy of each state."""
    first, second = Document(b"1"), Document(b"2")
    memory = Memory()
    key = KEYS[0]
    memory.apply([Change(1, key, "ADDED", None, first)])
    applied = memory.apply([Change(2, key, "MODIFIED", Document(b"1"), second)])
    assert applied[0].before is first
    assert memory.table(key.resource).documents[key.namespace, key.name] is second


def test_a_listing_is_built_once_and_never_changed() -> None:
    table = Table()
    table.put(("a", "1"), Document(b"1"), 1)
    first = table.list("a")
    assert table.list("a") is first
    table.put(("a", "2"), Document(b"2"), 2)
    assert len(first) == 1
    assert len(table.list("a")) == 2
