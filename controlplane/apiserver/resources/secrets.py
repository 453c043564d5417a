# ruff: noqa: ARG002 (the methods of a strategy share their signatures)
"""Secrets: bytes that only those who need them should read.

What a client writes into stringData is stored in data. After `pkg/registry/core/secret/strategy.go` and
`ValidateSecret`.
"""

from __future__ import annotations

import base64
import json
from typing import Any, Final

from controlplane.api import names
from controlplane.api.causes import each, invalid, required, too_long
from controlplane.api.errors import Cause
from controlplane.apiserver.registry import Column, Context, Obj, Resource, Strategy
from controlplane.apiserver.resources.columns import AGE, NAME, text
from controlplane.apiserver.resources.configmaps import SIZE_LIMIT_BYTES, frozen

OPAQUE: Final = "Opaque"
TOKEN: Final = "kubernetes.io/service-account-token"  # noqa: S105 (the name of a type)
ACCOUNT_ANNOTATION: Final = "kubernetes.io/service-account.name"
REQUIRED_KEYS: Final = {
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}
JSON_KEYS: Final = (".dockercfg", ".dockerconfigjson")


class SecretStrategy(Strategy):
    """What the server does with secrets."""

    def default(self, obj: Obj) -> None:
        obj.setdefault("type", OPAQUE)
        plain = obj.pop("stringData", None)
        if plain:
            data = obj.setdefault("data", {})
            for key, value in plain.items():
                data[key] = base64.b64encode(value.encode()).decode()

    def prepare_update(self, obj: Obj, old: Obj, ctx: Context) -> None:
        if not obj.get("type"):
            obj["type"] = old.get("type", OPAQUE)

    def validate(self, obj: Obj, old: Obj | None) -> list[Cause]:
        data, kind = obj.get("data") or {}, obj.get("type", OPAQUE)
        causes: list[Cause] = []
        for key in data:
            causes += each(f"data[{key}]", key, names.config_key(key))
        if sum(len(value) * 3 // 4 for value in data.values()) > SIZE_LIMIT_BYTES:
            causes.append(too_long("data", SIZE_LIMIT_BYTES))
        causes += _for_type(obj, kind, data)
        if old is not None and kind != old.get("type", OPAQUE):
            causes.append(invalid("type", kind, "field is immutable"))
        return causes + frozen(obj, old, ("data",))


def _for_type(obj: Obj, kind: str, data: dict[str, Any]) -> list[Cause]:
    if kind == TOKEN:
        annotations = obj["metadata"].get("annotations") or {}
        if not annotations.get(ACCOUNT_ANNOTATION):
            return [required(f"metadata.annotations[{ACCOUNT_ANNOTATION}]")]
        return []
    if kind == "kubernetes.io/basic-auth":
        if not data.get("username") and not data.get("password"):
            return [required("data[username]"), required("data[password]")]
        return []
    causes: list[Cause] = []
    for key in REQUIRED_KEYS.get(kind, ()):
        if key not in data:
            causes.append(required(f"data[{key}]"))
        elif key in JSON_KEYS and not _is_json(data[key]):
            causes.append(invalid(f"data[{key}]", "<secret contents redacted>", "invalid character: not JSON"))
    return causes


def _is_json(value: str) -> bool:
    try:
        json.loads(base64.b64decode(value))
    except ValueError:
        return False
    return True


RESOURCE = Resource(
    group="",
    version="v1",
    kind="Secret",
    plural="secrets",
    singular="secret",
    short_names=(),
    namespaced=True,
    schema="core.v1.Secret",
    name_rule=names.dns_subdomain,
    strategy=SecretStrategy(),
    columns=(
        NAME,
        Column("Type", lambda obj, _: text(obj, "type"), description="What kind of secret it is."),
        Column(
            "Data", lambda obj, _: len(obj.get("data") or {}), type="integer", description="How many keys it has."
        ),
        AGE,
    ),
    selectable={"type": lambda obj: text(obj, "type")},
)
