"""From documents to answer bytes: plain objects, lists, Tables, metadata only, and their watch events.

Stored bytes are copied, never decoded and encoded again, wherever the client wants whole objects. Table columns are
computed by the registry's cells. Follows apiserver/pkg/endpoints/handlers/response.go and kubectl's expectations in
`printers/internalversion`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from controlplane.api.document import Document
from controlplane.api.errors import ApiError
from controlplane.apiserver.negotiate import Accepted
from controlplane.apiserver.registry import Cell, Obj, Resource

encode = msgspec.json.Encoder().encode
IncludeObject = Literal["None", "Metadata", "Object"]
UNKNOWN = "<unknown>"


def include_object(value: str) -> IncludeObject:
    """The query parameter includeObject.

    Raises: ApiError 400.
    """
    match value:
        case "" | "Metadata":
            return "Metadata"
        case "None" | "Object":
            return value
        case _:
            raise ApiError.bad_request(f'unrecognized includeObject value: "{value}"')


def object_body(resource: Resource, document: Document, form: Accepted, include: IncludeObject) -> bytes:
    """One object in the form that was asked for."""
    if form.form == "table":
        return Tables(resource, form.version, include).page([document], document.resource_version)
    if form.form == "partial":
        return encode(partial(document.obj, form.version))
    return document.raw


def list_body(
    resource: Resource, documents: list[Document], metadata: Obj, form: Accepted, include: IncludeObject
) -> bytes:
    """A list in the form that was asked for; `metadata` is the list's own."""
    if form.form == "table":
        return Tables(resource, form.version, include).page(documents, metadata["resourceVersion"], metadata)
    if form.form in ("partial", "partiallist"):
        head = {"kind": "PartialObjectMetadataList", "apiVersion": f"meta.k8s.io/{form.version}"}
        items = [partial(document.obj, form.version) for document in documents]
        return encode({**head, "metadata": metadata, "items": items})
    kind, version = f"{resource.kind}List", resource.api_version
    start = encode({"kind": kind, "apiVersion": version, "metadata": metadata})[:-1]
    return b"".join((start, b',"items":[', b",".join([d.raw for d in documents]), b"]}"))


def partial(obj: Obj, version: str) -> Obj:
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": f"meta.k8s.io/{version}",
        "metadata": obj.get("metadata", {}),
    }


class Tables:
    """Makes Tables of one resource; within a watch the columns are told once."""

    def __init__(self, resource: Resource, version: str, include: IncludeObject) -> None:
        self._resource = resource
        self._version = version
        self._include = include
        self._columns_told = False

    def page(self, documents: Iterable[Document], revision: str, metadata: Obj | None = None) -> bytes:
        now = datetime.now(UTC)
        rows = [self._row(document, now) for document in documents]
        return encode(self._table(rows, metadata or {"resourceVersion": revision}))

    def event(self, document: Document) -> bytes:
        """The Table with one row that stands for an object in a watch event."""
        return self.page((document,), document.resource_version)

    def bookmark(self, obj: Obj) -> bytes:
        """A bookmark's Table: its row carries the marker's metadata."""
        cells: list[Cell] = [None] * len(self._resource.columns)
        row = {"cells": cells, "object": partial(obj, self._version)}
        return encode(self._table([row], {"resourceVersion": obj["metadata"]["resourceVersion"]}))

    def _table(self, rows: list[Obj], metadata: Obj) -> Obj:
        columns: list[Obj] | None = None
        if not self._columns_told:
            self._columns_told = True
            columns = [
                {
                    "name": column.name,
                    "type": column.type,
                    "format": column.format,
                    "description": column.description,
                    "priority": column.priority,
                }
                for column in self._resource.columns
            ]
        return {
            "kind": "Table",
            "apiVersion": f"meta.k8s.io/{self._version}",
            "metadata": metadata,
            "columnDefinitions": columns,
            "rows": rows,
        }

    def _row(self, document: Document, now: datetime) -> Obj:
        obj = document.obj
        row: dict[str, Any] = {"cells": [_cell(column.cell, obj, now) for column in self._resource.columns]}
        if self._include == "Metadata":
            row["object"] = partial(obj, self._version)
        elif self._include == "Object":
            row["object"] = msgspec.Raw(document.raw)
        return row


def _cell(cell: Any, obj: Obj, now: datetime) -> Cell:
    """A cell's value; an object of an odd shape must not hide the whole list."""
    try:
        value: Cell = cell(obj, now)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        return UNKNOWN
    return value
