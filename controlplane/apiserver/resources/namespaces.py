# ruff: noqa: ARG002 (the methods of a strategy share their signatures)
"""Namespaces: they stay, Terminating, until the namespace controller has emptied them and lets them go.

After `pkg/registry/core/namespace/strategy.go` and `storage/storage.go`.
"""

from __future__ import annotations

from typing import Final

from controlplane.api import names, objectmeta
from controlplane.api.errors import Cause
from controlplane.apiserver.registry import Column, Context, Obj, Resource, Strategy
from controlplane.apiserver.resources.columns import AGE, NAME, text

FINALIZER: Final = "kubernetes"
NAME_LABEL: Final = "kubernetes.io/metadata.name"


class NamespaceStrategy(Strategy):
    """What the server does with namespaces."""

    has_status = True

    def default(self, obj: Obj) -> None:
        metadata = obj["metadata"]
        if metadata.get("name"):
            metadata["labels"] = {**(metadata.get("labels") or {}), NAME_LABEL: metadata["name"]}

    def prepare_create(self, obj: Obj, ctx: Context) -> None:
        obj["status"] = {"phase": "Active"}
        spec = obj.setdefault("spec", {})
        finalizers = spec.get("finalizers") or []
        spec["finalizers"] = finalizers if FINALIZER in finalizers else [*finalizers, FINALIZER]

    def prepare_update(self, obj: Obj, old: Obj, ctx: Context) -> None:
        super().prepare_update(obj, old, ctx)
        kept = (old.get("spec") or {}).get("finalizers")
        spec = obj.setdefault("spec", {})
        if kept:
            spec["finalizers"] = list(kept)
        else:
            spec.pop("finalizers", None)

    def validate(self, obj: Obj, old: Obj | None) -> list[Cause]:
        return objectmeta.check_finalizers((obj.get("spec") or {}).get("finalizers"), "spec.finalizers")

    def begin_delete(self, obj: Obj, ctx: Context) -> bool:
        obj["status"] = {**(obj.get("status") or {}), "phase": "Terminating"}
        return bool((obj.get("spec") or {}).get("finalizers"))


RESOURCE = Resource(
    group="",
    version="v1",
    kind="Namespace",
    plural="namespaces",
    singular="namespace",
    short_names=("ns",),
    namespaced=False,
    schema="core.v1.Namespace",
    name_rule=names.dns_label,
    strategy=NamespaceStrategy(),
    columns=(
        NAME,
        Column("Status", lambda obj, _: text(obj, "status", "phase"), description="The status of the namespace"),
        AGE,
    ),
    selectable={
        "name": lambda obj: text(obj, "metadata", "name"),
        "status.phase": lambda obj: text(obj, "status", "phase"),
    },
    subresources=frozenset(("status", "finalize")),
    verbs=("create", "delete", "get", "list", "patch", "update", "watch"),
)
