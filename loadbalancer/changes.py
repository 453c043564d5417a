"""From the rules that are there to the rules that are wanted: the text for one `iptables-restore --noflush`. Pure.

What must hold: only chains that differ are fed, each whole; chains of others are never touched, and in built-in
chains only the jumps into ours; nothing to do gives an empty text; applying the text to what was there gives what is
wanted (a property test). A chain is emptied before it is removed, and removed after every jump to it has gone.

`iptables-save` names a chain `:NAME policy [counters]` and a rule `-A NAME …`; comments start with `#`.
"""

from __future__ import annotations

from collections.abc import Mapping

from loadbalancer.chains import is_ours
from loadbalancer.rules import Jump, Rules, RuleSet

Tables = Mapping[str, Mapping[str, Rules]]
"""Table → chain → rules in order, as parsed from iptables-save, foreign chains included."""

_JUMP = " -j "


def parse(save_output: str) -> dict[str, dict[str, Rules]]:
    """Reads the output of iptables-save."""
    tables: dict[str, dict[str, list[str]]] = {}
    chain_rules: dict[str, list[str]] = {}
    for line in save_output.splitlines():
        if line.startswith("-A "):
            _, chain, rule = (line + " ").split(" ", 2)
            chain_rules[chain].append(rule.rstrip())
        elif line.startswith(":"):
            chain_rules[line[1 : line.index(" ")]] = []
        elif line.startswith("*"):
            chain_rules = tables.setdefault(line[1:].strip(), {})
    return {table: {chain: tuple(rules) for chain, rules in found.items()} for table, found in tables.items()}


def restore_text(wanted: RuleSet, actual: Tables) -> str:
    """The input for one iptables-restore that makes `actual` into `wanted`; empty when nothing differs."""
    parts = []
    for table, chains in wanted.tables.items():
        jumps = [jump for jump in wanted.jumps if jump.table == table]
        lines = _table_lines(chains, jumps, actual.get(table, {}))
        if lines:
            parts.append("\n".join((f"*{table}", *lines, "COMMIT\n")))
    return "".join(parts)


def _table_lines(wanted: Mapping[str, Rules], jumps: list[Jump], actual: Mapping[str, Rules]) -> list[str]:
    changed = [c for c, rules in wanted.items() if actual.get(c) is not rules and actual.get(c) != rules]
    removed = [c for c in actual if c not in wanted and is_ours(c)]
    lines = [f":{chain} - [0:0]" for chain in (*changed, *removed)]
    for chain in changed:
        lines += [f"-A {chain} {rule}" for rule in wanted[chain]]
    lines += _jump_lines(jumps, actual)
    lines += [f"-X {chain}" for chain in removed]
    return lines


def _jump_lines(jumps: list[Jump], actual: Mapping[str, Rules]) -> list[str]:
    """Puts missing jumps at the top of their chain, in order, and takes away doubled and outdated ones."""
    lines: list[str] = []
    wanted: dict[str, list[str]] = {}
    for jump in jumps:
        wanted.setdefault(jump.chain, []).append(jump.rule)
    for chain, rules in actual.items():
        if is_ours(chain):
            continue
        seen: set[str] = set()
        for rule in rules:
            if leads_to_ours(rule) and (rule in seen or rule not in wanted.get(chain, ())):
                lines.append(f"-D {chain} {rule}")
            seen.add(rule)
    for chain, rules_wanted in wanted.items():
        missing = [rule for rule in rules_wanted if rule not in actual.get(chain, ())]
        lines += [f"-I {chain} {rule}" for rule in reversed(missing)]
    return lines


def leads_to_ours(rule: str) -> bool:
    """Whether a rule's target is one of our chains."""
    _, found, target = f" {rule}".rpartition(_JUMP)
    return bool(found) and is_ours(target)


def foreign(actual: Tables) -> dict[str, dict[str, Rules]]:
    """What isn't ours: other people's chains, and built-in chains without our jumps."""
    return {
        table: {c: tuple(r for r in rules if not leads_to_ours(r)) for c, rules in found.items() if not is_ours(c)}
        for table, found in actual.items()
    }


def without_rules() -> RuleSet:
    """The rule set of a node that the proxy has left: applying it removes every chain and jump of ours."""
    return RuleSet({"raw": {}, "filter": {}, "nat": {}})
