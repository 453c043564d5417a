"""Follows a packet through a rule set and says where it ends. Pure.

For tests, which ask "does a client reach this service?" instead of comparing rules, and for explanations. It knows
the matches and targets that the proxy writes and refuses any other, so that it can't be silently wrong. Random
choices are not made: the trace has every outcome, with its probability.

The idea is upstream's pkg/proxy/iptables/proxier_test.go (iptablesTracer); ours also knows the raw table, the
question "is this address local?" and what happens after the destination was changed.
"""

from __future__ import annotations

import ipaddress
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from loadbalancer.rules import Rules, RuleSet

Ending = Literal["forwarded", "delivered here", "dropped", "rejected"]
_FINAL = frozenset({"ACCEPT", "DROP", "REJECT", "DNAT", "MASQUERADE"})


@dataclass(frozen=True)
class Packet:
    """The first packet of a connection. `iface` is where it arrives; empty for one of this node's own processes."""

    source: str
    destination: str
    port: int
    protocol: str = "tcp"
    iface: str = "eth0"


@dataclass(frozen=True)
class Outcome:
    """One of the ways that a packet can go, `probability` of all of them together being 1."""

    probability: float
    ending: Ending
    destination: str
    port: int
    masqueraded: bool
    chains: tuple[str, ...]
    """The chains that it went through, in order."""


@dataclass(frozen=True)
class _State:
    packet: Packet
    probability: float = 1.0
    mark: int = 0
    verdict: str = ""
    path: tuple[str, ...] = ()


class Tracer:
    """Traces packets through `rules` on a node that has these `local_addresses`."""

    def __init__(self, rules: RuleSet, local_addresses: Iterable[str]) -> None:
        self._local = frozenset(local_addresses)
        self._tables: dict[str, dict[str, Rules]] = {table: dict(chains) for table, chains in rules.tables.items()}
        for jump in rules.jumps:
            chains = self._tables.setdefault(jump.table, {})
            chains[jump.chain] = (*chains.get(jump.chain, ()), jump.rule)

    def trace(self, packet: Packet) -> list[Outcome]:
        """Every way that the packet can go."""
        return list(self._outcomes(_State(packet)))

    def _outcomes(self, start: _State) -> Iterator[Outcome]:
        own = not start.packet.iface
        for raw in self._walk("raw", "OUTPUT" if own else "PREROUTING", start):
            if raw.verdict == "DROP":
                yield self._end(raw, "dropped")
                continue
            for state in self._walk("nat", "OUTPUT" if own else "PREROUTING", raw):
                yield from self._filtered(state, own)

    def _filtered(self, state: _State, own: bool) -> Iterator[Outcome]:
        here = self._is_local(state.packet.destination)
        hook = "OUTPUT" if own else "INPUT" if here else "FORWARD"
        for filtered in self._walk("filter", hook, replace(state, verdict="")):
            if filtered.verdict == "DROP":
                yield self._end(filtered, "dropped")
            elif filtered.verdict == "REJECT":
                yield self._end(filtered, "rejected")
            elif here and not own:
                yield self._end(filtered, "delivered here")
            else:
                for sent in self._walk("nat", "POSTROUTING", replace(filtered, verdict="")):
                    yield self._end(sent, "delivered here" if here else "forwarded")

    def _end(self, state: _State, ending: Ending) -> Outcome:
        packet = state.packet
        masqueraded = state.verdict == "MASQUERADE"
        return Outcome(state.probability, ending, packet.destination, packet.port, masqueraded, state.path)

    def _is_local(self, address: str) -> bool:
        return address in self._local or ipaddress.IPv4Address(address).is_loopback

    def _walk(self, table: str, chain: str, state: _State) -> Iterator[_State]:
        """All states in which a packet leaves a chain: with a verdict, or without one at its end."""
        yield from self._rules(table, self._tables.get(table, {}).get(chain, ()), state)

    def _rules(self, table: str, rules: Rules, state: _State) -> Iterator[_State]:
        for i, rule in enumerate(rules):
            matches, target, options = _split(rule)
            chance = self._chance(matches, state)
            if chance == 0 or not target:
                continue
            if chance < 1:
                yield from self._rules(
                    table, rules[i + 1 :], replace(state, probability=state.probability * (1 - chance))
                )
                state = replace(state, probability=state.probability * chance)
            if target == "RETURN":
                break
            if target == "MARK":
                state = replace(state, mark=_marked(state.mark, options["--set-xmark"]))
            elif target in _FINAL:
                yield _final(state, target, options)
                return
            else:
                inside = replace(state, path=(*state.path, target))
                for after in self._rules(table, self._tables[table][target], inside):
                    if after.verdict:
                        yield after
                    else:
                        yield from self._rules(table, rules[i + 1 :], after)
                return
        yield state

    def _chance(self, matches: Mapping[str, str], state: _State) -> float:
        """How likely a rule with these matches takes the packet: 0, 1, or what `statistic` says."""
        chance = 1.0
        for option, value in matches.items():
            if option == "--probability":
                chance = float(value)
            elif not self._matches(option, value, state):
                return 0.0
        return chance

    def _matches(self, option: str, value: str, state: _State) -> bool:
        if option.startswith("! "):
            return not self._matches(option[2:], value, state)
        packet = state.packet
        match option:
            case "-s" | "-d":
                address = packet.source if option == "-s" else packet.destination
                return ipaddress.IPv4Address(address) in ipaddress.IPv4Network(value)
            case "-p":
                return packet.protocol == value
            case "-i":
                return packet.iface == value
            case "--dport":
                return packet.port == int(value)
            case "--dst-type" | "--src-type":
                return self._is_local(packet.destination if option == "--dst-type" else packet.source)
            case "--mark":
                wanted, mask = (int(n, 16) for n in value.split("/"))
                return state.mark & mask == wanted
            case "--ctstate":
                return "NEW" in value.split(",")
            case "--rcheck":
                return False  # a client that was not seen before
            case "--comment" | "--mode" | "--seconds" | "--reap" | "--name" | "--mask" | "--rsource" | "--set":
                return True
        raise ValueError(f"the tracer does not know the match {option!r}")


_WITHOUT_VALUE = frozenset({"--rcheck", "--reap", "--rsource", "--set", "--random-fully"})


def _split(rule: str) -> tuple[dict[str, str], str, dict[str, str]]:
    """(matches, target, options of the target); a negated match has `! ` before its name."""
    words = shlex.split(rule)
    matches: dict[str, str] = {}
    options: dict[str, str] = {}
    into = matches
    target = ""
    while words:
        word = words.pop(0)
        if word == "!":
            word = "! " + words.pop(0)
        value = "" if word in _WITHOUT_VALUE else words.pop(0)
        if word == "-j":
            target, into = value, options
        elif word != "-m":
            into[word] = value
    return matches, target, options


def _marked(mark: int, xmark: str) -> int:
    value, mask = (int(n, 16) for n in xmark.split("/"))
    return (mark & ~mask) ^ value


def _final(state: _State, target: str, options: Mapping[str, str]) -> _State:
    if target != "DNAT":
        return replace(state, verdict=target)
    address, _, port = options["--to-destination"].partition(":")
    return replace(state, verdict=target, packet=replace(state.packet, destination=address, port=int(port)))
