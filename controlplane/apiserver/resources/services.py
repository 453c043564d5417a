# ruff: noqa: ARG002 (the methods of a strategy share their signatures)
"""Services: a stable name and address in front of pods.

Cluster IPs and node ports are claims: drawn from their range at random where the client left them open, checked
where it named them, and in either case judged by the store in the same script that writes the service. After
`pkg/registry/core/service/{strategy.go,storage/alloc.go}`, `pkg/apis/core/v1/defaults.go` and `ValidateService`.
"""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any, Final

from controlplane.api import names
from controlplane.api.causes import invalid
from controlplane.api.errors import ApiError, Cause
from controlplane.apiserver.registry import Context, Obj, Resource, Strategy
from controlplane.apiserver.resources.columns import text
from controlplane.apiserver.resources.servicespec import printing, validation
from controlplane.apiserver.resources.servicespec.facts import HEADLESS, needs_cluster_ip, needs_node_port
from controlplane.store import Claim

CLUSTER_IPS: Final = "clusterips"
NODE_PORTS: Final = "nodeports"
STATIC_ADDRESSES: Final = 256
"""The first addresses of the range are left to those who name theirs (kubernetes, DNS); upstream's static band."""
AFFINITY_TIMEOUT_S: Final = 10_800


class ServiceStrategy(Strategy):
    """What the server does with services."""

    has_status = True

    def default(self, obj: Obj) -> None:
        spec = obj.setdefault("spec", {})
        spec.setdefault("sessionAffinity", "None")
        spec.setdefault("type", "ClusterIP")
        if spec["sessionAffinity"] == "ClientIP":
            config = spec.setdefault("sessionAffinityConfig", {}).setdefault("clientIP", {})
            config.setdefault("timeoutSeconds", AFFINITY_TIMEOUT_S)
        elif spec["sessionAffinity"] == "None":
            spec.pop("sessionAffinityConfig", None)
        for port in spec.get("ports") or ():
            port.setdefault("protocol", "TCP")
            if port.get("targetPort") in (None, 0, ""):
                port["targetPort"] = port.get("port", 0)
        if needs_cluster_ip(spec):
            spec.setdefault("internalTrafficPolicy", "Cluster")
        if needs_node_port(spec) or spec.get("externalIPs"):
            spec.setdefault("externalTrafficPolicy", "Cluster")
        if spec["type"] == "LoadBalancer":
            spec.setdefault("allocateLoadBalancerNodePorts", True)

    def prepare_create(self, obj: Obj, ctx: Context) -> None:
        obj["status"] = {"loadBalancer": {}}
        _agree(obj["spec"])

    def prepare_update(self, obj: Obj, old: Obj, ctx: Context) -> None:
        super().prepare_update(obj, old, ctx)
        spec, before = obj["spec"], old.get("spec") or {}
        _drop_for_type(spec, before)
        _take_over(spec, before)
        _agree(spec)

    def validate(self, obj: Obj, old: Obj | None) -> list[Cause]:
        causes = validation.validate(obj.get("spec") or {})
        return causes if old is None else causes + validation.validate_update(obj["spec"], old.get("spec") or {})

    def warnings(self, obj: Obj, old: Obj | None) -> list[str]:
        spec, before = obj.get("spec") or {}, (old or {}).get("spec") or {}
        if old is not None and spec == before:
            return []
        found = ["spec.trafficDistribution"] if spec.get("trafficDistribution") else []
        if _checks_health(spec):
            found.append("spec.healthCheckNodePort")
        for index, port in enumerate(spec.get("ports") or ()):
            if port.get("protocol") == "SCTP":
                found.append(f"spec.ports[{index}].protocol")
        return [f"{path}: kubelab keeps this field as stored but does not implement it yet" for path in found]

    def allocate(self, obj: Obj, old: Obj | None, ctx: Context) -> frozenset[Claim]:
        spec = obj["spec"]
        before = (old or {}).get("spec") or {}
        causes = _outside(spec, before, ctx)
        if causes:
            raise ApiError.invalid("Service", text(obj, "metadata", "name"), causes)
        drawn: set[Claim] = set()
        if needs_cluster_ip(spec) and not spec.get("clusterIP"):
            address = _draw_address(ctx)
            spec["clusterIP"], spec["clusterIPs"] = address, [address]
            drawn.add(Claim(CLUSTER_IPS, address))
        if needs_cluster_ip(spec):
            spec.setdefault("ipFamilies", ["IPv4"])
            spec.setdefault("ipFamilyPolicy", "SingleStack")
        if needs_node_port(spec):
            drawn |= _draw_node_ports(spec, ctx)
        return frozenset(drawn)

    def claims(self, obj: Obj) -> tuple[Claim, ...]:
        spec = obj.get("spec") or {}
        held = [Claim(CLUSTER_IPS, ip) for ip in spec.get("clusterIPs") or () if ip not in ("", HEADLESS)]
        held += [
            _port_claim(port["nodePort"], port.get("protocol", "TCP"))
            for port in spec.get("ports") or ()
            if port.get("nodePort")
        ]
        if spec.get("healthCheckNodePort"):
            held.append(_port_claim(spec["healthCheckNodePort"], "TCP"))
        return tuple(dict.fromkeys(held))

    def claim_taken(self, obj: Obj, claim: Claim) -> Cause:
        if claim.table == CLUSTER_IPS:
            why = f"failed to allocate IP {claim.item}: provided IP is already allocated"
            return invalid("spec.clusterIPs", [claim.item], why)
        number, _, protocol = claim.item.partition("/")
        for index, port in enumerate((obj.get("spec") or {}).get("ports") or ()):
            if str(port.get("nodePort")) == number and port.get("protocol", "TCP") == protocol:
                return invalid(f"spec.ports[{index}].nodePort", int(number), "provided port is already allocated")
        return invalid("spec.healthCheckNodePort", int(number), "provided port is already allocated")


def _port_claim(number: int, protocol: str) -> Claim:
    return Claim(NODE_PORTS, f"{number}/{protocol}")


def _agree(spec: Obj) -> None:
    """clusterIP and clusterIPs say the same; whichever the client set gives the other."""
    if not needs_cluster_ip(spec):
        return
    if spec.get("clusterIP") and not spec.get("clusterIPs"):
        spec["clusterIPs"] = [spec["clusterIP"]]
    elif spec.get("clusterIPs") and not spec.get("clusterIP"):
        spec["clusterIP"] = spec["clusterIPs"][0]


def _drop_for_type(spec: Obj, before: Obj) -> None:
    """A change of type lets go of what the new type can't have, unless the client set it anew."""
    if needs_cluster_ip(before) and not needs_cluster_ip(spec):
        for name in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"):
            if spec.get(name) == before.get(name):
                spec.pop(name, None)
    if needs_node_port(before) and not needs_node_port(spec):
        old_ports = {port.get("nodePort") for port in before.get("ports") or ()}
        for port in spec.get("ports") or ():
            if port.get("nodePort") in old_ports:
                port.pop("nodePort", None)
        if spec.get("externalTrafficPolicy") == before.get("externalTrafficPolicy") and not spec.get("externalIPs"):
            spec.pop("externalTrafficPolicy", None)
    if before.get("type") == "LoadBalancer" and spec["type"] != "LoadBalancer":
        for name in ("allocateLoadBalancerNodePorts", "loadBalancerClass", "healthCheckNodePort"):
            if spec.get(name) == before.get(name):
                spec.pop(name, None)


def _take_over(spec: Obj, before: Obj) -> None:
    """An update that leaves allocated values open keeps them."""
    if needs_cluster_ip(before) and needs_cluster_ip(spec):
        if not spec.get("clusterIP") and not spec.get("clusterIPs"):
            for name in ("clusterIP", "clusterIPs"):
                if name in before:
                    spec[name] = before[name]
        for name in ("ipFamilies", "ipFamilyPolicy"):
            if not spec.get(name) and name in before:
                spec[name] = before[name]
    if needs_node_port(before) and needs_node_port(spec):
        held = {
            (port.get("port"), port.get("protocol", "TCP")): port.get("nodePort")
            for port in before.get("ports") or ()
        }
        asked = {port["nodePort"] for port in spec.get("ports") or () if port.get("nodePort")}
        for port in spec.get("ports") or ():
            number = held.get((port.get("port"), port.get("protocol", "TCP")))
            if number and number not in asked and not port.get("nodePort"):
                port["nodePort"] = number
    if _checks_health(before) and _checks_health(spec) and not spec.get("healthCheckNodePort"):
        spec["healthCheckNodePort"] = before.get("healthCheckNodePort", 0)


def _checks_health(spec: Obj) -> bool:
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def _outside(spec: Obj, before: Obj, ctx: Context) -> list[Cause]:
    """Values asked for that lie outside their range (those already held are fine)."""
    causes: list[Cause] = []
    for ip in spec.get("clusterIPs") or ():
        if ip in ("", HEADLESS) or ip in (before.get("clusterIPs") or ()):
            continue
        if IPv4Address(ip) not in ctx.service_cidr:
            why = (
                f"failed to allocate IP {ip}: the provided IP ({ip}) is not in the valid range. "
                f"The range of valid IPs is {ctx.service_cidr}"
            )
            causes.append(invalid("spec.clusterIPs", [ip], why))
        elif IPv4Address(ip) in (ctx.service_cidr.network_address, ctx.service_cidr.broadcast_address):
            why = f"failed to allocate IP {ip}: the network's own addresses can't be used"
            causes.append(invalid("spec.clusterIPs", [ip], why))
    held = {port.get("nodePort") for port in before.get("ports") or ()} | {before.get("healthCheckNodePort")}
    asked = [
        (f"spec.ports[{index}].nodePort", port.get("nodePort")) for index, port in enumerate(spec.get("ports") or ())
    ]
    for field, number in [*asked, ("spec.healthCheckNodePort", spec.get("healthCheckNodePort"))]:
        if number and number not in ctx.node_ports and number not in held:
            valid = f"{ctx.node_ports.start}-{ctx.node_ports.stop - 1}"
            why = f"provided port is not in the valid range. The range of valid ports is {valid}"
            causes.append(invalid(field, number, why))
    return causes


def _draw_address(ctx: Context) -> str:
    size = ctx.service_cidr.num_addresses
    first = STATIC_ADDRESSES if size > 2 * STATIC_ADDRESSES else 2
    return str(ctx.service_cidr[ctx.random.randrange(first, size - 1)])


def _draw_node_ports(spec: Obj, ctx: Context) -> set[Claim]:
    """Draws the node ports left open; a port that is served over TCP and UDP has the same for both."""
    drawn: set[Claim] = set()
    ports: list[Any] = spec.get("ports") or []
    if spec.get("type") != "LoadBalancer" or spec.get("allocateLoadBalancerNodePorts", True):
        used = {port["nodePort"] for port in ports if port.get("nodePort")}
        chosen = {port["port"]: port["nodePort"] for port in ports if port.get("nodePort")}
        for port in ports:
            if port.get("nodePort"):
                continue
            number = chosen.get(port["port"]) or _draw_port(ctx, used)
            chosen[port["port"]] = port["nodePort"] = number
            used.add(number)
            drawn.add(_port_claim(number, port.get("protocol", "TCP")))
    if _checks_health(spec) and not spec.get("healthCheckNodePort"):
        number = _draw_port(ctx, {port.get("nodePort") for port in ports})
        spec["healthCheckNodePort"] = number
        drawn.add(_port_claim(number, "TCP"))
    return drawn


def _draw_port(ctx: Context, used: set[Any]) -> int:
    if len(used) >= len(ctx.node_ports):
        raise ApiError.internal("failed to allocate a nodePort: range is full")
    while True:
        number = ctx.random.choice(ctx.node_ports)
        if number not in used:
            return number


RESOURCE = Resource(
    group="",
    version="v1",
    kind="Service",
    plural="services",
    singular="service",
    short_names=("svc",),
    namespaced=True,
    schema="core.v1.Service",
    name_rule=names.dns_1035_label,
    categories=("all",),
    strategy=ServiceStrategy(),
    columns=printing.COLUMNS,
    selectable={
        "spec.clusterIP": lambda obj: text(obj, "spec", "clusterIP"),
        "spec.type": lambda obj: text(obj, "spec", "type"),
    },
    subresources=frozenset(("status",)),
)
