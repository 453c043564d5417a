"""Namespaces, events, configuration and accounts. See the package."""

from __future__ import annotations

from datetime import datetime

import msgspec

from controlplane.api.types.meta import Api, Condition, Object, ObjectReference


class NamespaceSpec(Api):
    finalizers: list[str] | None = None


class NamespaceStatus(Api):
    phase: str = ""
    conditions: list[Condition] | None = None


class Namespace(Object):
    spec: NamespaceSpec = msgspec.field(default_factory=NamespaceSpec)
    status: NamespaceStatus = msgspec.field(default_factory=NamespaceStatus)


class EventSource(Api):
    component: str = ""
    host: str = ""


class Event(Object):
    involved_object: ObjectReference = msgspec.field(default_factory=ObjectReference)
    reason: str = ""
    message: str = ""
    type: str = ""
    source: EventSource = msgspec.field(default_factory=EventSource)
    first_timestamp: datetime | None = None
    last_timestamp: datetime | None = None
    event_time: datetime | None = None
    count: int = 0
    action: str = ""
    reporting_component: str = ""
    reporting_instance: str = ""


class ConfigMap(Object):
    data: dict[str, str] | None = None
    binary_data: dict[str, str] | None = None
    immutable: bool | None = None


class Secret(Object):
    data: dict[str, str] | None = None
    type: str = ""
    immutable: bool | None = None


class ServiceAccount(Object):
    automount_service_account_token: bool | None = None
