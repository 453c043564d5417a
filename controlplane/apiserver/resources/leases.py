# ruff: noqa: ARG002 (the methods of a strategy share their signatures)
"""Leases: heartbeats and elections, kept in the store that never waits for a disk.

After `pkg/registry/coordination/lease/strategy.go` and `ValidateLease`.
"""

from __future__ import annotations

from controlplane.api import names
from controlplane.api.causes import invalid
from controlplane.api.errors import Cause
from controlplane.apiserver.registry import Column, Obj, Resource, Strategy
from controlplane.apiserver.resources.columns import AGE, NAME, text


class LeaseStrategy(Strategy):
    """What the server does with leases."""

    allow_create_on_update = True

    def validate(self, obj: Obj, old: Obj | None) -> list[Cause]:
        spec = obj.get("spec") or {}
        causes: list[Cause] = []
        duration, transitions = spec.get("leaseDurationSeconds"), spec.get("leaseTransitions")
        if duration is not None and duration <= 0:
            causes.append(invalid("spec.leaseDurationSeconds", duration, "must be greater than 0"))
        if transitions is not None and transitions < 0:
            causes.append(invalid("spec.leaseTransitions", transitions, "must be greater than or equal to 0"))
        return causes


RESOURCE = Resource(
    group="coordination.k8s.io",
    version="v1",
    kind="Lease",
    plural="leases",
    singular="lease",
    short_names=(),
    namespaced=True,
    schema="coordination.v1.Lease",
    name_rule=names.dns_subdomain,
    strategy=LeaseStrategy(),
    columns=(
        NAME,
        Column("Holder", lambda obj, _: text(obj, "spec", "holderIdentity"), description="Who holds the lease."),
        AGE,
    ),
    store="leases",
)
