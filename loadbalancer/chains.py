"""Names of iptables chains: which ones are ours, and what kube-proxy calls the chains of a service port.

A name is a fixed prefix and 16 characters of base32(sha256(...)), since iptables allows 28 characters. The same
inputs give the same names as upstream's pkg/proxy/iptables/proxier.go (portProtoHash, servicePortEndpointChainName),
so a name that a reader meets here is the one that kube-proxy would have chosen.
"""

from __future__ import annotations

import base64
import hashlib

SERVICES = "KUBE-SERVICES"
NODE_PORTS = "KUBE-NODEPORTS"
POSTROUTING = "KUBE-POSTROUTING"
MARK_MASQ = "KUBE-MARK-MASQ"
EXTERNAL_SERVICES = "KUBE-EXTERNAL-SERVICES"
FORWARD = "KUBE-FORWARD"
FIREWALL = "KUBE-PROXY-FIREWALL"

LAB_GUARD = "KUBELAB-GUARD"
"""Traffic that comes from outside this node and wants a pod's or a service's address goes through it."""
LAB_MEMBERS = "KUBELAB-MEMBERS"
"""Lets the cluster's own nodes and pods return, drops everybody else."""
LAB_PUBLIC = "KUBELAB-PUBLIC"
"""Refuses connections to a public address that no service took: they would reach the node that announces it."""
LAB_FORWARD = "KUBELAB-FORWARD"
LAB_POSTROUTING = "KUBELAB-POSTROUTING"

FIXED = frozenset(
    {
        SERVICES,
        NODE_PORTS,
        POSTROUTING,
        MARK_MASQ,
        EXTERNAL_SERVICES,
        FORWARD,
        FIREWALL,
        LAB_GUARD,
        LAB_MEMBERS,
        LAB_PUBLIC,
        LAB_FORWARD,
        LAB_POSTROUTING,
    }
)
PREFIXES = ("KUBE-SVC-", "KUBE-SVL-", "KUBE-SEP-", "KUBE-EXT-", "KUBE-FW-")


def is_ours(chain: str) -> bool:
    """Whether the proxy owns this chain; every other one belongs to somebody else and is never touched."""
    return chain in FIXED or chain.startswith(PREFIXES)


def _hash(text: str) -> str:
    return base64.b32encode(hashlib.sha256(text.encode()).digest()).decode()[:16]


def cluster(port_name: str, protocol: str) -> str:
    """Chain that shares among all endpoints. `port_name`: `namespace/service:port`; protocol in lower case."""
    return "KUBE-SVC-" + _hash(port_name + protocol)


def local(port_name: str, protocol: str) -> str:
    """Chain that shares traffic between the endpoints on this node."""
    return "KUBE-SVL-" + _hash(port_name + protocol)


def external(port_name: str, protocol: str) -> str:
    """Chain for traffic from outside: node ports, external and public addresses."""
    return "KUBE-EXT-" + _hash(port_name + protocol)


def firewall(port_name: str, protocol: str) -> str:
    """Chain that lets only loadBalancerSourceRanges pass."""
    return "KUBE-FW-" + _hash(port_name + protocol)


def endpoint(port_name: str, protocol: str, address: str) -> str:
    """Chain of one endpoint, `address` being `ip:port`."""
    return "KUBE-SEP-" + _hash(port_name + protocol + address)
