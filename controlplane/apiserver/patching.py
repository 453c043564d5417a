"""The body of a PATCH: which of the three kinds, and how it is applied.

Server-side apply is refused with 415, which kubectl explains to its user; the three others are JSON patch (RFC 6902),
merge patch (RFC 7386) and strategic merge patch. Follows apiserver/pkg/endpoints/handlers/patch.go.
"""

from __future__ import annotations

from typing import Any

from controlplane.api import patches, yamljson
from controlplane.api.errors import ApiError
from controlplane.apiserver import codec
from controlplane.apiserver.call import Call
from controlplane.apiserver.registry import Obj

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
TYPES = (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH)
OPERATIONS_LIMIT = 10_000


class Patch:
    """One decoded patch; applied again after each conflict."""

    def __init__(self, call: Call) -> None:
        """Raises: ApiError 400, 413, 415."""
        self._kind = codec.media_type(call)
        if self._kind not in TYPES:
            raise ApiError.unsupported_media(
                f"the body of the request was in an unknown format - accepted media types include: {', '.join(TYPES)}"
            )
        self._body: Any = yamljson.load_json(call.body)
        if self._kind == JSON_PATCH:
            if type(self._body) is not list:
                raise ApiError.bad_request("a JSON patch is a list of operations")
            if len(self._body) > OPERATIONS_LIMIT:
                raise ApiError.too_large(
                    f"The allowed maximum operations in a JSON patch is {OPERATIONS_LIMIT}, got {len(self._body)}"
                )
        elif type(self._body) is not dict:
            raise ApiError.bad_request("a merge patch is an object")

    def apply(self, before: Obj, schema: str) -> Any:
        """The patched object, not yet checked; `before` may be changed.

        Raises: ApiError 400 or 422.
        """
        if self._kind == JSON_PATCH:
            return patches.json_patch(before, self._body)
        if self._kind == MERGE_PATCH:
            return patches.merge_patch(before, self._body)
        return patches.strategic_merge_patch(before, self._body, schema)
