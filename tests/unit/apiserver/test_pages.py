"""Lists in pages, over one revision."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.api.document import Document
from controlplane.api.errors import ApiError
from controlplane.apiserver import pages
from controlplane.apiserver.pages import INCONSISTENT, ExpiredPage, Pages, Token


def documents(count: int) -> list[Document]:
    return [Document.of({"metadata": {"namespace": f"n{i // 10:03}", "name": f"p{i:04}"}}) for i in range(count)]


@given(count=st.integers(0, 40), limit=st.integers(1, 15))
def test_pages_are_the_list(count: int, limit: int) -> None:
    listed, kept = documents(count), Pages()
    page = kept.first("scope", 7, listed, limit, counted=True)
    seen = list(page.documents)
    while "continue" in page.metadata:
        assert page.metadata["remainingItemCount"] == count - len(seen)
        page = kept.next("scope", Token.decoded(page.metadata["continue"]), limit, counted=True)
        assert page.revision == 7
        seen += page.documents
    assert [d.name for d in seen] == [d.name for d in listed]


def test_a_list_that_is_gone_is_410_with_a_token_that_works() -> None:
    token = Token(7, "n000", "p0003")
    with pytest.raises(ExpiredPage) as caught:
        Pages().next("scope", token, 5, counted=True)
    status = caught.value.status()
    assert (status["code"], status["reason"]) == (410, "Expired")
    assert Token.decoded(status["metadata"]["continue"]) == Token(INCONSISTENT, "n000", "p0003")


def test_a_page_of_another_query_is_not_given() -> None:
    kept = Pages()
    page = kept.first("all", 7, documents(10), 5, counted=True)
    with pytest.raises(ExpiredPage):
        kept.next("other", Token.decoded(page.metadata["continue"]), 5, counted=True)


def test_only_so_many_lists_are_kept() -> None:
    kept = Pages()
    first = kept.first("0", 1, documents(3), 1, counted=True)
    for number in range(1, pages.KEEP_LISTS + 1):
        kept.first(str(number), 1, documents(3), 1, counted=True)
    with pytest.raises(ExpiredPage):
        kept.next("0", Token.decoded(first.metadata["continue"]), 1, counted=True)


@pytest.mark.parametrize("text", ["x", "!!!", "bm9wZQ", "e30", "eyJydiI6MSwic3RhcnQiOlsiYSJdfQ", "\u00e4"])
def test_a_broken_token_is_400(text: str) -> None:
    with pytest.raises(ApiError) as caught:
        Token.decoded(text)
    assert caught.value.code == 400
