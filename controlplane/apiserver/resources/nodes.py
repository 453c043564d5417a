# ruff: noqa: ARG002 (the methods of a strategy share their signatures)
"""Nodes: registered by their agents, marked by the node life-cycle controller, tainted by people.

After `pkg/registry/core/node/strategy.go` and `ValidateNode`.
"""

from __future__ import annotations

from datetime import datetime
from ipaddress import ip_network
from typing import Final

from controlplane.api import names
from controlplane.api.causes import duplicate, each, forbidden, invalid, not_supported
from controlplane.api.errors import Cause
from controlplane.apiserver.registry import Cell, Column, Context, Obj, Resource, Strategy, keep
from controlplane.apiserver.resources.columns import AGE, NAME, NONE, UNKNOWN, at, text
from controlplane.apiserver.resources.podspec import requirements

ROLE_PREFIX: Final = "node-role.kubernetes.io/"
ROLE_LABEL: Final = "kubernetes.io/role"
EFFECTS: Final = ("NoExecute", "NoSchedule", "PreferNoSchedule")


class NodeStrategy(Strategy):
    """What the server does with nodes."""

    has_status = True

    def prepare_create(self, obj: Obj, ctx: Context) -> None:
        """A node may come with its status: the agent registers both at once."""

    def prepare_update(self, obj: Obj, old: Obj, ctx: Context) -> None:
        keep(obj, old, "status")

    def validate(self, obj: Obj, old: Obj | None) -> list[Cause]:
        spec = obj.get("spec") or {}
        causes = _taints(spec, "spec.taints")
        for index, cidr in enumerate(spec.get("podCIDRs") or ([spec["podCIDR"]] if spec.get("podCIDR") else [])):
            causes += _cidr(cidr, f"spec.podCIDRs[{index}]")
        before = (old or {}).get("spec") or {}
        for name in ("podCIDR", "providerID"):
            if before.get(name) and spec.get(name) != before[name]:
                causes.append(
                    forbidden(f"spec.{name}", f'node updates may not change {name} except from "" to valid')
                )
        return causes if old is not None else causes + self.validate_status(obj, {})

    def validate_status(self, obj: Obj, old: Obj) -> list[Cause]:
        status = obj.get("status") or {}
        causes = requirements.amounts(status.get("capacity"), "status.capacity")
        causes += requirements.amounts(status.get("allocatable"), "status.allocatable")
        seen: set[tuple[str, str]] = set()
        for index, address in enumerate(status.get("addresses") or ()):
            item = (address.get("type", ""), address.get("address", ""))
            if item in seen:
                causes.append(duplicate(f"status.addresses[{index}]", address))
            seen.add(item)
        return causes


def _cidr(cidr: str, at_field: str) -> list[Cause]:
    try:
        ip_network(cidr)
    except ValueError:
        return [invalid(at_field, cidr, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)")]
    return []


def _taints(spec: Obj, at_field: str) -> list[Cause]:
    causes: list[Cause] = []
    seen: set[tuple[str, str]] = set()
    for index, taint in enumerate(spec.get("taints") or ()):
        where = f"{at_field}[{index}]"
        key, effect = taint.get("key", ""), taint.get("effect", "")
        causes += each(f"{where}.key", key, names.qualified_name(key))
        causes += each(f"{where}.value", taint.get("value", ""), names.label_value(taint.get("value", "")))
        if effect not in EFFECTS:
            causes.append(not_supported(f"{where}.effect", effect, EFFECTS))
        if (key, effect) in seen:
            causes.append(duplicate(where, taint))
        seen.add((key, effect))
    return causes


def _status(node: Obj, _now: datetime) -> Cell:
    words = [
        "Ready" if condition.get("status") == "True" else "NotReady"
        for condition in at(node, "status", "conditions") or ()
        if condition.get("type") == "Ready"
    ] or ["Unknown"]
    if at(node, "spec", "unschedulable"):
        words.append("SchedulingDisabled")
    return ",".join(words)


def _roles(node: Obj, _now: datetime) -> Cell:
    roles = set()
    for key, value in (node["metadata"].get("labels") or {}).items():
        if key.startswith(ROLE_PREFIX) and len(key) > len(ROLE_PREFIX):
            roles.add(key[len(ROLE_PREFIX) :])
        elif key == ROLE_LABEL and value:
            roles.add(value)
    return ",".join(sorted(roles)) or NONE


def _address(node: Obj, kind: str) -> str:
    for address in at(node, "status", "addresses") or ():
        if address.get("type") == kind:
            return str(address.get("address", ""))
    return NONE


def _info(field: str, missing: str = UNKNOWN) -> Column:
    titles = {
        "osImage": "OS-Image",
        "kernelVersion": "Kernel-Version",
        "containerRuntimeVersion": "Container-Runtime",
        "kubeletVersion": "Version",
    }
    return Column(
        titles[field],
        lambda node, _: text(node, "status", "nodeInfo", field, missing=missing),
        priority=0 if field == "kubeletVersion" else 1,
        description=f"{field} as the node reports it.",
    )


RESOURCE = Resource(
    group="",
    version="v1",
    kind="Node",
    plural="nodes",
    singular="node",
    short_names=("no",),
    namespaced=False,
    schema="core.v1.Node",
    name_rule=names.dns_subdomain,
    strategy=NodeStrategy(),
    columns=(
        NAME,
        Column("Status", _status, description="The status of the node"),
        Column("Roles", _roles, description="The roles of the node"),
        AGE,
        _info("kubeletVersion", missing=""),
        Column(
            "Internal-IP", lambda node, _: _address(node, "InternalIP"), priority=1, description="Internal address"
        ),
        Column(
            "External-IP", lambda node, _: _address(node, "ExternalIP"), priority=1, description="External address"
        ),
        _info("osImage"),
        _info("kernelVersion"),
        _info("containerRuntimeVersion"),
    ),
    selectable={"spec.unschedulable": lambda node: "true" if at(node, "spec", "unschedulable") else "false"},
    subresources=frozenset(("status",)),
)
