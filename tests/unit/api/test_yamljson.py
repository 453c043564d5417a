"""Request bodies from anybody: what is accepted, and that the rest is a 400 (row 6 of the bad input)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.api import yamljson
from controlplane.api.errors import ApiError

BOMB = b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (letter, letter, b",".join([b"*%c" % (letter - 1)] * 9)) for letter in range(98, 110)
)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param(b"", "body", id="empty"),
        pytest.param(b"{", "body", id="cut off"),
        pytest.param(b"[" * 10_000, "max depth", id="10,000 levels"),
        pytest.param(b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "max depth", id="10,000 objects"),
        pytest.param(b"[NaN]", "NaN", id="NaN"),
        pytest.param(b"[Infinity]", "Infinity", id="Infinity"),
        pytest.param(b"[-Infinity]", "Infinity", id="-Infinity"),
        pytest.param(b"[1e400]", "out of range", id="1e400"),
        pytest.param(b"[" + b"9" * 5000 + b"]", "out of range", id="5,000 digits"),
        pytest.param(b"[9223372036854775808]", "out of range", id="beyond 64 bits"),
        pytest.param(b'{"a":1,"a":2}', 'duplicate field "a"', id="duplicate key"),
        pytest.param(b'{"a":[{"b":{"c":1,"c":2}}]}', 'duplicate field "a[0].b.c"', id="deep duplicate"),
        pytest.param(b'{"a":"\xff"}', "UTF-8", id="invalid UTF-8"),
        pytest.param(b'["\\ud800"]', "surrogate", id="half a surrogate"),
        pytest.param(b"[1] [2]", "body", id="two values"),
        pytest.param(b'["\x01"]', "body", id="control character"),
    ],
)
def test_hostile_json_is_a_400(body: bytes, words: str) -> None:
    with pytest.raises(ApiError, match=words.replace("[", r"\[").replace("]", r"\]")) as error:
        yamljson.load_json(body)
    assert error.value.code == 400


def test_brackets_in_strings_are_no_depth() -> None:
    text = "[{" * 1000 + '\\"'
    assert yamljson.load_json(json.dumps([text]).encode()) == [text]


def test_whole_surrogate_pairs_are_fine() -> None:
    assert yamljson.load_json(b'["\\ud83d\\ude00"]') == ["\U0001f600"]


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(values)
def test_every_json_value_comes_back(value: Any) -> None:
    assert yamljson.load_json(json.dumps(value).encode()) == value


@given(st.binary(max_size=60))
def test_no_bytes_do_worse_than_400(body: bytes) -> None:
    for load in (yamljson.load_json, yamljson.load_yaml):
        code = 400
        try:
            load(body)
        except ApiError as error:
            code = error.code
        assert code == 400


@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param(BOMB, "aliases unfold", id="alias bomb"),
        pytest.param(b"a: &a [*a]", "unknown anchor", id="alias inside itself"),
        pytest.param(b"!!python/object:os.system x", "not allowed", id="python object"),
        pytest.param(b"a: !!python/name:os.system", "not allowed", id="python name"),
        pytest.param(b"a: !custom 1", "not allowed", id="own tag"),
        pytest.param(b"a: 1\na: 2", "already set", id="duplicate key"),
        pytest.param(b"a: .nan", "not a number", id="nan"),
        pytest.param(b"a: -.inf", "not a number", id="inf"),
        pytest.param(b"a: 1e400", "out of range", id="1e400"),
        pytest.param(b"- " * 400 + b"x", "max depth", id="deep"),
        pytest.param(b"[[[", "yaml", id="cut off"),
        pytest.param(b"a: \xff", "UTF-8", id="invalid UTF-8"),
        pytest.param(b"---\na: 1\n---\nb: 2\n", "more than one", id="two documents"),
        pytest.param(b"? [a]\n: b", "must be a scalar", id="list as key"),
        pytest.param(b"<<: 3", "merge", id="merge of a number"),
    ],
)
def test_hostile_yaml_is_a_400(body: bytes, words: str) -> None:
    with pytest.raises(ApiError, match=words) as error:
        yamljson.load_yaml(body)
    assert error.value.code == 400


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"a: yes\nb: off\nc: ~\nd: null", {"a": True, "b": False, "c": None, "d": None}),
        (b"a: 0x10\nb: 010\nc: 0o10\nd: -0b11\ne: 1_000", {"a": 16, "b": 8, "c": 8, "d": -3, "e": 1000}),
        (b"a: 1.5\nb: 1e3\nc: .5", {"a": 1.5, "b": 1000.0, "c": 0.5}),
        (b"a: '1'\nb: !!str 2\nc: \"true\"", {"a": "1", "b": "2", "c": "true"}),
        (b"a: 2020-01-01\nb: 12:30:45\nc: 1Gi", {"a": "2020-01-01", "b": "12:30:45", "c": "1Gi"}),
        (b"a: &x {q: 1}\nb: *x\nc: {<<: *x, z: 2}", {"a": {"q": 1}, "b": {"q": 1}, "c": {"q": 1, "z": 2}}),
        (b"1: a\ntrue: b", {"1": "a", "true": "b"}),
        (b"a: |\n  x\n  y\n", {"a": "x\ny\n"}),
        (b"", None),
    ],
)
def test_yaml_as_upstream_reads_it(body: bytes, value: Any) -> None:
    assert yamljson.load_yaml(body) == value


def test_an_alias_is_a_copy() -> None:
    value = yamljson.load_yaml(b"a: &x {q: 1}\nb: *x")
    value["a"]["q"] = 2
    assert value["b"] == {"q": 1}
