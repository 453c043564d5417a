"""The values of the store."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.api.document import Document
from controlplane.store import Change, Claim, ClaimTaken, Key, with_revision
from controlplane.store.writer import WriteCall

segments = st.text(st.characters(exclude_characters="|", codec="utf-8"))


@given(segments, segments, st.text())
def test_keys_come_back(resource: str, namespace: str, name: str) -> None:
    key = Key(resource, namespace, name)
    assert Key.parse(key.text) == key


@given(st.text(st.characters(exclude_characters="/", codec="utf-8")), st.text())
def test_claims_come_back(table: str, item: str) -> None:
    claim = Claim(table, item)
    assert Claim.parse(claim.text) == claim


def test_group_and_plural() -> None:
    key = Key("discovery.k8s.io/endpointslices", "a", "b")
    assert (key.group, key.plural) == ("discovery.k8s.io", "endpointslices")
    assert (Key("pods", "a", "b").group, Key("pods", "a", "b").plural) == ("", "pods")


def test_departed() -> None:
    before = Document(b'{"metadata":{"name":"x","resourceVersion":"4"},"spec":{"resourceVersion":"4"}}')
    change = Change(9, Key("pods", "", "x"), "DELETED", before, None)
    assert change.departed.obj == {
        "metadata": {"name": "x", "resourceVersion": "9"},
        "spec": {"resourceVersion": "4"},
    }
    assert change.departed is change.departed
    assert before.resource_version == "4"
    with pytest.raises(ValueError, match="not there before revision 9"):
        _ = Change(9, Key("pods", "", "x"), "ADDED", None, before).departed


def test_with_revision_of_an_object_without_metadata() -> None:
    assert with_revision(Document(b"{}"), 3).obj == {"metadata": {"resourceVersion": "3"}}


def test_claim_taken_reads_well() -> None:
    error = ClaimTaken(Claim("nodeports", "30080/TCP"), Key("services", "default", "web"))
    assert error.code == 409
    assert error.message == "nodeports 30080/TCP is already allocated to services default/web"


@pytest.mark.parametrize(
    ("call", "argv"),
    [
        (WriteCall("k", "0", b"a", b"b", claims=()), ("c", "k", "0", b"a", b"b", "w", "", "", "set")),
        (WriteCall("k", "7", b"a", b"b"), ("c", "k", "7", b"a", b"b", "w", "", "", "keep")),
        (
            WriteCall("k", "*", term=("manager", "3"), claims=("t/i", "t/j")),
            ("c", "k", "*", b"", b"", "w", "manager", "3", "set", "t/i", "t/j"),
        ),
    ],
    ids=["create", "update", "claims and term"],
)
def test_arguments_of_the_script(call: WriteCall, argv: tuple[str | bytes, ...]) -> None:
    assert call.argv("c", "w") == argv
