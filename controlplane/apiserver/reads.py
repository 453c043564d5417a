"""Get and list, from the watch cache.

The shell (or, outside of it, `fresh`) has waited until the cache has caught up. Lists follow upstream's rules for
resourceVersion and resourceVersionMatch as far as a cache that is always current can: an exact old revision is served
only while a paged list of it is kept, else 410.

Follows apiserver/pkg/registry/generic/registry/store.go (Get, List) and apis/meta/internalversion/validation.
"""

from __future__ import annotations

from controlplane.api.document import Document
from controlplane.api.errors import ApiError, Cause
from controlplane.apiserver.backend import Backend
from controlplane.apiserver.call import Call
from controlplane.apiserver.pages import INCONSISTENT, Page, Pages, Token, after
from controlplane.apiserver.registry import Resource
from controlplane.apiserver.selection import Selection, selection
from controlplane.store import Key

MATCHES = ("Exact", "NotOlderThan")


class Reads:
    """The read paths over one backend; they never block."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._pages = Pages()

    def get(self, resource: Resource, namespace: str, name: str) -> Document:
        """Raises: ApiError 404."""
        document = self._backend.cache(resource).get(Key(resource.key, namespace, name))
        if document is None:
            raise ApiError.not_found(resource.plural, name, resource.group)
        return document

    def list(self, call: Call, resource: Resource, namespace: str) -> Page:
        """One page of what is selected.

        Raises: ApiError 400 for broken selectors and parameters, 410 for what isn't kept.
        """
        chosen = selection(call, resource)
        limit = call.number("limit") or 0
        scope = "|".join((call.path, call.text("labelSelector"), call.text("fieldSelector")))
        continued = call.text("continue")
        match, revision = call.text("resourceVersionMatch"), call.number("resourceVersion")
        _check_match(match, revision, continued)
        if continued:
            token = Token.decoded(continued)
            if token.revision != INCONSISTENT:
                return self._pages.next(scope, token, limit, chosen.everything)
            listing = self._backend.cache(resource).list(resource.key, namespace)
            documents = pick(chosen, listing.documents)
            page = after(listing.revision, documents, token, 0, chosen.everything)
            return self._pages.first(scope, listing.revision, page.documents, limit, chosen.everything)
        listing = self._backend.cache(resource).list(resource.key, namespace)
        if match == "Exact" and revision != listing.revision:
            raise ApiError.expired(f"The resourceVersion {revision} for the provided list is not kept")
        return self._pages.first(scope, listing.revision, pick(chosen, listing.documents), limit, chosen.everything)


def pick(chosen: Selection, documents: list[Document]) -> list[Document]:
    """Those that are selected; the list itself when that is all."""
    if chosen.everything:
        return documents
    return [document for document in documents if chosen.matches(document)]


def _check_match(match: str, revision: int | None, continued: str) -> None:
    """Upstream's rules for resourceVersionMatch in a list."""
    why = ""
    if continued and revision:
        raise ApiError.bad_request("specifying resource version is not allowed when using continue")
    if match:
        if match not in MATCHES:
            why = f'Unsupported value: "{match}": supported values: "Exact", "NotOlderThan"'
        elif revision is None:
            why = "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"
        elif continued:
            why = "Forbidden: resourceVersionMatch is forbidden when continue is provided"
        elif match == "Exact" and revision == 0:
            why = 'Forbidden: resourceVersionMatch "Exact" is forbidden for resourceVersion "0"'
    if why:
        cause = Cause("resourceVersionMatch", "FieldValueForbidden", why)
        raise ApiError.invalid("ListOptions", "", [cause], "meta.k8s.io")
