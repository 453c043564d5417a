"""Metadata, selectors and what every object has. See the package."""

from __future__ import annotations

from datetime import datetime

import msgspec


class Api(msgspec.Struct, rename="camel", omit_defaults=True, kw_only=True):
    """Base of all structs: keyword-only, camelCase on the wire, defaults left out."""


class OwnerReference(Api):
    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool | None = None
    block_owner_deletion: bool | None = None


class ObjectMeta(Api):
    name: str = ""
    generate_name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    deletion_grace_period_seconds: int | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: list[OwnerReference] | None = None
    finalizers: list[str] | None = None

    def controller(self) -> OwnerReference | None:
        """The owner that manages this object, if it has one."""
        return next((o for o in self.owner_references or () if o.controller), None)


class Object(Api):
    """What every API object has. `kind` and `api_version` are always sent (clients need them)."""

    api_version: str = ""
    kind: str = ""
    metadata: ObjectMeta = msgspec.field(default_factory=ObjectMeta)

    @property
    def key(self) -> tuple[str, str]:
        """(namespace, name); the namespace is empty for cluster-scoped objects."""
        return (self.metadata.namespace, self.metadata.name)


class Condition(Api):
    """A condition of any kind's status; node conditions add a heartbeat."""

    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_transition_time: datetime | None = None
    last_heartbeat_time: datetime | None = None
    observed_generation: int | None = None


class LabelSelectorRequirement(Api):
    key: str
    operator: str
    values: list[str] | None = None


class LabelSelector(Api):
    match_labels: dict[str, str] | None = None
    match_expressions: list[LabelSelectorRequirement] | None = None


class ObjectReference(Api):
    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""
    api_version: str = ""
    resource_version: str = ""
    field_path: str = ""
