"""A request's query and headers, hostile ones too."""

from __future__ import annotations

import pytest

from controlplane.api.errors import ApiError
from controlplane.apiserver.call import Call
from controlplane.apiserver.respond import warning_header
from controlplane.store import Term


def call(query: str = "", **headers: str) -> Call:
    return Call("GET", "/api/v1/pods/", query, {name.replace("_", "-"): value for name, value in headers.items()})


def test_trailing_slashes_go() -> None:
    assert call().path == "/api/v1/pods"
    assert Call("GET", "//", "", {}).path == "/"


@pytest.mark.parametrize(("query", "verb"), [("watch=true", "watch"), ("watch=1", "watch"), ("watch=0", "list")])
def test_watching(query: str, verb: str) -> None:
    assert call(query).info.verb == verb


def test_too_many_parameters_are_400_not_a_crash() -> None:
    many = call("&".join(f"watch={n}" for n in range(300)))
    with pytest.raises(ApiError):
        many.text("limit")


@pytest.mark.parametrize("value", ["x", "-1", "1.5", "9" * 19, "\u0661"])
def test_numbers(value: str) -> None:
    with pytest.raises(ApiError):
        call(f"limit={value}").number("limit")
    assert call("limit=12").number("limit") == 12
    assert call("limit=").number("limit") is None


def test_terms() -> None:
    assert call().term is None
    assert call(kubelab_term="manager=7").term == Term("manager", 7)
    for wrong in ("manager", "=7", "manager=", "manager=-1", "manager=x", ""):
        with pytest.raises(ApiError):
            _ = call(kubelab_term=wrong).term


def test_ids_differ() -> None:
    assert call().id != call().id


def test_a_warning_stays_one_header() -> None:
    assert warning_header('unknown field "a\r\nb"') == '299 - "unknown field \\"a??b\\""'
