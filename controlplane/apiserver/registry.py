# ruff: noqa: ARG002 (the methods of a strategy share their signatures)
"""The registry's vocabulary: what one served resource is, and what its strategy may decide.

A `Resource` says everything that the generic server needs to serve a kind: its names, its schema, its
table columns, its field selectors, its sub-resources and its `Strategy`. Routes, discovery, OpenAPI and
tables are derived from it, so adding a kind is one file in `apiserver/resources/`.

The server calls a strategy in this order, and nothing else ever touches the object in between:

    create   default → admit → prepare_create → (name from generateName, metadata) → Resource.validate
             → allocate → claims → store
    update   default → admit → prepare_update → Resource.validate → allocate → claims → store
    status   default → prepare_status_update → validate_status → store
    delete   graceful_delete → begin_delete → (metadata.finalizers) → store

What always holds: `old` is never changed; `obj` is the server's own copy and is changed in place; nothing
here reads a clock or draws a number but from `Context`. After `k8s.io/apiserver/pkg/registry/rest`
(`RESTCreateStrategy`, `RESTUpdateStrategy`) and `pkg/registry/core/*/strategy.go`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv4Network
from random import Random
from typing import Any, Literal

from controlplane.api import objectmeta
from controlplane.api.document import Document
from controlplane.api.errors import Cause
from controlplane.api.profile import Profile
from controlplane.store import Claim

Obj = dict[str, Any]
"""A decoded API object inside the server, between the decoder and the store."""

Cell = str | int | bool | None
Store = Literal["durable", "leases"]


@dataclass(frozen=True)
class Context:
    """What a strategy may know of the world besides the object: one per request."""

    now: datetime
    profile: Profile
    user: str
    random: Random
    service_cidr: IPv4Network
    node_ports: range
    lookup: Callable[[str, str, str], Document | None]
    """Reads another object: (resource as in store keys, namespace, name)."""


@dataclass(frozen=True)
class Column:
    """One column of a Table. Priority 0 is always shown, 1 only with `-o wide`."""

    name: str
    cell: Callable[[Obj, datetime], Cell]
    type: Literal["string", "integer", "boolean", "number"] = "string"
    description: str = ""
    priority: int = 0
    format: str = ""


@dataclass(frozen=True)
class Scale:
    """How `autoscaling/v1 Scale` maps to a kind with spec.replicas and status.replicas."""

    selector: Callable[[Obj], str]
    """The label selector of the object's pods, as text."""


class Strategy:
    """The behaviour of a plain stored kind; each method is what a kind may override."""

    has_generation: bool = False
    """Whether metadata.generation counts changes of the spec (upstream sets it for some kinds only)."""
    has_status: bool = False
    """Whether the kind has a status that a write to the main resource must not touch."""
    allow_create_on_update: bool = False
    """Whether a PUT to a name that doesn't exist creates it (upstream: leases, events, endpoints …)."""

    def default(self, obj: Obj) -> None:
        """Fills in what upstream's defaulting fills in, also inside templates. Idempotent."""

    def admit(self, obj: Obj, old: Obj | None, ctx: Context) -> None:
        """Admission: changes that depend on the cluster. Raises: ApiError to refuse."""

    def prepare_create(self, obj: Obj, ctx: Context) -> None:
        """Clears what a client can't set at creation."""
        if self.has_status:
            obj.pop("status", None)

    def prepare_update(self, obj: Obj, old: Obj, ctx: Context) -> None:
        """Restores what an update of the main resource must not touch."""
        if self.has_status:
            keep(obj, old, "status")

    def prepare_status_update(self, obj: Obj, old: Obj, ctx: Context) -> None:
        """Restores everything but the status; labels and annotations may change with it, as upstream."""
        for name in [*obj, *old]:
            if name not in ("metadata", "status"):
                keep(obj, old, name)
        keep(obj["metadata"], old["metadata"], "ownerReferences")
        keep(obj["metadata"], old["metadata"], "finalizers")

    def validate(self, obj: Obj, old: Obj | None) -> list[Cause]:
        """Upstream's checks of the kind itself; metadata is checked by `Resource.validate`."""
        return []

    def validate_status(self, obj: Obj, old: Obj) -> list[Cause]:
        """Checks of a write to the status sub-resource."""
        return []

    def allocate(self, obj: Obj, old: Obj | None, ctx: Context) -> frozenset[Claim]:
        """Draws values that the client left open (cluster IPs, node ports) and returns their claims.

        When the store answers that one of *these* is taken, the server starts again from the object as it
        was before; when another claim is taken, the answer is 422 with `claim_taken`'s cause.
        """
        return frozenset()

    def claims(self, obj: Obj) -> tuple[Claim, ...]:
        """Everything that the object holds, drawn or asked for; claimed in the write's own script."""
        return ()

    def claim_taken(self, obj: Obj, claim: Claim) -> Cause:
        """The cause to answer when a claim that the client asked for is taken."""
        return Cause("metadata", "FieldValueInvalid", f"{claim.table} {claim.item} is already allocated")

    def generation_changes(self, obj: Obj, old: Obj) -> bool:
        """Whether metadata.generation grows with this update."""
        return self.has_generation and obj.get("spec") != old.get("spec")

    def warnings(self, obj: Obj, old: Obj | None) -> list[str]:
        """Texts for `Warning:` headers: deprecated fields and known ones that we keep but don't implement."""
        return []

    def graceful_delete(self, obj: Obj, options: Obj, ctx: Context) -> int | None:
        """Grace period in seconds; None or 0: the object goes at once (but for finalizers)."""
        return None

    def begin_delete(self, obj: Obj, ctx: Context) -> bool:
        """Called on the object as its deletion starts; True: it stays until a later write lets it go."""
        return False


PLAIN = Strategy()


def no_causes(_name: str) -> list[str]:
    """A name rule that accepts everything."""
    return []


@dataclass(frozen=True)
class Resource:
    """One served resource: the whole of what discovery, routes, tables and storage know about it."""

    group: str
    version: str
    kind: str
    plural: str
    singular: str
    short_names: tuple[str, ...]
    namespaced: bool
    schema: str
    """Name in api/schema, as `core.v1.Pod`."""
    name_rule: Callable[[str], list[str]] = no_causes
    """What is wrong with a name (upstream's messages), as `names.dns_subdomain`."""
    categories: tuple[str, ...] = ()
    strategy: Strategy = PLAIN
    columns: tuple[Column, ...] = ()
    selectable: Mapping[str, Callable[[Obj], str]] = field(default_factory=dict)
    """Field selectors besides metadata.name and metadata.namespace."""
    subresources: frozenset[str] = frozenset()
    scale: Scale | None = None
    store: Store = "durable"
    verbs: tuple[str, ...] = (
        "create", "delete", "deletecollection", "get", "list", "patch", "update", "watch",
    )  # fmt: skip

    @property
    def api_version(self) -> str:
        """`v1` or `discovery.k8s.io/v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def key(self) -> str:
        """The resource in store keys: `pods` or `discovery.k8s.io/endpointslices`."""
        return f"{self.group}/{self.plural}" if self.group else self.plural

    @property
    def qualified(self) -> str:
        """As in messages: `pods` or `endpointslices.discovery.k8s.io`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def validate(self, obj: Obj, old: Obj | None) -> list[Cause]:
        """All causes why this object can't be stored: metadata first, then the kind's own."""
        if old is None:
            causes = objectmeta.validate(obj, self.namespaced, self.name_rule)
        else:
            causes = objectmeta.validate_update(obj, old, self.namespaced, self.name_rule)
        return causes + self.strategy.validate(obj, old)


def keep(obj: Obj, old: Obj, name: str) -> None:
    """Puts `old`'s value of a top field back into `obj`, or removes it where `old` has none."""
    if name in old:
        obj[name] = old[name]
    else:
        obj.pop(name, None)
