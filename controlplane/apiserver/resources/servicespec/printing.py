"""The columns of services. After `printService` in `pkg/printers/internalversion/printers.go`."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from controlplane.apiserver.registry import Cell, Column, Obj
from controlplane.apiserver.resources.columns import AGE, NAME, NONE, at, labels, text

PENDING: Final = "<pending>"


def _cluster_ip(service: Obj, _now: datetime) -> Cell:
    addresses = at(service, "spec", "clusterIPs") or ()
    return str(addresses[0]) if addresses else text(service, "spec", "clusterIP", missing=NONE)


def _external_ip(service: Obj, _now: datetime) -> Cell:
    kind = text(service, "spec", "type")
    external = list(at(service, "spec", "externalIPs") or ())
    if kind == "ExternalName":
        return text(service, "spec", "externalName")
    if kind != "LoadBalancer":
        return ",".join(external) or NONE
    ingress = at(service, "status", "loadBalancer", "ingress") or ()
    published = sorted({str(item.get("ip") or item.get("hostname", "")) for item in ingress})
    return ",".join([*published, *external]) or PENDING


def _ports(service: Obj, _now: datetime) -> Cell:
    shown = []
    for port in at(service, "spec", "ports") or ():
        node = f":{port['nodePort']}" if port.get("nodePort") else ""
        shown.append(f"{port.get('port')}{node}/{port.get('protocol', 'TCP')}")
    return ",".join(shown) or NONE


COLUMNS = (
    NAME,
    Column("Type", lambda obj, _: text(obj, "spec", "type"), description="How the service is exposed."),
    Column("Cluster-IP", _cluster_ip, description="The service's address inside the cluster."),
    Column("External-IP", _external_ip, description="The service's addresses outside of the cluster."),
    Column("Port(s)", _ports, description="The ports that it serves."),
    AGE,
    Column(
        "Selector", lambda obj, _: labels(at(obj, "spec", "selector")), priority=1, description="The pods behind it."
    ),
)
