"""Endpoints: the addresses behind a service, in the form of old clients.

After `pkg/registry/core/endpoint/strategy.go`, `ValidateEndpoints` and `printEndpoints`.
"""

from __future__ import annotations

from controlplane.api import names
from controlplane.api.causes import each, invalid, required
from controlplane.api.errors import Cause
from controlplane.apiserver.registry import Column, Obj, Resource, Strategy
from controlplane.apiserver.resources.columns import AGE, NAME, NONE, some
from controlplane.apiserver.resources.servicespec.validation import named_port


class EndpointsStrategy(Strategy):
    """What the server does with endpoints."""

    allow_create_on_update = True

    def default(self, obj: Obj) -> None:
        for subset in obj.get("subsets") or ():
            for port in subset.get("ports") or ():
                port.setdefault("protocol", "TCP")

    def validate(self, obj: Obj, old: Obj | None) -> list[Cause]:
        if old is not None and obj.get("subsets") == old.get("subsets"):
            return []
        causes: list[Cause] = []
        for index, subset in enumerate(obj.get("subsets") or ()):
            at = f"subsets[{index}]"
            if not subset.get("addresses") and not subset.get("notReadyAddresses"):
                causes.append(required(at, "must specify `addresses` or `notReadyAddresses`"))
            for kind in ("addresses", "notReadyAddresses"):
                for number, address in enumerate(subset.get(kind) or ()):
                    causes += check_address(address.get("ip", ""), f"{at}.{kind}[{number}].ip")
            for number, port in enumerate(subset.get("ports") or ()):
                causes += named_port(port, f"{at}.ports[{number}]", many=len(subset["ports"]) > 1)
        return causes


def check_address(ip: str, at: str) -> list[Cause]:
    """An address behind a service: IPv4, and never one that would reach into a node itself."""
    found = each(at, ip, names.ipv4(ip))
    if found:
        return found
    if ip.startswith("127."):
        return [invalid(at, ip, "may not be in the loopback range (127.0.0.0/8, ::1/128)")]
    if ip == "0.0.0.0":  # noqa: S104 (compared, not bound to)
        return [invalid(at, ip, "may not be unspecified (0.0.0.0 or ::)")]
    if ip.startswith("169.254."):
        return [invalid(at, ip, "may not be in the link-local range (169.254.0.0/16, fe80::/10)")]
    return []


def _shown(obj: Obj) -> str:
    items: list[str] = []
    for subset in obj.get("subsets") or ():
        ports = subset.get("ports") or ()
        addresses = [str(address.get("ip", "")) for address in subset.get("addresses") or ()]
        if not ports:
            items += addresses
        for port in ports:
            items += [f"{address}:{port.get('port')}" for address in addresses]
    return some(items, NONE)


RESOURCE = Resource(
    group="",
    version="v1",
    kind="Endpoints",
    plural="endpoints",
    singular="endpoints",
    short_names=("ep",),
    namespaced=True,
    schema="core.v1.Endpoints",
    name_rule=names.dns_subdomain,
    strategy=EndpointsStrategy(),
    columns=(NAME, Column("Endpoints", lambda obj, _: _shown(obj), description="The addresses behind it."), AGE),
)
