"""Endpoint slices: the addresses behind a service, in pieces that stay small.

After `pkg/registry/discovery/endpointslice/strategy.go`, `ValidateEndpointSlice` and `printEndpointSlice`.
"""

from __future__ import annotations

from typing import Final

from controlplane.api import names
from controlplane.api.causes import duplicate, each, invalid, not_supported, required, too_many
from controlplane.api.errors import Cause
from controlplane.apiserver.registry import Column, Obj, Resource, Strategy
from controlplane.apiserver.resources.columns import AGE, NAME, UNSET, some, text
from controlplane.apiserver.resources.endpoints import check_address
from controlplane.apiserver.resources.servicespec.validation import PROTOCOLS

ADDRESS_TYPES: Final = ("FQDN", "IPv4", "IPv6")
MAX_ENDPOINTS, MAX_ADDRESSES, MAX_PORTS = 1000, 100, 20_000


class EndpointSliceStrategy(Strategy):
    """What the server does with endpoint slices."""

    has_generation = True

    def default(self, obj: Obj) -> None:
        for port in obj.get("ports") or ():
            port.setdefault("name", "")
            port.setdefault("protocol", "TCP")

    def generation_changes(self, obj: Obj, old: Obj) -> bool:
        return any(obj.get(name) != old.get(name) for name in ("endpoints", "ports"))

    def validate(self, obj: Obj, old: Obj | None) -> list[Cause]:
        kind = obj.get("addressType", "")
        causes = [] if kind in ADDRESS_TYPES else [not_supported("addressType", kind, ADDRESS_TYPES)]
        if old is not None and kind != old.get("addressType"):
            causes.append(invalid("addressType", kind, "field is immutable"))
        endpoints, ports = obj.get("endpoints") or [], obj.get("ports") or []
        if len(endpoints) > MAX_ENDPOINTS:
            causes.append(too_many("endpoints", len(endpoints), MAX_ENDPOINTS))
        for index, endpoint in enumerate(endpoints):
            causes += _endpoint(endpoint, kind, f"endpoints[{index}]")
        if len(ports) > MAX_PORTS:
            causes.append(too_many("ports", len(ports), MAX_PORTS))
        return causes + _ports(ports)


def _endpoint(endpoint: Obj, kind: str, at: str) -> list[Cause]:
    addresses = endpoint.get("addresses") or []
    causes: list[Cause] = []
    if not addresses:
        causes.append(required(f"{at}.addresses", "must contain at least 1 address"))
    elif len(addresses) > MAX_ADDRESSES:
        causes.append(too_many(f"{at}.addresses", len(addresses), MAX_ADDRESSES))
    for index, address in enumerate(addresses):
        where = f"{at}.addresses[{index}]"
        if kind == "IPv4":
            causes += check_address(address, where)
        else:
            causes += each(where, address, names.dns_subdomain(address) if kind == "FQDN" else names.ip(address))
    if endpoint.get("nodeName"):
        causes += each(f"{at}.nodeName", endpoint["nodeName"], names.dns_subdomain(endpoint["nodeName"]))
    if endpoint.get("hostname"):
        causes += each(f"{at}.hostname", endpoint["hostname"], names.dns_label(endpoint["hostname"]))
    return causes


def _ports(ports: list[Obj]) -> list[Cause]:
    causes: list[Cause] = []
    seen: set[str] = set()
    for index, port in enumerate(ports):
        at, name = f"ports[{index}]", port.get("name", "")
        if name:
            causes += each(f"{at}.name", name, names.dns_label(name))
        if name in seen:
            causes.append(duplicate(f"{at}.name", name))
        seen.add(name)
        if port.get("protocol") not in PROTOCOLS:
            causes.append(not_supported(f"{at}.protocol", port.get("protocol", ""), PROTOCOLS))
        if port.get("port") is not None:
            causes += each(f"{at}.port", port["port"], names.port(port["port"]))
    return causes


def _ports_shown(obj: Obj) -> str:
    items = [str(port["port"]) if port.get("port") is not None else "*" for port in obj.get("ports") or ()]
    return some(items, UNSET)


def _endpoints_shown(obj: Obj) -> str:
    items = [address for endpoint in obj.get("endpoints") or () for address in endpoint.get("addresses") or ()]
    return some(items, UNSET)


RESOURCE = Resource(
    group="discovery.k8s.io",
    version="v1",
    kind="EndpointSlice",
    plural="endpointslices",
    singular="endpointslice",
    short_names=(),
    namespaced=True,
    schema="discovery.v1.EndpointSlice",
    name_rule=names.dns_subdomain,
    strategy=EndpointSliceStrategy(),
    columns=(
        NAME,
        Column("AddressType", lambda obj, _: text(obj, "addressType"), description="What its addresses are."),
        Column("Ports", lambda obj, _: _ports_shown(obj), description="The ports of every endpoint."),
        Column("Endpoints", lambda obj, _: _endpoints_shown(obj), description="The addresses."),
        AGE,
    ),
)
