"""What becomes of an object when its owners go, and in which order a family is deleted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.api.types import OwnerReference
from controlplane.controllers.garbage_graph import (
    FOREGROUND,
    ORPHAN,
    Decision,
    Delete,
    Detach,
    Graph,
    Item,
    OrphanDependents,
    OwnerState,
    RemoveFinalizer,
    decide,
)

PRESENT, ABSENT, WAITING, UNKNOWN = OwnerState
NOBODY: frozenset[str] = frozenset()


def item(
    uid: str, *owners: str, deleting: bool = False, finalizers: frozenset[str] = NOBODY, blocks: bool = True
) -> Item:
    refs = tuple(
        OwnerReference(api_version="v1", kind="Owner", name=o, uid=o, block_owner_deletion=blocks) for o in owners
    )
    return Item("things", "default", uid, uid, refs, deleting, finalizers)


@pytest.mark.parametrize(
    ("states", "decision"),
    [
        pytest.param({}, None, id="no owner"),
        pytest.param({"a": PRESENT}, None, id="owner there"),
        pytest.param({"a": ABSENT}, Delete("Background"), id="owner gone"),
        pytest.param({"a": UNKNOWN}, None, id="nobody can tell"),
        pytest.param({"a": PRESENT, "b": ABSENT}, Detach(("b",)), id="one of two gone"),
        pytest.param({"a": UNKNOWN, "b": ABSENT}, Detach(("b",)), id="one gone, one unknown"),
        pytest.param({"a": ABSENT, "b": ABSENT}, Delete("Background"), id="both gone"),
        pytest.param({"a": WAITING}, Delete("Background"), id="owner waits"),
        pytest.param({"a": PRESENT, "b": WAITING}, Detach(("b",)), id="one waits, one stays"),
    ],
)
def test_an_object_and_its_owners(states: dict[str, OwnerState], decision: Decision) -> None:
    assert decide(item("x", *states), states, []) == decision


def test_in_the_middle_of_a_family_the_foreground_goes_on() -> None:
    assert decide(item("x", "a"), {"a": WAITING}, [item("y", "x")]) == Delete("Foreground")


@pytest.mark.parametrize("deleting", [True, False])
def test_what_is_on_its_way_is_left_alone(deleting: bool) -> None:
    decision = decide(item("x", "a", deleting=deleting), {"a": ABSENT}, [])
    assert (decision is None) == deleting


def test_foreground_waits_for_those_that_block() -> None:
    owner = item("x", deleting=True, finalizers=frozenset({FOREGROUND}))
    assert decide(owner, {}, [item("y", "x")]) is None
    assert decide(owner, {}, [item("y", "x", blocks=False)]) == RemoveFinalizer(FOREGROUND)
    assert decide(owner, {}, []) == RemoveFinalizer(FOREGROUND)


def test_orphaning_lets_go_of_dependents_first() -> None:
    owner = item("x", deleting=True, finalizers=frozenset({ORPHAN}))
    assert decide(owner, {}, [item("y", "x")]) == OrphanDependents((item("y", "x"),))
    assert decide(owner, {}, []) == RemoveFinalizer(ORPHAN)


class TestGraph:
    def test_a_deleted_owner_wakes_its_dependents(self) -> None:
        graph = Graph()
        graph.put(item("owner"))
        assert graph.put(item("a", "owner")) == {"a"}
        assert graph.put(item("a", "owner")) == set()
        assert graph.remove("owner") == {"a"}

    def test_a_waiting_owner_hears_of_each_dependent_that_goes(self) -> None:
        graph = Graph()
        graph.put(item("owner"))
        graph.put(item("a", "owner"))
        graph.put(item("b", "owner"))
        waiting = item("owner", deleting=True, finalizers=frozenset({FOREGROUND}))
        assert graph.put(waiting) == {"owner", "a", "b"}
        assert graph.remove("a") == {"owner"}
        assert graph.put(item("b")) == {"owner"}
        assert graph.dependents("owner") == []

    @given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sets(st.sampled_from("abcdef")), st.booleans())))
    def test_dependents_are_always_those_that_name_the_owner(self, steps: list[tuple[str, set[str], bool]]) -> None:
        graph = Graph()
        model: dict[str, Item] = {}
        for uid, owners, gone in steps:
            if gone:
                graph.remove(uid)
                model.pop(uid, None)
            else:
                model[uid] = item(uid, *sorted(owners))
                graph.put(model[uid])
        for uid in "abcdef":
            assert graph.dependents(uid) == [
                model[d] for d in sorted(model) if any(o.uid == uid for o in model[d].owners)
            ]
