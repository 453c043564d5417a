"""Documents to answer bytes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
import pytest

from controlplane.api.document import Document
from controlplane.api.errors import ApiError
from controlplane.apiserver.negotiate import Accepted
from controlplane.apiserver.registry import Column, Obj, Resource
from controlplane.apiserver.render import UNKNOWN, Tables, include_object, list_body, object_body


def broken(obj: Obj, _now: datetime) -> str:
    return str(obj["spec"]["nowhere"])


RESOURCE = Resource(
    group="", version="v1", kind="Thing", plural="things", singular="thing", short_names=(), namespaced=True,
    schema="core.v1.ConfigMap",
    columns=(Column("Name", lambda obj, _: obj["metadata"]["name"], format="name"), Column("Broken", broken)),
)  # fmt: skip
THING = Document(b'{"kind":"Thing","apiVersion":"v1","metadata":{"name":"a","resourceVersion":"7"},"spec":{}}')


def decoded(body: bytes) -> Any:
    return msgspec.json.decode(body)


def test_whole_objects_are_the_stored_bytes() -> None:
    assert object_body(RESOURCE, THING, Accepted("object"), "Metadata") is THING.raw
    body = list_body(RESOURCE, [THING, THING], {"resourceVersion": "9"}, Accepted("object"), "Metadata")
    assert body.count(THING.raw) == 2
    assert decoded(body) == {
        "kind": "ThingList",
        "apiVersion": "v1",
        "metadata": {"resourceVersion": "9"},
        "items": [decoded(THING.raw)] * 2,
    }
    empty = list_body(RESOURCE, [], {"resourceVersion": "9"}, Accepted("object"), "Metadata")
    assert decoded(empty)["items"] == []


def test_an_odd_object_doesnt_hide_the_table() -> None:
    table = decoded(object_body(RESOURCE, THING, Accepted("table"), "None"))
    assert table["rows"] == [{"cells": ["a", UNKNOWN]}]


@pytest.mark.parametrize("include", ["Metadata", "Object"])
def test_rows_carry_what_was_asked_for(include: Any) -> None:
    row = decoded(object_body(RESOURCE, THING, Accepted("table"), include))["rows"][0]
    assert row["object"]["kind"] == ("Thing" if include == "Object" else "PartialObjectMetadata")
    assert row["object"]["metadata"]["name"] == "a"


def test_columns_are_told_once() -> None:
    tables = Tables(RESOURCE, "v1", "None")
    assert [c["name"] for c in decoded(tables.event(THING))["columnDefinitions"]] == ["Name", "Broken"]
    assert decoded(tables.event(THING))["columnDefinitions"] is None


def test_include_object_is_checked() -> None:
    assert include_object("") == "Metadata"
    with pytest.raises(ApiError):
        include_object("All")
