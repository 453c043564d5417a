"""What a service's type means for its addresses and ports."""

from __future__ import annotations

from typing import Any, Final

HEADLESS: Final = "None"


def needs_cluster_ip(spec: dict[str, Any]) -> bool:
    """Every type but ExternalName has a cluster IP (`None` when headless)."""
    return spec.get("type", "ClusterIP") in ("ClusterIP", "NodePort", "LoadBalancer")


def needs_node_port(spec: dict[str, Any]) -> bool:
    """Whether the service is published on every node."""
    return spec.get("type") in ("NodePort", "LoadBalancer")


def headless(spec: dict[str, Any]) -> bool:
    """Whether clients get the pods' own addresses."""
    return spec.get("clusterIP") == HEADLESS or HEADLESS in (spec.get("clusterIPs") or ())
