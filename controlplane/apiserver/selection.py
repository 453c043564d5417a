"""Which objects a list or watch wants: namespace, label selector and field selector as one predicate.

Both selectors are parsed before anything is read, so that a broken one is a 400 also where nothing would match.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from controlplane.api.document import Document
from controlplane.api.errors import ApiError
from controlplane.api.selectors import FieldSelector, LabelSelector
from controlplane.apiserver.call import Call
from controlplane.apiserver.registry import Obj, Resource

METADATA_FIELDS = ("metadata.name", "metadata.namespace")


@dataclass(frozen=True)
class Selection:
    """The selectors of one request; `name` is set when exactly one name is asked for."""

    resource: Resource
    labels: LabelSelector
    fields: FieldSelector

    @property
    def everything(self) -> bool:
        return self.labels.empty and self.fields.empty

    @property
    def name(self) -> str:
        return self.fields.exact("metadata.name") or ""

    def matches(self, document: Document) -> bool:
        if not self.labels.empty and not self.labels.matches(document.labels):
            return False
        return self.fields.empty or self.fields.matches(self._getter(document))

    def _getter(self, document: Document) -> Callable[[str], str]:
        obj: Obj = document.obj

        def get(field: str) -> str:
            if field in METADATA_FIELDS:
                return document.name if field == "metadata.name" else document.namespace
            try:
                return str(self.resource.selectable[field](obj))
            except (KeyError, TypeError, AttributeError, IndexError):
                return ""

        return get


def selection(call: Call, resource: Resource) -> Selection:
    """The selectors in the query.

    Raises: ApiError 400 for broken syntax or a field that can't be selected by.
    """
    fields = FieldSelector.parse(call.text("fieldSelector"))
    for field in fields.fields:
        if field not in resource.selectable and field not in METADATA_FIELDS:
            raise ApiError.bad_request(f"field label not supported: {field}")
    return Selection(resource, LabelSelector.parse(call.text("labelSelector")), fields)
