"""Lists in pages: `limit` and `continue` over one consistent revision.

The first page of a longer list keeps that list (references to documents, not copies) for some minutes; later pages
cut from it. When it is gone, the answer is 410 with a token that goes on from the same name in whatever is there by
then. Follows apiserver/pkg/storage/continue.go.
"""

from __future__ import annotations

import base64
import threading
import time
from bisect import bisect_right
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import msgspec

from controlplane.api.document import Document
from controlplane.api.errors import ApiError

KEEP_LISTS = 32
KEEP_S = 300.0
INCONSISTENT = -1
"""The revision in a token that goes on with whatever is there."""


@dataclass(frozen=True)
class Token:
    """Where the next page starts: after this namespace and name, in the list of this revision."""

    revision: int
    namespace: str
    name: str

    def encoded(self) -> str:
        body = {"v": "meta.k8s.io/v1", "rv": self.revision, "start": [self.namespace, self.name]}
        return base64.urlsafe_b64encode(msgspec.json.encode(body)).decode().rstrip("=")

    @classmethod
    def decoded(cls, text: str) -> Token:
        """Raises: ApiError 400."""
        try:
            body: Any = msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            namespace, name = body["start"]
            return cls(int(body["rv"]), str(namespace), str(name))
        except (ValueError, KeyError, TypeError, msgspec.DecodeError):
            raise ApiError.bad_request("continue key is not valid") from None


class ExpiredPage(ApiError):
    """410 whose Status carries a token that still works."""

    def __init__(self, message: str, token: str) -> None:
        super().__init__(410, "Expired", message)
        self.token = token

    def status(self) -> dict[str, Any]:
        return {**super().status(), "metadata": {"continue": self.token}}


@dataclass(frozen=True)
class Page:
    """Documents of one page and what the list's metadata says about the rest."""

    revision: int
    documents: list[Document]
    metadata: dict[str, Any]


@dataclass(frozen=True)
class _Kept:
    documents: list[Document]
    until: float


class Pages:
    """The lists that pages are still being read from."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, int], _Kept] = OrderedDict()
        self._lock = threading.Lock()

    def first(self, scope: str, revision: int, documents: list[Document], limit: int, counted: bool) -> Page:
        """The first page of a list; `scope` names the query (path and selectors)."""
        if not limit or len(documents) <= limit:
            return Page(revision, documents, {"resourceVersion": str(revision)})
        with self._lock:
            self._kept[scope, revision] = _Kept(documents, time.monotonic() + KEEP_S)
            while len(self._kept) > KEEP_LISTS:
                self._kept.popitem(last=False)
        return _cut(revision, documents, 0, limit, counted)

    def next(self, scope: str, token: Token, limit: int, counted: bool) -> Page:
        """A later page.

        Raises: ApiError 410 with a usable token when the list is gone.
        """
        with self._lock:
            kept = self._kept.get((scope, token.revision))
        if kept is None or kept.until < time.monotonic():
            raise expired(token)
        return after(token.revision, kept.documents, token, limit, counted)


def after(revision: int, documents: list[Document], token: Token, limit: int, counted: bool) -> Page:
    """The page that starts after the token's name."""
    start = bisect_right(documents, (token.namespace, token.name), key=lambda d: (d.namespace, d.name))
    return _cut(revision, documents, start, limit, counted)


def expired(token: Token) -> ApiError:
    return ExpiredPage(
        "The provided continue parameter is too old to display a consistent list result. You can start a new list "
        "without the continue parameter, or use the continue token in this response to retrieve the remainder of "
        "the results. Continuing with the provided token results in an inconsistent list",
        Token(INCONSISTENT, token.namespace, token.name).encoded(),
    )


def _cut(revision: int, documents: list[Document], start: int, limit: int, counted: bool) -> Page:
    end = start + limit if limit else len(documents)
    page = documents[start:end]
    metadata: dict[str, Any] = {"resourceVersion": str(revision)}
    if end < len(documents) and page:
        last = page[-1]
        metadata["continue"] = Token(revision, last.namespace, last.name).encoded()
        if counted:
            metadata["remainingItemCount"] = len(documents) - end
    return Page(revision, page, metadata)
