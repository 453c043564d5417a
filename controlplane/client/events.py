"""Events that people read: recorded in passing, merged at the sender, written by a thread of their own.

The same event about the same object is counted up instead of written again. An object that causes a flood gets a
burst, then one event in a while, so that no loop can fill the store. An event is never worth an error: what can't be
written is logged and dropped.

Follows client-go/tools/record (event.go, events_cache.go).
"""

from __future__ import annotations

import logging
import queue
import threading
import uuid
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from controlplane.api.errors import ApiError
from controlplane.api.resources import EVENTS
from controlplane.api.types import Event, EventSource, Object, ObjectMeta, ObjectReference
from controlplane.client.clock import Clock, SystemClock
from controlplane.client.http import Client
from controlplane.daemon import event as log_event

log = logging.getLogger(__name__)

_REMEMBERED = 4096
_WAITING = 1000
_BURST = 25
_REFILL_S = 300.0

_Identity = tuple[str, str, str, str, str]


def reference(obj: Object) -> ObjectReference:
    """A reference to the object for an event."""
    meta = obj.metadata
    return ObjectReference(
        kind=obj.kind,
        api_version=obj.api_version,
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        resource_version=meta.resource_version,
    )


@dataclass
class _Seen:
    key: tuple[str, str]
    count: int


@dataclass
class _Tokens:
    left: float
    at: float


@dataclass(frozen=True)
class _Record:
    about: ObjectReference
    type: Literal["Normal", "Warning"]
    reason: str
    message: str
    at: datetime


class Recorder:
    """Records events for one component. `event` returns at once; a thread writes them in order."""

    def __init__(self, client: Client, component: str, host: str = "", clock: Clock | None = None) -> None:
        self._client = client
        self._source = EventSource(component=component, host=host)
        self._clock: Clock = clock or SystemClock()
        self._waiting: queue.Queue[_Record | None] = queue.Queue(_WAITING)
        self._seen: OrderedDict[_Identity, _Seen] = OrderedDict()
        self._tokens: OrderedDict[tuple[str, str], _Tokens] = OrderedDict()
        self._thread = threading.Thread(target=self._run, name="events", daemon=True)
        self._thread.start()

    def event(
        self,
        about: Object | ObjectReference,
        type: Literal["Normal", "Warning"],
        reason: str,
        message: str,
    ) -> None:
        """Record one event; `reason` is a CamelCase word, `message` a sentence for people."""
        ref = reference(about) if isinstance(about, Object) else about
        try:
            self._waiting.put_nowait(_Record(ref, type, reason, message[:1024], self._clock.now()))
        except queue.Full:
            log_event(log, "event-dropped", level=logging.WARNING, kind=ref.kind, key=ref.name, reason=reason)

    def stop(self) -> None:
        """Write what waits, then end."""
        self._waiting.put(None)
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while (record := self._waiting.get()) is not None:
            if not self._allowed(record):
                continue
            try:
                self._write(record)
            except ApiError as error:
                log_event(
                    log, "event-lost", level=logging.WARNING, reason=record.reason, key=record.about.name,
                    error=error.message,
                )  # fmt: skip
            except Exception:
                log.exception("event %s about %s", record.reason, record.about.name)

    def _allowed(self, record: _Record) -> bool:
        who = (record.about.uid or record.about.name, record.about.kind)
        now = self._clock.monotonic()
        tokens = self._tokens.pop(who, None) or _Tokens(_BURST, now)
        tokens.left = min(_BURST, tokens.left + (now - tokens.at) / _REFILL_S)
        tokens.at = now
        allowed = tokens.left >= 1
        if allowed:
            tokens.left -= 1
        self._tokens[who] = tokens
        if len(self._tokens) > _REMEMBERED:
            self._tokens.popitem(last=False)
        return allowed

    def _write(self, record: _Record) -> None:
        ref = record.about
        identity = (ref.uid, ref.name, record.type, record.reason, record.message)
        seen = self._seen.get(identity)
        if seen is not None:
            try:
                at = record.at.replace(microsecond=0)
                self._client.patch(EVENTS, seen.key, {"count": seen.count + 1, "lastTimestamp": at})
            except ApiError as error:
                if error.code != 404:
                    raise
                del self._seen[identity]
            else:
                seen.count += 1
                self._seen.move_to_end(identity)
                return
        created = self._create(record)
        self._seen[identity] = _Seen(created.key, 1)
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)

    def _create(self, record: _Record) -> Event:
        ref = record.about
        at = record.at.replace(microsecond=0)
        body = Event(
            metadata=ObjectMeta(name=f"{ref.name}.{uuid.uuid4().hex[:16]}", namespace=ref.namespace or "default"),
            involved_object=ref,
            reason=record.reason,
            message=record.message,
            type=record.type,
            source=self._source,
            first_timestamp=at,
            last_timestamp=at,
            count=1,
            reporting_component=self._source.component,
            reporting_instance=self._source.host,
        )
        return self._client.create(EVENTS, body, ref.namespace or "default")
