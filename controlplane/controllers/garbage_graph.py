"""Who owns whom, over all kinds, and what is to be done about an object whose owners go. Pure.

    an owner exists                       the object stays; references to owners that are gone are removed
    all owners are gone                   the object is deleted
    its owner waits for its dependents    the object is deleted, in the foreground if it has dependents itself
    an owner's kind isn't served          nobody can tell: the object stays

An owner that is deleted in the foreground stays until no dependent that blocks it is left; one deleted with `orphan`
lets go of its dependents first. After pkg/controller/garbagecollector (graph.go, garbagecollector.go).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from controlplane.api.types import ObjectMeta, OwnerReference

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"


class OwnerState(Enum):
    PRESENT = "present"
    ABSENT = "absent"
    WAITING = "waiting for its dependents"
    UNKNOWN = "of a kind that isn't served"


@dataclass(frozen=True)
class Item:
    """One object: where it is, who owns it, and whether it is on its way out."""

    resource: str
    """`pods`, `endpointslices.discovery.k8s.io`."""
    namespace: str
    name: str
    uid: str
    owners: tuple[OwnerReference, ...]
    deleting: bool
    finalizers: frozenset[str]

    @property
    def waiting(self) -> bool:
        """Being deleted in the foreground."""
        return self.deleting and FOREGROUND in self.finalizers

    @property
    def orphaning(self) -> bool:
        return self.deleting and ORPHAN in self.finalizers


def item_of(resource: str, meta: ObjectMeta) -> Item:
    return Item(
        resource, meta.namespace, meta.name, meta.uid, tuple(meta.owner_references or ()),
        meta.deletion_timestamp is not None, frozenset(meta.finalizers or ()),
    )  # fmt: skip


class Graph:
    """All objects by uid, and the dependents of each owner. Not thread-safe."""

    def __init__(self) -> None:
        self._items: dict[str, Item] = {}
        self._dependents: dict[str, set[str]] = {}

    def __len__(self) -> int:
        return len(self._items)

    def get(self, uid: str) -> Item | None:
        return self._items.get(uid)

    def dependents(self, uid: str) -> list[Item]:
        """The objects that name this owner."""
        return [self._items[d] for d in sorted(self._dependents.get(uid, ()))]

    def put(self, item: Item) -> set[str]:
        """Takes in an object as it is now; the uids that have to be looked at."""
        old = self._items.get(item.uid)
        if old == item:
            return set()
        if old is not None:
            self._unlink(old)
        self._items[item.uid] = item
        for owner in item.owners:
            self._dependents.setdefault(owner.uid, set()).add(item.uid)
        look = {item.uid} if item.owners or item.waiting or item.orphaning else set()
        if item.waiting and not (old is not None and old.waiting):
            look |= self._dependents.get(item.uid, set())
        if old is not None and old.owners != item.owners:
            look |= self._waiting_owners(old)
        return look

    def remove(self, uid: str) -> set[str]:
        """The object is gone; the uids that have to be looked at."""
        old = self._items.pop(uid, None)
        if old is None:
            return set()
        self._unlink(old)
        return self._waiting_owners(old) | self._dependents.get(uid, set())

    def _waiting_owners(self, item: Item) -> set[str]:
        return {o.uid for o in item.owners if o.uid in self._items and self._items[o.uid].waiting}

    def _unlink(self, item: Item) -> None:
        for owner in item.owners:
            dependents = self._dependents.get(owner.uid)
            if dependents is not None:
                dependents.discard(item.uid)
                if not dependents:
                    del self._dependents[owner.uid]


@dataclass(frozen=True)
class Delete:
    """Delete the object with this propagation policy."""

    policy: str


@dataclass(frozen=True)
class Detach:
    """Remove the references to these owners."""

    uids: tuple[str, ...]


@dataclass(frozen=True)
class RemoveFinalizer:
    """The collector's work on this object is done."""

    finalizer: str


@dataclass(frozen=True)
class OrphanDependents:
    """Detach these from the object, then take its finalizer away."""

    dependents: tuple[Item, ...]


Decision = Delete | Detach | RemoveFinalizer | OrphanDependents | None


def decide(item: Item, owners: Mapping[str, OwnerState], dependents: list[Item]) -> Decision:
    """What to do about an object, given the state of each of its owners and the objects that it owns."""
    if item.orphaning:
        return OrphanDependents(tuple(dependents)) if dependents else RemoveFinalizer(ORPHAN)
    if item.waiting:
        blocking = [d for d in dependents if any(o.uid == item.uid and o.block_owner_deletion for o in d.owners)]
        return None if blocking else RemoveFinalizer(FOREGROUND)
    if item.deleting or not item.owners:
        return None
    states = {owner.uid: owners[owner.uid] for owner in item.owners}
    going = tuple(u for u, state in states.items() if state in (OwnerState.ABSENT, OwnerState.WAITING))
    if len(going) < len(states):
        return Detach(going) if going else None
    if OwnerState.WAITING in states.values() and dependents:
        return Delete("Foreground")
    if ORPHAN in item.finalizers:
        return Delete("Orphan")
    return Delete("Foreground" if FOREGROUND in item.finalizers else "Background")
