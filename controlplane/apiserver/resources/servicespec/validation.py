"""Validation of a service's spec, and of a change of it. After `ValidateService` and `ValidateServiceUpdate`."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any, Final

from controlplane.api import names, objectmeta
from controlplane.api.causes import duplicate, each, forbidden, invalid, not_supported, required
from controlplane.api.errors import Cause
from controlplane.apiserver.resources.servicespec.facts import HEADLESS, headless, needs_cluster_ip, needs_node_port

Obj = dict[str, Any]

TYPES: Final = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
PROTOCOLS: Final = ("SCTP", "TCP", "UDP")
POLICIES: Final = ("Cluster", "Local")
MAX_AFFINITY_S: Final = 86_400


def validate(spec: Obj) -> list[Cause]:
    """All that is wrong with a service's spec."""
    kind = spec.get("type", "")
    causes = [] if kind in TYPES else [not_supported("spec.type", kind, TYPES)]
    causes += _addresses(spec, kind)
    causes += _ports(spec, kind)
    causes += objectmeta.check_labels(spec.get("selector"), "spec.selector")
    causes += _affinity(spec, kind)
    causes += _external(spec, kind)
    if needs_cluster_ip(spec) and spec.get("internalTrafficPolicy") not in POLICIES:
        causes.append(not_supported("spec.internalTrafficPolicy", spec.get("internalTrafficPolicy", ""), POLICIES))
    if kind == "ExternalName":
        name = spec.get("externalName", "").removesuffix(".")
        causes += (
            each("spec.externalName", name, names.dns_subdomain(name)) if name else [required("spec.externalName")]
        )
    return causes


def _addresses(spec: Obj, kind: str) -> list[Cause]:
    if kind == "ExternalName":
        return [
            forbidden(f"spec.{name}", "may not be set when `type` is 'ExternalName'")
            for name in ("clusterIP", "clusterIPs")
            if spec.get(name)
        ]
    causes: list[Cause] = []
    addresses = spec.get("clusterIPs") or ()
    if addresses and addresses[0] != spec.get("clusterIP", ""):
        causes.append(invalid("spec.clusterIPs[0]", list(addresses), "first value must match `clusterIP`"))
    if headless(spec):
        if kind in ("NodePort", "LoadBalancer"):
            causes.append(invalid("spec.clusterIPs[0]", HEADLESS, f"may not be set to 'None' for {kind} services"))
        if len(addresses) > 1:
            causes.append(invalid("spec.clusterIPs", list(addresses), "'None' must be the first and only value"))
        return causes
    for index, address in enumerate(addresses):
        causes += each(f"spec.clusterIPs[{index}]", address, names.ipv4(address))
    if len(addresses) > 1:
        causes.append(
            invalid("spec.clusterIPs", list(addresses), "may only hold one value: the cluster is single-stack")
        )
    if "IPv6" in (spec.get("ipFamilies") or ()):
        causes.append(invalid("spec.ipFamilies[0]", "IPv6", "not configured on this cluster"))
    if spec.get("ipFamilyPolicy") == "RequireDualStack":
        causes.append(
            invalid(
                "spec.ipFamilyPolicy", "RequireDualStack", "this cluster is not configured for dual-stack services"
            )
        )
    return causes


def _ports(spec: Obj, kind: str) -> list[Cause]:
    ports = spec.get("ports") or []
    if not ports and kind != "ExternalName" and not headless(spec):
        return [required("spec.ports")]
    causes: list[Cause] = []
    seen: dict[str, set[Any]] = {"name": set(), "port": set(), "nodePort": set()}
    for index, port in enumerate(ports):
        where = f"spec.ports[{index}]"
        causes += _port(port, where, kind, many=len(ports) > 1)
        protocol = port.get("protocol", "TCP")
        for field, value in (
            ("name", port.get("name", "")),
            ("port", (port.get("port"), protocol)),
            ("nodePort", (port.get("nodePort"), protocol) if port.get("nodePort") else None),
        ):
            if value and value in seen[field]:
                shown = value if field == "name" else {"port": value[0], "protocol": protocol}
                causes.append(duplicate(where if field == "port" else f"{where}.{field}", shown))
            seen[field].add(value)
    return causes


def named_port(port: Obj, at: str, many: bool) -> list[Cause]:
    """Name, number and protocol of a port of a Service or of Endpoints; of several, each needs a name."""
    causes: list[Cause] = []
    name, number = port.get("name", ""), port.get("port", 0)
    if name:
        causes += each(f"{at}.name", name, names.dns_label(name))
    elif many:
        causes.append(required(f"{at}.name"))
    causes += each(f"{at}.port", number, names.port(number))
    if port.get("protocol") not in PROTOCOLS:
        causes.append(not_supported(f"{at}.protocol", port.get("protocol", ""), PROTOCOLS))
    return causes


def _port(port: Obj, at: str, kind: str, many: bool) -> list[Cause]:
    causes, number = named_port(port, at, many), port.get("port", 0)
    target: Any = port.get("targetPort", number)
    if isinstance(target, str):
        causes += each(f"{at}.targetPort", target, names.port_name(target))
    elif number != target:
        causes += each(f"{at}.targetPort", target, names.port(target))
    if port.get("nodePort") and kind in ("ClusterIP", "ExternalName"):
        causes.append(forbidden(f"{at}.nodePort", f"may not be used when `type` is '{kind}'"))
    elif port.get("nodePort"):
        causes += each(f"{at}.nodePort", port["nodePort"], names.port(port["nodePort"]))
    return causes


def _affinity(spec: Obj, kind: str) -> list[Cause]:
    affinity = spec.get("sessionAffinity", "")
    if affinity not in ("ClientIP", "None"):
        return [not_supported("spec.sessionAffinity", affinity, ("ClientIP", "None"))]
    if affinity == "None":
        return []
    seconds = ((spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}).get("timeoutSeconds")
    where = "spec.sessionAffinityConfig.clientIP.timeoutSeconds"
    if kind == "ExternalName":
        return [forbidden("spec.sessionAffinity", "may not be used when `type` is 'ExternalName'")]
    if seconds is None or 0 < seconds <= MAX_AFFINITY_S:
        return [] if seconds is not None else [required(where)]
    return [invalid(where, seconds, f"must be greater than 0 and less than {MAX_AFFINITY_S}")]


def _external(spec: Obj, kind: str) -> list[Cause]:
    causes: list[Cause] = []
    for index, address in enumerate(spec.get("externalIPs") or ()):
        causes += each(f"spec.externalIPs[{index}]", address, names.ipv4(address))
    policy = spec.get("externalTrafficPolicy")
    if needs_node_port(spec) or spec.get("externalIPs"):
        if policy not in POLICIES:
            causes.append(not_supported("spec.externalTrafficPolicy", policy or "", POLICIES))
    elif policy:
        causes.append(
            invalid("spec.externalTrafficPolicy", policy, "may only be set for externally-accessible services")
        )
    if spec.get("healthCheckNodePort") and not (kind == "LoadBalancer" and policy == "Local"):
        why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        causes.append(invalid("spec.healthCheckNodePort", spec["healthCheckNodePort"], why))
    if kind != "LoadBalancer":
        for name in ("allocateLoadBalancerNodePorts", "loadBalancerClass", "loadBalancerSourceRanges"):
            if spec.get(name) not in (None, [], ""):
                causes.append(forbidden(f"spec.{name}", "may only be used when `type` is 'LoadBalancer'"))
    for index, cidr in enumerate(spec.get("loadBalancerSourceRanges") or ()):
        try:
            ip_network(cidr.strip())
        except ValueError:
            why = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
            causes.append(invalid(f"spec.loadBalancerSourceRanges[{index}]", cidr, why))
    if spec.get("loadBalancerIP"):
        causes += each("spec.loadBalancerIP", spec["loadBalancerIP"], names.ipv4(spec["loadBalancerIP"]))
    return causes


def validate_update(spec: Obj, before: Obj) -> list[Cause]:
    """What a change of a service may not do: a cluster IP stays."""
    causes: list[Cause] = []
    if needs_cluster_ip(before) and needs_cluster_ip(spec):
        old, new = before.get("clusterIPs") or [], spec.get("clusterIPs") or []
        if old and old != new:
            causes.append(invalid("spec.clusterIPs[0]", new, "may not change once set"))
    stays = before.get("type") == spec.get("type") == "LoadBalancer"
    held, asked = before.get("loadBalancerClass"), spec.get("loadBalancerClass")
    if stays and held and asked != held:
        causes.append(invalid("spec.loadBalancerClass", asked, "may not change once set"))
    return causes
