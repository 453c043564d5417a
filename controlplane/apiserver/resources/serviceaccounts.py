"""Service accounts: the identities of pods. After `pkg/registry/core/serviceaccount/strategy.go`."""

from __future__ import annotations

from controlplane.api import names
from controlplane.apiserver.registry import Column, Resource
from controlplane.apiserver.resources.columns import AGE, NAME

RESOURCE = Resource(
    group="",
    version="v1",
    kind="ServiceAccount",
    plural="serviceaccounts",
    singular="serviceaccount",
    short_names=("sa",),
    namespaced=True,
    schema="core.v1.ServiceAccount",
    name_rule=names.dns_subdomain,
    columns=(
        NAME,
        Column("Secrets", lambda obj, _: len(obj.get("secrets") or ()), description="How many secrets it names."),
        AGE,
    ),
    subresources=frozenset(("token",)),
)
