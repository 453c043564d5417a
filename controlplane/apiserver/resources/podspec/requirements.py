"""Validation of resource requests and limits. After `ValidateContainerResourceRequirements` upstream."""

from __future__ import annotations

from typing import Any, Final

from controlplane.api import names, quantity
from controlplane.api.causes import each, invalid
from controlplane.api.errors import Cause

Obj = dict[str, Any]

STANDARD: Final = frozenset(("cpu", "memory", "ephemeral-storage"))
NOT_NEGATIVE: Final = "must be greater than or equal to 0"


def validate(resources: Obj, at: str) -> list[Cause]:
    """All that is wrong with a container's requests and limits, and between them."""
    causes: list[Cause] = []
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for kind, amounts in (("limits", limits), ("requests", requests)):
        for name, amount in amounts.items():
            causes += _amount(name, amount, f"{at}.{kind}")
    for name, amount in requests.items():
        limit = limits.get(name)
        if limit is not None and quantity.parse(amount) > quantity.parse(limit):
            causes.append(invalid(f"{at}.requests", amount, f"must be less than or equal to {name} limit of {limit}"))
        elif limit is not None and not _overcommits(name) and quantity.parse(amount) != quantity.parse(limit):
            causes.append(invalid(f"{at}.requests", amount, f"must be equal to {name} limit of {limit}"))
        elif limit is None and not _overcommits(name):
            causes.append(invalid(f"{at}.limits", "", f"Limit must be set for non overcommitable resources ({name})"))
    return causes


def _overcommits(name: str) -> bool:
    return name in STANDARD


def _amount(name: str, amount: str, at: str) -> list[Cause]:
    where = f"{at}[{name}]" if "/" in name else f"{at}.{name}"
    found = names.qualified_name(name)
    if found:
        return each(where, name, found)
    if name not in STANDARD and "/" not in name and not name.startswith("hugepages-"):
        return [invalid(where, name, "must be a standard resource type or fully qualified")]
    value = quantity.parse(amount)
    if value < 0:
        return [invalid(where, amount, NOT_NEGATIVE)]
    if name not in STANDARD and value != value.to_integral_value():
        return [invalid(where, amount, "must be an integer")]
    return []


def amounts(resources: Obj | None, at: str) -> list[Cause]:
    """Checks a bare resource list, as a node's capacity or a pod's overhead."""
    causes: list[Cause] = []
    for name, amount in (resources or {}).items():
        causes += each(f"{at}.{name}", name, names.qualified_name(name))
        if quantity.parse(amount) < 0:
            causes.append(invalid(f"{at}.{name}", amount, NOT_NEGATIVE))
    return causes
