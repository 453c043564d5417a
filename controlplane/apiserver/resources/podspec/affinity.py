"""Validation of affinity and of topology spread. After `validateAffinity` upstream."""

from __future__ import annotations

from typing import Any, Final

from controlplane.api import names, objectmeta
from controlplane.api.causes import each, forbidden, invalid, not_supported, required
from controlplane.api.errors import Cause

Obj = dict[str, Any]

REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED: Final = "preferredDuringSchedulingIgnoredDuringExecution"
NODE_OPERATORS: Final = ("DoesNotExist", "Exists", "Gt", "In", "Lt", "NotIn")
LABEL_OPERATORS: Final = ("DoesNotExist", "Exists", "In", "NotIn")
UNSATISFIABLE: Final = ("DoNotSchedule", "ScheduleAnyway")


def validate(body: Obj, at: str) -> list[Cause]:
    """All that is wrong with a pod's affinity."""
    causes: list[Cause] = []
    node = body.get("nodeAffinity") or {}
    if node.get(REQUIRED) is not None:
        where = f"{at}.nodeAffinity.{REQUIRED}.nodeSelectorTerms"
        terms = node[REQUIRED].get("nodeSelectorTerms") or ()
        if not terms:
            causes.append(required(where, "must have at least one node selector term"))
        for index, term in enumerate(terms):
            causes += _node_term(term, f"{where}[{index}]")
    for index, preferred in enumerate(node.get(PREFERRED) or ()):
        where = f"{at}.nodeAffinity.{PREFERRED}[{index}]"
        causes += _weight(preferred, where) + _node_term(preferred.get("preference") or {}, f"{where}.preference")
    for kind in ("podAffinity", "podAntiAffinity"):
        pods = body.get(kind) or {}
        for index, term in enumerate(pods.get(REQUIRED) or ()):
            causes += _pod_term(term, f"{at}.{kind}.{REQUIRED}[{index}]")
        for index, weighted in enumerate(pods.get(PREFERRED) or ()):
            where = f"{at}.{kind}.{PREFERRED}[{index}]"
            causes += _weight(weighted, where)
            causes += _pod_term(weighted.get("podAffinityTerm") or {}, f"{where}.podAffinityTerm")
    return causes


def _weight(term: Obj, at: str) -> list[Cause]:
    weight = term.get("weight", 0)
    return [] if 1 <= weight <= 100 else [invalid(f"{at}.weight", weight, "must be in the range 1-100")]


def _node_term(term: Obj, at: str) -> list[Cause]:
    causes: list[Cause] = []
    for kind in ("matchExpressions", "matchFields"):
        for index, item in enumerate(term.get(kind) or ()):
            where = f"{at}.{kind}[{index}]"
            causes += _requirement(item, where, NODE_OPERATORS)
            key = item.get("key", "")
            if kind == "matchExpressions":
                causes += each(f"{where}.key", key, names.qualified_name(key))
            elif key != "metadata.name":
                causes.append(invalid(f"{where}.key", key, "not a valid field selector key"))
    return causes


def _requirement(item: Obj, at: str, operators: tuple[str, ...]) -> list[Cause]:
    operator, values = item.get("operator", ""), item.get("values") or ()
    if operator not in operators:
        return [not_supported(f"{at}.operator", operator, operators)]
    if operator in ("In", "NotIn") and not values:
        return [required(f"{at}.values", "must be specified when `operator` is 'In' or 'NotIn'")]
    if operator in ("Exists", "DoesNotExist") and values:
        return [forbidden(f"{at}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")]
    if operator in ("Gt", "Lt") and len(values) != 1:
        return [required(f"{at}.values", "must be specified single value when `operator` is 'Lt' or 'Gt'")]
    return []


def label_selector(selector: Obj | None, at: str) -> list[Cause]:
    """All that is wrong with a label selector in an object."""
    causes = objectmeta.check_labels((selector or {}).get("matchLabels"), f"{at}.matchLabels")
    for index, item in enumerate((selector or {}).get("matchExpressions") or ()):
        where = f"{at}.matchExpressions[{index}]"
        causes += _requirement(item, where, LABEL_OPERATORS)
        causes += each(f"{where}.key", item.get("key", ""), names.qualified_name(item.get("key", "")))
        for number, value in enumerate(item.get("values") or ()):
            causes += each(f"{where}.values[{number}]", value, names.label_value(value))
    return causes


def _topology_key(item: Obj, at: str) -> list[Cause]:
    key = item.get("topologyKey", "")
    if not key:
        return [required(f"{at}.topologyKey", "can not be empty")]
    return each(f"{at}.topologyKey", key, names.qualified_name(key))


def _pod_term(term: Obj, at: str) -> list[Cause]:
    causes = label_selector(term.get("labelSelector"), f"{at}.labelSelector")
    for index, name in enumerate(term.get("namespaces") or ()):
        causes += each(f"{at}.namespaces[{index}]", name, names.dns_label(name))
    return causes + _topology_key(term, at)


def spread(constraints: Any, at: str) -> list[Cause]:
    """All that is wrong with topology spread constraints."""
    causes: list[Cause] = []
    for index, item in enumerate(constraints):
        where = f"{at}[{index}]"
        if item.get("maxSkew", 0) <= 0:
            causes.append(invalid(f"{where}.maxSkew", item.get("maxSkew", 0), "must be greater than zero"))
        causes += _topology_key(item, where)
        if item.get("whenUnsatisfiable", "") not in UNSATISFIABLE:
            causes.append(
                not_supported(f"{where}.whenUnsatisfiable", item.get("whenUnsatisfiable", ""), UNSATISFIABLE)
            )
        causes += label_selector(item.get("labelSelector"), f"{where}.labelSelector")
    return causes
