"""Keeps the newest events and deletes the rest: the API holds 10,000, older ones stay in the time line's history.

Once a minute it asks how many there are, which costs one small request. Upstream lets events expire after an hour
instead, so that a quiet night loses the evening's story.
"""

from __future__ import annotations

import logging

import msgspec

from controlplane.api.resources import EVENTS, ResourceType
from controlplane.api.types import Object
from controlplane.client.workqueue import Key
from controlplane.controllers.environment import Environment, QueueController
from controlplane.daemon import event

log = logging.getLogger(__name__)

ALL: Key = ("", "events")
PERIOD_S = 60.0
SLACK = 0.05
"""It deletes when there are this share too many, so that it doesn't delete one each minute."""

BARE = ResourceType(EVENTS.group, EVENTS.version, EVENTS.plural, EVENTS.kind, EVENTS.namespaced, Object)


class _Page(msgspec.Struct):
    class Metadata(msgspec.Struct, rename="camel"):
        remaining_item_count: int = 0

    metadata: Metadata
    items: list[msgspec.Raw] = []


class EventCap(QueueController):
    """The controller that bounds the number of events."""

    name = "eventcap"

    def __init__(self, env: Environment, kept: int, period_s: float = PERIOD_S) -> None:
        super().__init__(env)
        self._kept = kept
        self._period_s = period_s

    def start(self) -> None:
        super().start()
        self.queue.add_after(ALL, self._period_s)

    def reconcile(self, key: Key) -> float | None:  # noqa: ARG002 (there is one key)
        answer = self.env.client.request("GET", EVENTS.path(), params={"limit": "1"})
        page = msgspec.json.decode(answer, type=_Page)
        if page.metadata.remaining_item_count + len(page.items) > self._kept * (1 + SLACK):
            self._cut()
        return self._period_s

    def _cut(self) -> None:
        found = self.env.client.list(BARE).items
        found.sort(key=lambda e: int(e.metadata.resource_version or 0))
        surplus = found[: max(0, len(found) - self._kept)]
        list(self.env.pool.map(lambda one: self.env.delete(BARE, one), surplus))
        event(log, "events-cut", deleted=len(surplus), kept=self._kept)
