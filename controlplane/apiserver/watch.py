"""Watches: coroutines that turn the cache's changes into event lines, one task a watch, no thread.

What always holds: events come in revision order, without gap or repeat, from the revision that was asked for; an
object that leaves the selector arrives as DELETED; a reader that is too slow is closed with 410 and hurts nobody.
`sendInitialEvents` gives the present objects as ADDED and then the bookmark that clients wait for.

Follows apiserver/pkg/endpoints/handlers/watch.go and pkg/storage/cacher.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from dataclasses import dataclass
from typing import Literal

from controlplane.api.document import Document
from controlplane.api.errors import ApiError, Cause
from controlplane.apiserver.backend import Backend
from controlplane.apiserver.call import Call
from controlplane.apiserver.negotiate import Accepted, accepted
from controlplane.apiserver.reads import pick
from controlplane.apiserver.registry import Obj, Resource
from controlplane.apiserver.render import Tables, encode, include_object, partial
from controlplane.apiserver.respond import as_api_error
from controlplane.apiserver.selection import Selection, selection
from controlplane.apiserver.stream import Stream
from controlplane.store import Change, Watcher

INITIAL_EVENTS_END = "k8s.io/initial-events-end"
BOOKMARK_S = 60.0
SHORTEST_S = 1800.0
"""A watch without timeoutSeconds lasts between this long and twice as long."""
EventType = Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"]


@dataclass(frozen=True)
class Request:
    """What a client wants to see, and how."""

    resource: Resource
    namespace: str
    selection: Selection
    form: Accepted
    since: int | None
    """The revision to go on from; None: begin with what is there."""
    initial_events: bool
    bookmarks: bool
    timeout_s: float


def request_of(call: Call, resource: Resource) -> Request:
    """Reads the query of a watch.

    Raises: ApiError 400 or 422.
    """
    info = call.info
    chosen = selection(call, resource)
    initial = call.flag("sendInitialEvents")
    match = call.text("resourceVersionMatch")
    if (initial and match != "NotOlderThan") or (match and "sendInitialEvents" not in call.query):
        why = "resourceVersionMatch must be NotOlderThan with sendInitialEvents, and is not allowed without it"
        cause = Cause("resourceVersionMatch", "FieldValueForbidden", f"Forbidden: {why}")
        raise ApiError.invalid("ListOptions", "", [cause], "meta.k8s.io")
    text = call.text("resourceVersion")
    since = call.number("resourceVersion")
    if text in ("", "0") or initial:
        since = None
    seconds = call.number("timeoutSeconds")
    return Request(
        resource=resource,
        namespace=info.namespace,
        selection=chosen,
        form=accepted(call.headers.get("accept", "")),
        since=since,
        initial_events=initial,
        bookmarks=call.flag("allowWatchBookmarks"),
        timeout_s=float(seconds) if seconds else SHORTEST_S * (1 + random.random()),  # noqa: S311 (spreads load)
    )


class Events:
    """Makes the lines of one watch in the form that its client asked for."""

    def __init__(self, request: Request, call: Call) -> None:
        self._form = request.form
        self._resource = request.resource
        self._selection = request.selection
        self._tables: Tables | None = None
        if request.form.form == "table":
            include = include_object(call.text("includeObject"))
            self._tables = Tables(request.resource, request.form.version, include)

    def line(self, kind: EventType, document: Document) -> bytes:
        if self._tables is not None:
            body = self._tables.event(document)
        elif self._form.form in ("partial", "partiallist"):
            body = encode(partial(document.obj, self._form.version))
        else:
            body = document.raw
        return _line(kind, body)

    def change(self, change: Change) -> bytes:
        """The line for one step of the log; empty when this watch doesn't see it."""
        chosen = self._selection
        if chosen.everything:
            seen = change.departed if change.after is None else change.after
            return self.line(change.type, seen)
        was = change.before is not None and chosen.matches(change.before)
        now = change.after is not None and chosen.matches(change.after)
        if now and change.after is not None:
            return self.line("MODIFIED" if was else "ADDED", change.after)
        return self.line("DELETED", change.departed) if was else b""

    def bookmark(self, revision: int, initial_events_end: bool = False) -> bytes:
        metadata: Obj = {"resourceVersion": str(revision), "creationTimestamp": None}
        if initial_events_end:
            metadata["annotations"] = {INITIAL_EVENTS_END: "true"}
        obj = {"kind": self._resource.kind, "apiVersion": self._resource.api_version, "metadata": metadata}
        if self._tables is not None:
            return _line("BOOKMARK", self._tables.bookmark(obj))
        if self._form.form in ("partial", "partiallist"):
            return _line("BOOKMARK", encode(partial(obj, self._form.version)))
        return _line("BOOKMARK", encode(obj))


def _line(kind: EventType, body: bytes) -> bytes:
    return b"".join((b'{"type":"', kind.encode(), b'","object":', body, b"}\n"))


async def serve(backend: Backend, call: Call, resource: Resource, stream: Stream) -> None:
    """Answers a watch until its time is over, the client goes or the server stops.

    Raises: ApiError before the answer has begun (400, 410, 504 …); later errors are ERROR events.
    """
    request = request_of(call, resource)
    events = Events(request, call)
    half = backend.half(resource)
    cache = half.cache
    await half.caught_up(call.number("resourceVersion") or 0)
    initial = b""
    if request.since is None:
        listing = cache.list(resource.key, request.namespace)
        since = listing.revision
        shown = pick(request.selection, listing.documents)
        initial = b"".join([events.line("ADDED", document) for document in shown])
        if request.initial_events and request.bookmarks:
            initial += events.bookmark(since, initial_events_end=True)
    else:
        since = request.since
    watcher = cache.subscribe(resource.key, request.namespace, since, request.selection.name)
    try:
        await stream.open("application/json")
        stream.on_gone = watcher.close
        if initial:
            await stream.write(initial)
        await _follow(backend, call, stream, request, events, watcher)
    finally:
        watcher.close()


async def _follow(
    backend: Backend, call: Call, stream: Stream, request: Request, events: Events, watcher: Watcher
) -> None:
    end = time.monotonic() + request.timeout_s
    try:
        while not stream.gone and not backend.stopping:
            left = end - time.monotonic()
            changes = await watcher.next(max(0.0, min(left, BOOKMARK_S)))
            if changes:
                lines = b"".join([events.change(change) for change in changes])
                if lines:
                    await stream.write(lines)
            elif changes is None and request.bookmarks:
                await stream.write(events.bookmark(watcher.revision))
            if end <= time.monotonic() or (changes is None and left <= BOOKMARK_S):
                break  # timers may come a millisecond early: that is no reason for a second bookmark
    except TimeoutError:
        return  # the reader doesn't read: there is nobody to tell
    except asyncio.CancelledError:
        raise
    except Exception as error:
        if not stream.gone and not backend.stopping:
            status = as_api_error(error, call).status()
            with contextlib.suppress(TimeoutError):
                await stream.write(_line("ERROR", encode(status)))
