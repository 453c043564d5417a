"""Selectors: what they match, and the 400 for what can't be understood."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.api.errors import ApiError
from controlplane.api.selectors import FieldSelector, LabelSelector

LABELS = {"app": "web", "tier": "front", "n": "7", "empty": ""}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True),
        ("app=web", True),
        ("app==web", True),
        ("app = web , tier=front", True),
        ("app=db", False),
        ("app!=db", True),
        ("missing!=db", True),
        ("app in (web,db)", True),
        ("app in ( web , db )", True),
        ("app notin (web)", False),
        ("missing notin (web)", True),
        ("missing in (web)", False),
        ("app", True),
        ("missing", False),
        ("!missing", True),
        ("!app", False),
        ("empty=", True),
        ("empty in (,x)", True),
        ("n>6", True),
        ("n<7", False),
        ("app>1", False),
        ("kubernetes.io/x=y", False),
    ],
)
def test_label_selectors(text: str, matches: bool) -> None:
    selector = LabelSelector.parse(text)
    assert selector.matches(LABELS) is matches
    assert LabelSelector.parse(str(selector)).matches(LABELS) is matches


@pytest.mark.parametrize(
    "text",
    ["a b", "a in", "a in (", "a in (b", "a in b", "!", "=", "a==", "a=b,", ",a", "a,,b", "a=-", "a=b=c", "/a=b",
     "a>x", "a in (b))", "(", "a=\n;", "-a", "a=" + "x" * 64, "a='b'", "a=b|c", "!a=b", "a!b"],
)  # fmt: skip
def test_broken_label_selectors_are_a_400(text: str) -> None:
    if text == "a==":
        assert LabelSelector.parse(text).matches({"a": ""})
        return
    with pytest.raises(ApiError) as error:
        LabelSelector.parse(text)
    assert error.value.code == 400


@given(st.text(max_size=40))
def test_no_text_does_worse_than_400(text: str) -> None:
    for kind in (LabelSelector, FieldSelector):
        try:
            answer: object = type(kind.parse(text))
        except ApiError as error:
            answer = error.code
        assert answer in (kind, 400)


def test_selectors_of_objects() -> None:
    value = {
        "matchLabels": {"app": "web"},
        "matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["x"]}],
    }
    assert LabelSelector.from_struct(value).matches(LABELS)
    assert not LabelSelector.from_struct(None).matches(LABELS)
    assert LabelSelector.from_struct({}).matches(LABELS)
    assert LabelSelector.from_map({"app": "web"}).matches(LABELS)
    with pytest.raises(ApiError):
        LabelSelector.from_struct({"matchExpressions": [{"key": "a", "operator": "Like"}]})


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True),
        ("a.b=1", True),
        ("a.b==1", True),
        ("a.b!=1", False),
        ("a.b=1,c!=2", True),
        ("c=", True),
        (r"d=x\,y\=z\\", True),
    ],
)
def test_field_selectors(text: str, matches: bool) -> None:
    values = {"a.b": "1", "d": "x,y=z\\"}
    assert FieldSelector.parse(text).matches(lambda field: values.get(field, "")) is matches


@pytest.mark.parametrize("text", ["a", "=b", "a=b=c", "a,b=c", r"a=\x", "a!b"])
def test_broken_field_selectors_are_a_400(text: str) -> None:
    with pytest.raises(ApiError) as error:
        FieldSelector.parse(text)
    assert error.value.code == 400


def test_field_selector_tells_its_fields() -> None:
    selector = FieldSelector.parse("metadata.name=x,status.phase!=Failed")
    assert selector.fields == ("metadata.name", "status.phase")
    assert selector.exact("metadata.name") == "x"
    assert selector.exact("status.phase") is None
