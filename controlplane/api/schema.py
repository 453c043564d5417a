"""The facts of every published API type, read lazily from `schema.json`.

One table drives strict decoding (`decoding`), protobuf bodies (`protobuf`), strategic merge (`patches`) and
OpenAPI. Only what is asked for is built: the table stays as raw JSON slices until a type is first used. An entry
without a name is a struct inlined in JSON (and nested in protobuf). After the published `types.go` and
`generated.proto` files.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Final

import msgspec

SCALARS: Final = frozenset(
    ("string", "bool", "int32", "int64", "float64", "bytes", "Time", "MicroTime", "Quantity", "IntOrString")
)
ANYTHING: Final = frozenset(
    (
        "RawExtension",
        "FieldsV1",
        "apiextensions.v1.JSON",
        "apiextensions.v1.JSONSchemaPropsOrArray",
        "apiextensions.v1.JSONSchemaPropsOrBool",
        "apiextensions.v1.JSONSchemaPropsOrStringArray",
        "apiextensions.v1.CustomResourceSubresourceStatus",
        "batch.v1.JobSchedulingConfiguration",
    )
)
"""Types whose JSON is free or has a form of its own, and those that schema.json refers to without describing."""


class Field(msgspec.Struct, frozen=True, rename={"list_type": "listType", "list_map_keys": "listMapKeys",
                                                 "patch_strategy": "patchStrategy",
                                                 "patch_merge_key": "patchMergeKey"}):  # fmt: skip
    """One field of a type, as published."""

    number: int
    type: str
    name: str = ""
    optional: bool = False
    omitempty: bool = False
    list_type: str = ""
    list_map_keys: tuple[str, ...] = ()
    patch_strategy: str = ""
    patch_merge_key: str = ""
    default: str | None = None
    enum: tuple[str, ...] = ()

    @property
    def is_list(self) -> bool:
        """Whether it holds a list."""
        return self.type.startswith("[]")

    @property
    def is_map(self) -> bool:
        """Whether it holds a map from text."""
        return self.type.startswith("map[string]")

    @property
    def element(self) -> str:
        """The type of a list's items or a map's values; else the type itself."""
        return (
            self.type.removeprefix("map[string]").removeprefix("[]") if self.is_map else self.type.removeprefix("[]")
        )


class Type:
    """One struct: its fields by JSON name (inlined ones flattened) and by protobuf number (not flattened)."""

    __slots__ = ("by_number", "fields", "name", "own")

    def __init__(self, name: str, own: tuple[Field, ...]) -> None:
        self.name = name
        self.own = own
        self.by_number = {field.number: field for field in own}
        self.fields: dict[str, Field] = {}
        for field in own:
            if field.name:
                self.fields[field.name] = field
            elif field.type in SCALARS or field.is_list:
                continue
            else:
                self.fields.update(get(field.type).fields)

    @property
    def is_object(self) -> bool:
        """Whether it may stand alone, with apiVersion and kind."""
        return self.name in _objects()


class SchemaError(KeyError):
    """The schema doesn't know the type."""


@cache
def _raw() -> dict[str, msgspec.Raw]:
    data = files("controlplane.api").joinpath("schema.json").read_bytes()
    return msgspec.json.decode(data, type=dict[str, msgspec.Raw])


_decode_fields = msgspec.json.Decoder(tuple[Field, ...]).decode


@cache
def get(name: str) -> Type:
    """The type of that name, as `core.v1.Pod`. Raises: SchemaError."""
    raw = _raw().get(name)
    if raw is None:
        raise SchemaError(name)
    return Type(name, _decode_fields(raw))


def names() -> tuple[str, ...]:
    """All types' names, sorted."""
    return tuple(sorted(_raw()))


@cache
def _objects() -> frozenset[str]:
    listed = {name.removesuffix("List") for name in _raw() if name.endswith("List")}
    alone = {
        name
        for name in _raw()
        if name.rpartition(".")[2] in ("Binding", "DeleteOptions", "Eviction", "Scale", "Status", "TokenRequest")
        or name.endswith("Review")
    }
    return frozenset((listed & _raw().keys()) | {name for name in _raw() if name.endswith("List")} | alone)


GROUPS: Final = {
    "": "core",
    "admissionregistration.k8s.io": "admissionregistration",
    "apiextensions.k8s.io": "apiextensions",
    "apiregistration.k8s.io": "apiregistration",
    "authentication.k8s.io": "authentication",
    "authorization.k8s.io": "authorization",
    "certificates.k8s.io": "certificates",
    "coordination.k8s.io": "coordination",
    "discovery.k8s.io": "discovery",
    "events.k8s.io": "events",
    "networking.k8s.io": "networking",
    "node.k8s.io": "node",
    "rbac.authorization.k8s.io": "rbac",
    "scheduling.k8s.io": "scheduling",
    "storage.k8s.io": "storage",
}
"""The group of an apiVersion → the group in the names of types."""
META_KINDS: Final = frozenset(("DeleteOptions", "Status", "List", "WatchEvent", "PartialObjectMetadata"))


def name_of(api_version: str, kind: str) -> str:
    """The schema's name for an apiVersion and kind: `v1`, `Pod` → `core.v1.Pod`."""
    if kind in META_KINDS:
        return f"meta.v1.{kind}"
    group, slash, version = api_version.partition("/")
    if not slash:
        group, version = "", api_version
    return f"{GROUPS.get(group, group)}.{version}.{kind}"
