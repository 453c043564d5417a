"""Validation of a whole pod spec, in a pod or in a template. After `ValidatePodSpec` upstream."""

from __future__ import annotations

from typing import Any, Final

from controlplane.api import names, objectmeta
from controlplane.api.causes import each, forbidden, invalid, not_supported, required
from controlplane.api.errors import Cause
from controlplane.apiserver.resources.podspec import affinity, containers, requirements, volumes

Obj = dict[str, Any]

RESTART_POLICIES: Final = ("Always", "Never", "OnFailure")
DNS_POLICIES: Final = ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None")
EFFECTS: Final = ("NoExecute", "NoSchedule", "PreferNoSchedule")
MAX_INT32: Final = 0x7FFFFFFF


def validate(spec: Obj, at: str) -> list[Cause]:
    """All that is wrong with a pod spec."""
    causes = volumes.validate(spec.get("volumes") or (), f"{at}.volumes")
    causes += containers.validate(spec, at)
    if spec.get("ephemeralContainers"):
        causes.append(forbidden(f"{at}.ephemeralContainers", "cannot be set on create"))
    for name, known in (("restartPolicy", RESTART_POLICIES), ("dnsPolicy", DNS_POLICIES)):
        if spec.get(name, "") not in known:
            causes.append(not_supported(f"{at}.{name}", spec.get(name, ""), known))
    causes += _numbers(spec, at)
    causes += _names(spec, at)
    causes += tolerations(spec.get("tolerations") or (), f"{at}.tolerations")
    causes += objectmeta.check_labels(spec.get("nodeSelector"), f"{at}.nodeSelector")
    causes += containers.security_context(spec.get("securityContext") or {}, f"{at}.securityContext")
    causes += requirements.amounts(spec.get("overhead"), f"{at}.overhead")
    if spec.get("affinity"):
        causes += affinity.validate(spec["affinity"], f"{at}.affinity")
    causes += affinity.spread(spec.get("topologySpreadConstraints") or (), f"{at}.topologySpreadConstraints")
    if spec.get("dnsPolicy") == "None" and not (spec.get("dnsConfig") or {}).get("nameservers"):
        causes.append(
            required(
                f"{at}.dnsConfig.nameservers", "must provide at least one DNS nameserver when `dnsPolicy` is None"
            )
        )
    for index, alias in enumerate(spec.get("hostAliases") or ()):
        causes += each(f"{at}.hostAliases[{index}].ip", alias.get("ip", ""), names.ip(alias.get("ip", "")))
        for number, name in enumerate(alias.get("hostnames") or ()):
            causes += each(f"{at}.hostAliases[{index}].hostnames[{number}]", name, names.dns_subdomain(name))
    return causes


def _numbers(spec: Obj, at: str) -> list[Cause]:
    causes: list[Cause] = []
    grace = spec.get("terminationGracePeriodSeconds", 0)
    if grace < 0:
        causes.append(invalid(f"{at}.terminationGracePeriodSeconds", grace, "must be greater than or equal to 0"))
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= MAX_INT32:
        causes.append(
            invalid(f"{at}.activeDeadlineSeconds", deadline, f"must be between 1 and {MAX_INT32}, inclusive")
        )
    return causes


def _names(spec: Obj, at: str) -> list[Cause]:
    causes: list[Cause] = []
    rules = {
        "serviceAccountName": names.dns_subdomain,
        "nodeName": names.dns_subdomain,
        "hostname": names.dns_label,
        "subdomain": names.dns_label,
        "schedulerName": names.dns_subdomain,
        "runtimeClassName": names.dns_subdomain,
        "priorityClassName": names.dns_subdomain,
    }
    for name, rule in rules.items():
        if spec.get(name):
            causes += each(f"{at}.{name}", spec[name], rule(spec[name]))
    for index, reference in enumerate(spec.get("imagePullSecrets") or ()):
        name = reference.get("name", "")
        where = f"{at}.imagePullSecrets[{index}].name"
        causes += each(where, name, names.dns_subdomain(name)) if name else [required(where)]
    return causes


def tolerations(items: Any, at: str) -> list[Cause]:
    """All that is wrong with a list of tolerations."""
    causes: list[Cause] = []
    for index, item in enumerate(items):
        where = f"{at}[{index}]"
        key, operator = item.get("key", ""), item.get("operator", "") or "Equal"
        if key:
            causes += each(f"{where}.key", key, names.qualified_name(key))
        elif operator != "Exists":
            causes.append(
                invalid(
                    f"{where}.operator",
                    item.get("operator", ""),
                    'operator must be Exists when `key` is empty, which means "match all values and all keys"',
                )
            )
        if operator not in ("Equal", "Exists"):
            causes.append(not_supported(f"{where}.operator", operator, ("Equal", "Exists")))
        elif operator == "Exists" and item.get("value"):
            causes.append(invalid(f"{where}.operator", item, "value must be empty when `operator` is 'Exists'"))
        elif item.get("value"):
            causes += each(f"{where}.value", item["value"], names.label_value(item["value"]))
        effect = item.get("effect", "")
        if effect and effect not in EFFECTS:
            causes.append(not_supported(f"{where}.effect", effect, EFFECTS))
        if item.get("tolerationSeconds") is not None and effect != "NoExecute":
            causes.append(
                invalid(f"{where}.effect", effect, "effect must be 'NoExecute' when `tolerationSeconds` is set")
            )
    return causes


def template(body: Obj | None, at: str, selector: Obj | None) -> list[Cause]:
    """All that is wrong with a controller's pod template."""
    if body is None:
        return [required(at)]
    metadata = body.get("metadata") or {}
    causes = objectmeta.check_labels(metadata.get("labels"), f"{at}.metadata.labels")
    causes += objectmeta.check_annotations(metadata.get("annotations"), f"{at}.metadata.annotations")
    causes += objectmeta.check_finalizers(metadata.get("finalizers"), f"{at}.metadata.finalizers")
    labels = metadata.get("labels") or {}
    if any(labels.get(key) != value for key, value in (selector or {}).items()):
        causes.append(invalid(f"{at}.metadata.labels", labels, "`selector` does not match template `labels`"))
    return causes + validate(body.get("spec") or {}, f"{at}.spec")
