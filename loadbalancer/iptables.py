"""Brings a rule set into the kernel with one `iptables-restore --noflush`, and notices when others disturb it.

What must hold: one call is one restore, so each table is wholly old or wholly new; what is in place isn't fed again;
chains of others stay as they are. The back end (nft or legacy) is chosen by name, since both can be installed and
each sees only its own rules. legacy takes a lock that all tools share (`--wait` waits for it); when it stays taken,
`apply` raises and the caller tries again.

Follows upstream pkg/util/iptables (RestoreAll with NoFlushTables) and the canary of its Monitor: instead of a canary
chain all of our chains are compared.
"""

from __future__ import annotations

from typing import Literal

from loadbalancer import changes
from loadbalancer.commands import Run
from loadbalancer.rules import Rules, RuleSet

Backend = Literal["nft", "legacy"]
BACKENDS: tuple[Backend, ...] = ("nft", "legacy")

LOCK_WAIT_S = 5


class Iptables:
    """The rules of this network namespace, through one back end. For one thread."""

    def __init__(self, backend: Backend, run: Run) -> None:
        self.backend = backend
        self._run = run
        self._in_place: RuleSet | None = None
        """What was applied last; None when that isn't known for certain."""

    def read(self) -> dict[str, dict[str, Rules]]:
        """All rules as they are, other people's too. Raises: CommandError."""
        return changes.parse(self._run([f"iptables-{self.backend}-save"]))

    def apply(self, wanted: RuleSet) -> int:
        """Makes the rules those wanted; returns the number of lines fed.

        Raises: CommandError; nothing has changed then.
        """
        before = self._in_place
        if before is None or before.jumps != wanted.jumps:
            return self.repair(wanted)
        return self._feed(changes.restore_text(RuleSet(wanted.tables), before.tables), wanted)

    def repair(self, wanted: RuleSet) -> int:
        """Like `apply`, but compares with what really is there; 0 lines fed means that nobody had disturbed it."""
        return self._feed(changes.restore_text(wanted, self.read()), wanted)

    def _feed(self, text: str, wanted: RuleSet) -> int:
        if text:
            self._in_place = None
            wait = ["--wait", str(LOCK_WAIT_S)] if self.backend == "legacy" else []
            self._run([f"iptables-{self.backend}-restore", "--noflush", *wait], stdin=text)
        self._in_place = wanted
        return text.count("\n")
