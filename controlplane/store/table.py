"""The watch cache's memory: the newest state of every object, and the recent changes, by resource.

Plain data structures; the watch cache guards them with its lock. Documents are shared by everybody who reads: nothing
here copies bytes.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from controlplane.api.document import Document
from controlplane.store.model import Change, Key

Place = tuple[str, str]
"""Namespace and name; tables are sorted by it, so a namespace is one stretch."""

COOL_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Listing:
    """All objects of a resource (in one namespace or in all) at one revision, sorted by namespace and name."""

    revision: int
    documents: list[Document]


class Table:
    """The objects of one resource, sorted; listings are kept until the next change."""

    def __init__(self) -> None:
        self.documents: dict[Place, Document] = {}
        self.revisions: dict[Place, int] = {}
        self._places: list[Place] = []
        self._listed: dict[str, list[Document]] = {}

    def put(self, place: Place, document: Document, revision: int) -> None:
        if place not in self.documents:
            insort(self._places, place)
        self.documents[place] = document
        self.revisions[place] = revision
        self._listed.clear()

    def remove(self, place: Place) -> None:
        if self.documents.pop(place, None) is not None:
            del self.revisions[place]
            del self._places[bisect_left(self._places, place)]
            self._listed.clear()

    def list(self, namespace: str) -> list[Document]:
        """Sorted; the list is shared, never changed afterwards."""
        listed = self._listed.get(namespace)
        if listed is None:
            if namespace:
                start = bisect_left(self._places, (namespace, ""))
                end = bisect_left(self._places, (namespace + "\0", ""))
                listed = [self.documents[place] for place in islice(self._places, start, end)]
            else:
                listed = [self.documents[place] for place in self._places]
            self._listed[namespace] = listed
        return listed


class Window:
    """The recent changes of one resource, oldest first, from which a watch resumes."""

    def __init__(self) -> None:
        self._changes: list[Change] = []
        self._cooled = 0

    def append(self, change: Change) -> None:
        self._changes.append(change)

    def since(self, revision: int) -> list[Change]:
        """The changes after `revision`."""
        return self._changes[self._position(revision) :]

    def forget(self, revision: int) -> None:
        """Drop the changes up to and including `revision`."""
        position = self._position(revision)
        del self._changes[:position]
        self._cooled = max(0, self._cooled - position)

    def cool(self, revision: int, table: Table) -> bool:
        """Forget what was decoded of some changes up to `revision`, but for objects as they are now; says whether
        more are left.

        A decoded object takes several times the memory of its JSON, and the watchers have had these changes.
        """
        fresh: dict[
            int, tuple[Document, Document]
        ] = {}  # the old one, too: an id is unique only while its object lives
        last = self._position(revision)
        position = min(last, self._cooled + COOL_AT_ONCE)
        for index in range(self._cooled, position):
            change = self._changes[index]
            place = (change.key.namespace, change.key.name)
            current = table.documents.get(place)

            def cooled(document: Document | None, current: Document | None = current) -> Document | None:
                if document is None or document is current:
                    return document
                return fresh.setdefault(id(document), (document, Document(document.raw)))[1]

            before, after = cooled(change.before), cooled(change.after)
            self._changes[index] = Change(change.revision, change.key, change.type, before, after, change.at_ms)
        self._cooled = max(self._cooled, position)
        return self._cooled < last

    def _position(self, revision: int) -> int:
        return bisect_left(self._changes, revision + 1, key=lambda change: change.revision)


class Memory:
    """All tables and windows at one revision."""

    def __init__(self) -> None:
        self.revision = 0
        self.compacted = 0
        """A watch can resume from this revision on."""
        self.tables: dict[str, Table] = {}
        self.windows: dict[str, Window] = {}

    def table(self, resource: str) -> Table:
        return self.tables.setdefault(resource, Table())

    def window(self, resource: str) -> Window:
        return self.windows.setdefault(resource, Window())

    def put(self, key: Key, document: Document, revision: int) -> None:
        """An object from the first load."""
        self.table(key.resource).put((key.namespace, key.name), document, revision)

    def apply(self, changes: Iterable[Change]) -> list[Change]:
        """Follow the log; returns the changes as remembered (their `before` is the document that the table had).

        A change that the first load has seen already only joins the window.
        """
        applied = []
        for change in changes:
            key = change.key
            place = (key.namespace, key.name)
            table = self.table(key.resource)
            known = table.revisions.get(place, 0)
            if known < change.revision:
                before = table.documents.get(place)
                if change.before is not None and before is not None:
                    change = Change(change.revision, key, change.type, before, change.after, change.at_ms)
                if change.after is None:
                    table.remove(place)
                else:
                    table.put(place, change.after, change.revision)
            self.window(key.resource).append(change)
            self.revision = change.revision
            applied.append(change)
        return applied

    def forget(self, revision: int) -> None:
        """Drop the changes up to `revision`: no watch resumes from below it any more."""
        self.compacted = max(self.compacted, revision)
        for window in self.windows.values():
            window.forget(revision)

    def cool(self, revision: int) -> bool:
        """One turn of forgetting what was decoded of the changes up to `revision`; says whether another is needed."""
        return any(window.cool(revision, self.table(resource)) for resource, window in self.windows.items())
