"""What the tests of resources share: a context with a fixed clock, and the server's order of steps."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import IPv4Network
from random import Random
from typing import Any

from controlplane.api import decoding
from controlplane.api.document import Document
from controlplane.api.errors import Cause
from controlplane.api.profile import LAB
from controlplane.apiserver.registry import Context, Resource
from controlplane.store import Claim

NOW = datetime(2026, 11, 24, 11, tzinfo=UTC)
Obj = dict[str, Any]


def context(**objects: Obj) -> Context:
    """A context in which `lookup` knows the given objects, by resource (with _ for what a name can't hold)."""

    def lookup(resource: str, namespace: str, name: str) -> Document | None:
        found = objects.get(resource.rpartition("/")[2])
        return Document.of(found) if found is not None and found["metadata"]["name"] == name else None

    return Context(
        now=NOW,
        profile=LAB,
        user="kubernetes-admin",
        random=Random(7),
        service_cidr=IPv4Network("10.96.0.0/16"),
        node_ports=range(30000, 32768),
        lookup=lookup,
    )


@dataclass
class Written:
    """What came of a write."""

    obj: Obj
    causes: list[Cause]
    warnings: list[str]
    drawn: frozenset[Claim] = frozenset()
    claims: tuple[Claim, ...] = field(default=())

    @property
    def fields(self) -> list[str]:
        return [cause.field for cause in self.causes]

    def message(self, of: str) -> str:
        return next(cause.message for cause in self.causes if cause.field == of)


def create(resource: Resource, obj: Obj, ctx: Context | None = None) -> Written:
    """The server's steps of a create, up to the store."""
    ctx, obj, strategy = ctx or context(), copy.deepcopy(obj), resource.strategy
    decoding.decode(resource.schema, obj)
    metadata = obj.setdefault("metadata", {})
    metadata.setdefault("name", "x")
    if resource.namespaced:
        metadata.setdefault("namespace", "default")
    strategy.default(obj)
    strategy.admit(obj, None, ctx)
    strategy.prepare_create(obj, ctx)
    written = Written(obj, resource.validate(obj, None), strategy.warnings(obj, None))
    if not written.causes:
        written.drawn = strategy.allocate(obj, None, ctx)
        written.claims = strategy.claims(obj)
        again = copy.deepcopy(obj)
        strategy.default(again)
        assert again == obj, "defaulting what was stored changes nothing"
    return written


def update(resource: Resource, obj: Obj, old: Obj, ctx: Context | None = None) -> Written:
    """The server's steps of an update, up to the store; `old` must stay as it is."""
    ctx, obj, strategy = ctx or context(), copy.deepcopy(obj), resource.strategy
    before = copy.deepcopy(old)
    strategy.default(obj)
    strategy.admit(obj, old, ctx)
    strategy.prepare_update(obj, old, ctx)
    written = Written(obj, resource.validate(obj, old), strategy.warnings(obj, old))
    if not written.causes:
        written.drawn = strategy.allocate(obj, old, ctx)
        written.claims = strategy.claims(obj)
    assert old == before, "the old object is never changed"
    return written


def changed(obj: Obj, path: str, value: Any) -> Obj:
    """A copy with one value changed; path as `spec.containers.0.image`."""
    result = copy.deepcopy(obj)
    holder: Any = result
    *parts, last = (int(part) if part.isdecimal() else part for part in path.split("."))
    for part in parts:
        holder = holder[part]
    if value is None:
        holder.pop(last, None)
    else:
        holder[last] = value
    return result


def row(resource: Resource, obj: Obj, wide: bool = False) -> dict[str, Any]:
    """One object's cells by column."""
    return {column.name: column.cell(obj, NOW) for column in resource.columns if wide or column.priority == 0}
