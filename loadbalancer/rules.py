"""Service ports → iptables rules, as a value. Pure: no clock, no processes, no logging.

What must hold: every jump leads to a chain of the same rule set; every endpoint of a service port gets an equal share
of its new connections; a service without endpoints answers "refused" instead of silence; only what is published (node
ports, external and public addresses) can be reached from outside the cluster.

Chains and rules have kube-proxy's names and shapes (upstream: pkg/proxy/iptables/proxier.go, syncProxyRules). Each
rule is written exactly as `iptables-save` prints it, so that wanted and actual rules compare as text. What kube-proxy
leaves to a network plugin stands in chains named KUBELAB-…: masquerading of pods' traffic that leaves the cluster,
forwarding for pods, and the guard that drops traffic of strangers to pod and service addresses.

`service_rules` depends on one service only, so that its result can be kept until that service changes;
`assemble` puts all of them and the fixed rules together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from loadbalancer import chains
from loadbalancer.services import Backend, ServicePort

MASQUERADE_MARK = "0x4000"

_REFUSE = "REJECT --reject-with icmp-port-unreachable"

Rules = tuple[str, ...]
Table = dict[str, Rules]
"""Chain name → its rules in order, each without the `-A CHAIN` in front."""


@dataclass(frozen=True)
class Facts:
    """What the rules need to know of this node and its cluster."""

    node_name: str
    cluster_cidr: str
    """All pods."""
    pod_cidr: str
    """The pods of this node."""
    service_cidr: str
    bridge: str
    """The interface on which this node's pods hang."""
    node_addresses: tuple[str, ...]
    """Addresses of all nodes of the cluster, this one's too, sorted."""


@dataclass(frozen=True)
class Jump:
    """A rule in a built-in chain that leads into one of ours."""

    table: str
    chain: str
    rule: str


@dataclass(frozen=True)
class RuleSet:
    """Everything that the proxy wants: for each table its chains, whole, and the jumps into them."""

    tables: Mapping[str, Mapping[str, Rules]]
    jumps: tuple[Jump, ...] = ()


@dataclass(frozen=True)
class ServiceRules:
    """The rules of one service: chains of its own, and its lines in the chains that all services share."""

    nat: Mapping[str, Rules] = field(default_factory=dict)
    nat_services: Rules = ()
    nat_node_ports: Rules = ()
    filter_services: Rules = ()
    filter_external: Rules = ()
    filter_firewall: Rules = ()
    filter_public: Rules = ()


def comment(text: str) -> str:
    return f'-m comment --comment "{text}"'


def service_rules(ports: Iterable[ServicePort], facts: Facts) -> ServiceRules:
    """All rules that exist because of these ports."""
    nat: Table = {}
    services: list[str] = []
    node_ports: list[str] = []
    refused: list[str] = []
    refused_external: list[str] = []
    firewall: list[str] = []
    public: dict[str, None] = {}
    for port in ports:
        chains_of_port = _Port(port, facts)
        nat.update(chains_of_port.chains())
        services += chains_of_port.entries()
        node_ports += chains_of_port.node_port_entries()
        refused += chains_of_port.refused_inside()
        refused_external += chains_of_port.refused_outside()
        firewall += chains_of_port.firewall_drops()
        public.update(dict.fromkeys(f"-d {ip}/32 ! -p icmp -j {_REFUSE}" for ip in port.public_ips))
    return ServiceRules(
        nat=nat,
        nat_services=tuple(services),
        nat_node_ports=tuple(node_ports),
        filter_services=tuple(refused),
        filter_external=tuple(refused_external),
        filter_firewall=tuple(firewall),
        filter_public=tuple(public),
    )


class _Port:
    """The rules of one service port, written down once for each place where they are needed."""

    def __init__(self, port: ServicePort, facts: Facts) -> None:
        self.port = port
        self.facts = facts
        self.cluster_chain = chains.cluster(port.name, port.protocol)
        self.local_chain = chains.local(port.name, port.protocol)
        self.external_chain = chains.external(port.name, port.protocol)
        self.firewall_chain = chains.firewall(port.name, port.protocol)
        self.uses_local = port.internal_local or (port.external_local and port.externally_accessible)
        self.uses_cluster = not port.internal_local or port.externally_accessible
        self.any_endpoint = bool(port.everywhere or (self.uses_local and port.here))
        self.internal = port.here if port.internal_local else port.everywhere
        self.outer = port.here if port.external_local else port.everywhere
        self.internal_chain = self.local_chain if port.internal_local else self.cluster_chain
        self.public_chain = self.external_chain if port.source_ranges is None else self.firewall_chain

    def _to(self, address: str, what: str) -> str:
        """Matches a packet to this port at `address`."""
        p = self.port
        return f"-d {address}/32 -p {p.protocol} {comment(f'{p.name} {what}')} -m {p.protocol} --dport {p.port}"

    # --- nat: what leads to the chains of this port ---

    def entries(self) -> list[str]:
        rules = []
        if self.internal:
            rules.append(f"{self._to(self.port.cluster_ip, 'cluster IP')} -j {self.internal_chain}")
        if self.any_endpoint:
            rules += [f"{self._to(ip, 'external IP')} -j {self.external_chain}" for ip in self.port.external_ips]
            rules += [f"{self._to(ip, 'loadbalancer IP')} -j {self.public_chain}" for ip in self.port.public_ips]
        return rules

    def node_port_entries(self) -> list[str]:
        p = self.port
        if not p.node_port or not self.any_endpoint:
            return []
        return [f"-p {p.protocol} {comment(p.name)} -m {p.protocol} --dport {p.node_port} -j {self.external_chain}"]

    # --- nat: chains ---

    def chains(self) -> Table:
        p = self.port
        result: Table = {}
        if not self.any_endpoint:
            return result
        if p.externally_accessible:
            result[self.external_chain] = self._external()
            if p.public_ips and p.source_ranges is not None:
                result[self.firewall_chain] = self._firewall()
        backends: set[Backend] = set()
        if self.uses_cluster and p.everywhere:
            result[self.cluster_chain] = self._balance(p.everywhere, self._masquerade_strangers())
            backends.update(p.everywhere)
        if self.uses_local and p.here:
            from_inside = self._masquerade_strangers() if p.internal_local else ()
            result[self.local_chain] = self._balance(p.here, from_inside)
            backends.update(p.here)
        for backend in sorted(backends):
            result[chains.endpoint(p.name, p.protocol, backend.address)] = self._endpoint(backend)
        return result

    def _masquerade_strangers(self) -> Rules:
        """Who isn't a pod gets this node's address as source, so that the answer comes back through this node."""
        match = self._to(self.port.cluster_ip, "cluster IP")
        return (f"! -s {self.facts.cluster_cidr} {match} -j {chains.MARK_MASQ}",)

    def _external(self) -> Rules:
        name = self.port.name
        if not self.port.external_local:
            masquerade = comment(f"masquerade traffic for {name} external destinations")
            return (f"{masquerade} -j {chains.MARK_MASQ}", f"-j {self.cluster_chain}")
        from_pods = comment(f"pod traffic for {name} external destinations")
        from_node = comment(f"masquerade LOCAL traffic for {name} external destinations")
        route_node = comment(f"route LOCAL traffic for {name} external destinations")
        rules: Rules = ()
        if self.port.everywhere:
            rules = (
                f"-s {self.facts.cluster_cidr} {from_pods} -j {self.cluster_chain}",
                f"{from_node} -m addrtype --src-type LOCAL -j {chains.MARK_MASQ}",
                f"{route_node} -m addrtype --src-type LOCAL -j {self.cluster_chain}",
            )
        return (*rules, f"-j {self.local_chain}") if self.port.here else rules

    def _firewall(self) -> Rules:
        match = comment(f"{self.port.name} loadbalancer IP")
        rest = comment(f"other traffic to {self.port.name} will be dropped by {chains.FIREWALL}")
        allowed = (f"-s {r} {match} -j {self.external_chain}" for r in self.port.source_ranges or ())
        return (*allowed, rest)

    def _balance(self, backends: tuple[Backend, ...], before: Rules) -> Rules:
        """Shares new connections equally: rule i of n takes one in n-i of what its predecessors left."""
        p = self.port
        targets = [(comment(f"{p.name} -> {b.address}"), self._endpoint_chain(b)) for b in backends]
        rules = list(before)
        if p.affinity_s:
            rules += [f"{note} {_recent(chain, p.affinity_s)} -j {chain}" for note, chain in targets]
        for i, (note, chain) in enumerate(targets):
            left = len(targets) - i
            chance = f" -m statistic --mode random --probability {probability(left)}" if left > 1 else ""
            rules.append(f"{note}{chance} -j {chain}")
        return tuple(rules)

    def _endpoint_chain(self, backend: Backend) -> str:
        return chains.endpoint(self.port.name, self.port.protocol, backend.address)

    def _endpoint(self, backend: Backend) -> Rules:
        """A pod that reaches itself through the service needs a foreign source; all get the new destination."""
        p = self.port
        note = comment(p.name)
        remember = ""
        if p.affinity_s:
            remember = f" -m recent --set --name {self._endpoint_chain(backend)} --mask 255.255.255.255 --rsource"
        return (
            f"-s {backend.ip}/32 {note} -j {chains.MARK_MASQ}",
            f"-p {p.protocol} {note}{remember} -m {p.protocol} -j DNAT --to-destination {backend.address}",
        )

    # --- filter: what has nobody to answer it ---

    def _refusal(self) -> tuple[str, str]:
        """(comment, target): nobody anywhere is a refusal; nobody here is silence, as somebody else may answer."""
        if not self.any_endpoint:
            return "has no endpoints", _REFUSE
        return "has no local endpoints", "DROP"

    def refused_inside(self) -> list[str]:
        if self.internal:
            return []
        what, target = self._refusal()
        return [f"{self._to(self.port.cluster_ip, what)} -j {target}"]

    def refused_outside(self) -> list[str]:
        if self.outer:
            return []
        p = self.port
        what, target = self._refusal()
        rules = [f"{self._to(ip, what)} -j {target}" for ip in (*p.external_ips, *p.public_ips)]
        if p.node_port:
            note = comment(f"{p.name} {what}")
            match = f"-p {p.protocol} {note} -m addrtype --dst-type LOCAL -m {p.protocol} --dport {p.node_port}"
            rules.append(f"{match} -j {target}")
        return rules

    def firewall_drops(self) -> list[str]:
        if self.port.source_ranges is None or not self.any_endpoint:
            return []
        what = f"traffic not accepted by {self.firewall_chain}"
        return [f"{self._to(ip, what)} -j DROP" for ip in self.port.public_ips]


def probability(one_in: int) -> str:
    """1/n as iptables-save prints it: the kernel keeps a fraction of 2^31."""
    steps = 1 << 31
    return f"{round(steps / one_in) / steps:.11f}"


def _recent(name: str, seconds: int) -> str:
    return f"-m recent --rcheck --seconds {seconds} --reap --name {name} --mask 255.255.255.255 --rsource"


def assemble(services: Iterable[ServiceRules], facts: Facts) -> RuleSet:
    """The whole rule set of a node, from the rules of its services in the order given."""
    nat: Table = {}
    nat_services: list[str] = []
    node_ports: list[str] = []
    refused: list[str] = []
    refused_external: list[str] = []
    firewall: list[str] = []
    public: list[str] = []
    for service in services:
        nat.update(service.nat)
        nat_services += service.nat_services
        node_ports += service.nat_node_ports
        refused += service.filter_services
        refused_external += service.filter_external
        firewall += service.filter_firewall
        public += service.filter_public
    nat_services.append(_NODE_PORTS_LAST)
    nat[chains.SERVICES] = tuple(nat_services)
    nat[chains.NODE_PORTS] = tuple(node_ports)
    nat[chains.MARK_MASQ] = (f"-j MARK --set-xmark {MASQUERADE_MARK}/{MASQUERADE_MARK}",)
    nat[chains.POSTROUTING] = _POSTROUTING
    nat[chains.LAB_POSTROUTING] = _leaving_the_cluster(facts)
    filter_table: Table = {
        chains.SERVICES: tuple(refused),
        chains.EXTERNAL_SERVICES: tuple(refused_external),
        chains.FIREWALL: tuple(firewall),
        chains.FORWARD: _FORWARD,
        chains.LAB_PUBLIC: tuple(public),
        chains.LAB_FORWARD: _pods_may_be_forwarded(facts),
    }
    raw: Table = {chains.LAB_GUARD: _guard(facts), chains.LAB_MEMBERS: _members(facts)}
    return RuleSet({"raw": raw, "filter": filter_table, "nat": nat}, JUMPS)


_NODE_PORTS_LAST = (
    "! -d 127.0.0.0/8 "
    + comment("kubernetes service nodeports; NOTE: this must be the last rule in this chain")
    + f" -m addrtype --dst-type LOCAL -j {chains.NODE_PORTS}"
)

_POSTROUTING = (
    f"-m mark ! --mark {MASQUERADE_MARK}/{MASQUERADE_MARK} -j RETURN",
    f"-j MARK --set-xmark {MASQUERADE_MARK}/0x0",
    f"{comment('kubernetes service traffic requiring SNAT')} -j MASQUERADE --random-fully",
)

_FORWARD = (
    "-m conntrack --ctstate INVALID -j DROP",
    f"{comment('kubernetes forwarding rules')} -m mark --mark {MASQUERADE_MARK}/{MASQUERADE_MARK} -j ACCEPT",
    f"{comment('kubernetes forwarding conntrack rule')} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
)

_PORTALS = comment("kubernetes service portals")
_EXTERNAL_PORTALS = comment("kubernetes externally-visible service portals")
_LB_FIREWALL = comment("kubernetes load balancer firewall")
_NEW = "-m conntrack --ctstate NEW"

# Within one built-in chain in the order in which packets should meet them.
JUMPS = (
    Jump("raw", "PREROUTING", f"{comment('kubelab: only what is published')} -j {chains.LAB_GUARD}"),
    Jump("filter", "INPUT", f"{_NEW} {_LB_FIREWALL} -j {chains.FIREWALL}"),
    Jump("filter", "INPUT", f"{_NEW} {_EXTERNAL_PORTALS} -j {chains.EXTERNAL_SERVICES}"),
    Jump("filter", "INPUT", f"{_NEW} {comment('kubelab: only what is published')} -j {chains.LAB_PUBLIC}"),
    Jump("filter", "FORWARD", f"{_NEW} {_LB_FIREWALL} -j {chains.FIREWALL}"),
    Jump("filter", "FORWARD", f"{comment('kubernetes forwarding rules')} -j {chains.FORWARD}"),
    Jump("filter", "FORWARD", f"{_NEW} {_PORTALS} -j {chains.SERVICES}"),
    Jump("filter", "FORWARD", f"{_NEW} {_EXTERNAL_PORTALS} -j {chains.EXTERNAL_SERVICES}"),
    Jump("filter", "FORWARD", f"{comment('kubelab: pods may be forwarded')} -j {chains.LAB_FORWARD}"),
    Jump("filter", "OUTPUT", f"{_NEW} {_LB_FIREWALL} -j {chains.FIREWALL}"),
    Jump("filter", "OUTPUT", f"{_NEW} {_PORTALS} -j {chains.SERVICES}"),
    Jump("nat", "PREROUTING", f"{_PORTALS} -j {chains.SERVICES}"),
    Jump("nat", "OUTPUT", f"{_PORTALS} -j {chains.SERVICES}"),
    Jump("nat", "POSTROUTING", f"{comment('kubernetes postrouting rules')} -j {chains.POSTROUTING}"),
    Jump("nat", "POSTROUTING", f"{comment('kubelab: leaving the cluster')} -j {chains.LAB_POSTROUTING}"),
)


def _leaving_the_cluster(facts: Facts) -> Rules:
    """Beyond the cluster nobody knows the way to a pod: there its node's address stands for it."""
    return (f"-s {facts.pod_cidr} ! -d {facts.cluster_cidr} -j MASQUERADE --random-fully",)


def _pods_may_be_forwarded(facts: Facts) -> Rules:
    """For hosts whose FORWARD policy is DROP. Strangers never get this far, see `_guard`."""
    return (f"-s {facts.cluster_cidr} -j ACCEPT", f"-d {facts.cluster_cidr} -j ACCEPT")


def _guard(facts: Facts) -> Rules:
    """What arrives from elsewhere for an address inside the cluster must come from a member of the cluster.

    In the raw table, so before any address is translated: traffic to what is published is still addressed to a node
    or a public address here, and answers to pods that went out are still addressed to their node.
    """
    inside = (facts.cluster_cidr, facts.service_cidr)
    return tuple(f"-d {cidr} ! -i {facts.bridge} -j {chains.LAB_MEMBERS}" for cidr in inside)


def _members(facts: Facts) -> Rules:
    nodes = (f"-s {address}/32 -j RETURN" for address in facts.node_addresses)
    return (f"-s {facts.cluster_cidr} -j RETURN", *nodes, "-j DROP")
