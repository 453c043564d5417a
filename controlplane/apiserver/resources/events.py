"""Events of core/v1: what happened to an object, told by whoever did it.

After `pkg/registry/core/event/strategy.go`, `pkg/apis/core/validation/events.go`, and `printEvent`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from controlplane.api import names, times
from controlplane.api.causes import invalid, required
from controlplane.api.errors import Cause
from controlplane.apiserver.registry import Cell, Column, Obj, Resource, Strategy
from controlplane.apiserver.resources.columns import NAME, text

NAME_LIMIT, REASON_LIMIT, MESSAGE_LIMIT = 128, 128, 1024
INVOLVED: Final = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")


class EventStrategy(Strategy):
    """What the server does with events."""

    allow_create_on_update = True

    def default(self, obj: Obj) -> None:
        obj.setdefault("involvedObject", {})
        obj.setdefault("reportingComponent", "")
        obj.setdefault("reportingInstance", "")

    def validate(self, obj: Obj, old: Obj | None) -> list[Cause]:
        involved = obj.get("involvedObject") or {}
        namespace, about = text(obj, "metadata", "namespace"), involved.get("namespace", "")
        causes: list[Cause] = []
        anywhere = not about and namespace in ("default", "kube-system")
        if about != namespace and not anywhere:
            causes.append(invalid("involvedObject.namespace", about, "does not match event.namespace"))
        if not obj.get("eventTime") or old is not None:
            return causes
        for name in ("reportingComponent", "reportingInstance", "action", "reason"):
            if not obj.get(name):
                causes.append(required(name))
        limits = {
            "reason": REASON_LIMIT,
            "action": REASON_LIMIT,
            "message": MESSAGE_LIMIT,
            "reportingInstance": NAME_LIMIT,
        }
        for name, limit in limits.items():
            if len(obj.get(name, "").encode()) > limit:
                causes.append(invalid(name, "", f"can have at most {limit} characters"))
        if obj.get("type") not in ("Normal", "Warning"):
            causes.append(invalid("type", obj.get("type", ""), "has invalid value: " + str(obj.get("type", ""))))
        return causes


def _first_seen(event: Obj, now: datetime) -> Cell:
    return times.age(event.get("firstTimestamp") or event.get("eventTime"), now)


def _last_seen(event: Obj, now: datetime) -> Cell:
    series = event.get("series")
    if series:
        return times.age(series.get("lastObservedTime"), now)
    last = event.get("lastTimestamp")
    return times.age(last, now) if last else _first_seen(event, now)


def _count(event: Obj, _now: datetime) -> Cell:
    series = event.get("series")
    return int(series.get("count", 0)) if series else int(event.get("count") or 1)


def _object(event: Obj, _now: datetime) -> Cell:
    kind, name = text(event, "involvedObject", "kind").lower(), text(event, "involvedObject", "name")
    return f"{kind}/{name}" if name else kind


def _involved(name: str) -> Callable[[Obj], str]:
    return lambda event: text(event, "involvedObject", name)


def _source(event: Obj, _now: datetime) -> Cell:
    component = text(event, "source", "component") or event.get("reportingComponent", "")
    instance = text(event, "source", "host") or event.get("reportingInstance", "")
    return f"{component}, {instance}" if instance else str(component)


RESOURCE = Resource(
    group="",
    version="v1",
    kind="Event",
    plural="events",
    singular="event",
    short_names=("ev",),
    namespaced=True,
    schema="core.v1.Event",
    name_rule=names.loose_name,
    strategy=EventStrategy(),
    columns=(
        Column("Last Seen", _last_seen, description="When it was seen last."),
        Column("Type", lambda event, _: text(event, "type"), description="Normal or Warning."),
        Column("Reason", lambda event, _: text(event, "reason"), description="A word for machines."),
        Column("Object", _object, description="What it is about."),
        Column(
            "Subobject",
            lambda event, _: text(event, "involvedObject", "fieldPath"),
            priority=1,
            description="The part that it is about.",
        ),
        Column("Source", _source, priority=1, description="Who told it."),
        Column("Message", lambda event, _: text(event, "message").strip(), description="A sentence for people."),
        Column("First Seen", _first_seen, priority=1, description="When it was seen first."),
        Column("Count", _count, type="integer", priority=1, description="How often it was seen."),
        Column("Name", NAME.cell, priority=1, format="name", description=NAME.description),
    ),
    selectable={
        **{f"involvedObject.{name}": _involved(name) for name in INVOLVED},
        "reason": lambda event: text(event, "reason"),
        "reportingComponent": lambda event: text(event, "source", "component") or text(event, "reportingComponent"),
        "source": lambda event: text(event, "source", "component") or text(event, "reportingComponent"),
        "type": lambda event: text(event, "type"),
    },
)
