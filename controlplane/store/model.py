"""The words of the store: keys, claims, terms, changes, and what can go wrong beyond the API's own errors.

Everything here is a value. The API server, the watch cache and the scripts' callers share these types.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

from controlplane.api.document import Document
from controlplane.api.errors import ApiError

MIB = 1 << 20

ChangeType = Literal["ADDED", "MODIFIED", "DELETED"]


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """Where an object is kept. `resource` is "pods" or "discovery.k8s.io/endpointslices"; no namespace:
    cluster-scoped."""

    resource: str
    namespace: str
    name: str

    @property
    def text(self) -> str:
        """The key as Redis has it; neither resource nor namespace can contain the bar, a name may."""
        return f"{self.resource}|{self.namespace}|{self.name}"

    @classmethod
    def parse(cls, text: str) -> Key:
        resource, namespace, name = text.split("|", 2)
        return cls(resource, namespace, name)

    @property
    def plural(self) -> str:
        return self.resource.rpartition("/")[2]

    @property
    def group(self) -> str:
        return self.resource.rpartition("/")[0]


@dataclass(frozen=True, slots=True)
class Claim:
    """Something of which there is one, like a cluster IP: ("clusterips", "10.96.0.7"), held by the key that claimed
    it."""

    table: str
    item: str

    @property
    def text(self) -> str:
        return f"{self.table}/{self.item}"

    @classmethod
    def parse(cls, text: str) -> Claim:
        table, _, item = text.partition("/")
        return cls(table, item)


@dataclass(frozen=True, slots=True)
class Term:
    """The turn of a leader: a write that carries it is refused once another leader has begun."""

    name: str
    value: int


@dataclass(frozen=True)
class Change:
    """One step of the log. `before` is None for ADDED, `after` for DELETED."""

    revision: int
    key: Key
    type: ChangeType
    before: Document | None
    after: Document | None
    at_ms: int = 0
    """When it happened, in milliseconds since 1970 on the master's clock: for the time line, never for decisions."""

    @cached_property
    def departed(self) -> Document:
        """The object as it was before, with this change's revision: what a watcher gets when the object is deleted or
        leaves its selector (as upstream's cacher does). Only for changes with a `before`."""
        if self.before is None:
            raise ValueError(f"{self.key.text} was not there before revision {self.revision}")
        return with_revision(self.before, self.revision)


def with_revision(document: Document, revision: int) -> Document:
    """The same object under another resourceVersion."""
    obj = dict(document.obj)
    obj["metadata"] = {**document.metadata, "resourceVersion": str(revision)}
    return Document.of(obj)


class ClaimTaken(ApiError):
    """Another object holds what this write claims; nothing was written."""

    def __init__(self, claim: Claim, holder: Key) -> None:
        where = f"{holder.namespace}/{holder.name}" if holder.namespace else holder.name
        super().__init__(
            409, "Conflict", f"{claim.table} {claim.item} is already allocated to {holder.plural} {where}"
        )
        self.claim = claim
        self.holder = holder


@dataclass(frozen=True)
class Health:
    """Whether writes are accepted now, and if not, why, in words for people."""

    writable: bool
    reason: str = ""


@dataclass(frozen=True)
class StoreConfig:
    """How to reach one Redis, and how it is kept."""

    socket: Path
    state_dir: Path
    """Ours alone: the high-water mark and, for the durable store, the history."""
    password: str = field(default="", repr=False)
    durable: bool = True
    """Every acknowledged write is on disk. False: the leases, which may lose their newest writes, but never reuse a
    revision."""
    keep_s: float = 600.0
    keep_bytes: int = 32 * MIB
    history_bytes: int = 1024 * MIB
    min_free_bytes: int = 64 * MIB
    reply_timeout_s: float = 15.0
    """How long Redis may think (an fsync may stall for seconds) before the connection counts as broken."""

    @property
    def name(self) -> str:
        return "durable" if self.durable else "leases"
