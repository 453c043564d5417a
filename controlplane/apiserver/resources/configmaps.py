"""Config maps: text and bytes under keys that may become file names.

After `pkg/registry/core/configmap/strategy.go` and `ValidateConfigMap`.
"""

from __future__ import annotations

from typing import Final

from controlplane.api import names
from controlplane.api.causes import each, forbidden, invalid, too_long
from controlplane.api.errors import Cause
from controlplane.apiserver.registry import Column, Obj, Resource, Strategy
from controlplane.apiserver.resources.columns import AGE, NAME

SIZE_LIMIT_BYTES: Final = 1024 * 1024


class ConfigMapStrategy(Strategy):
    """What the server does with config maps."""

    def validate(self, obj: Obj, old: Obj | None) -> list[Cause]:
        data, binary = obj.get("data") or {}, obj.get("binaryData") or {}
        causes: list[Cause] = []
        size = 0
        for key, value in data.items():
            causes += each(f"data[{key}]", key, names.config_key(key))
            if key in binary:
                causes.append(invalid(f"data[{key}]", key, "duplicate of key present in binaryData"))
            size += len(value.encode())
        for key, value in binary.items():
            causes += each(f"binaryData[{key}]", key, names.config_key(key))
            size += len(value) * 3 // 4
        if size > SIZE_LIMIT_BYTES:
            causes.append(too_long("", SIZE_LIMIT_BYTES))
        return causes + frozen(obj, old, ("data", "binaryData"))


def frozen(obj: Obj, old: Obj | None, fields: tuple[str, ...]) -> list[Cause]:
    """What an immutable config map or secret doesn't let happen."""
    if old is None or not old.get("immutable"):
        return []
    why = "field is immutable when `immutable` is set"
    causes = [] if obj.get("immutable") else [forbidden("immutable", why)]
    return causes + [forbidden(name, why) for name in fields if (obj.get(name) or {}) != (old.get(name) or {})]


RESOURCE = Resource(
    group="",
    version="v1",
    kind="ConfigMap",
    plural="configmaps",
    singular="configmap",
    short_names=("cm",),
    namespaced=True,
    schema="core.v1.ConfigMap",
    name_rule=names.dns_subdomain,
    strategy=ConfigMapStrategy(),
    columns=(
        NAME,
        Column(
            "Data",
            lambda obj, _: len(obj.get("data") or {}) + len(obj.get("binaryData") or {}),
            description="How many keys it has.",
        ),
        AGE,
    ),
)
