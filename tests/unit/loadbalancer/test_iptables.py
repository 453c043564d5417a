"""What is asked of the iptables tools; what they do with it is seen in tests/integration/loadbalancer."""

from collections.abc import Sequence

import pytest

from loadbalancer.commands import CommandError
from loadbalancer.iptables import Backend, Iptables
from tests.unit.loadbalancer.make import backends, port, ruleset


class FakeTools:
    """Remembers the calls; saves nothing, and can fail."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.fed: list[str] = []
        self.fails = False

    def __call__(self, args: Sequence[str], stdin: str = "", timeout_s: float = 30.0) -> str:
        self.calls.append(list(args))
        if "restore" in args[0]:
            if self.fails:
                raise CommandError(args, 4, "Another app is currently holding the xtables lock")
            self.fed.append(stdin)
        return ""


@pytest.mark.parametrize(
    ("backend", "expected"),
    [
        ("nft", ["iptables-nft-restore", "--noflush"]),
        ("legacy", ["iptables-legacy-restore", "--noflush", "--wait", "5"]),
    ],
)
def test_the_back_end_is_named_and_one_restore_is_enough(backend: Backend, expected: list[str]) -> None:
    tools = FakeTools()
    Iptables(backend, tools).apply(ruleset(port()))
    assert tools.calls == [[f"iptables-{backend}-save"], expected]


def test_a_second_change_is_compared_with_the_first_without_reading_again() -> None:
    tools = FakeTools()
    iptables = Iptables("nft", tools)
    iptables.apply(ruleset(port()))
    assert iptables.apply(ruleset(port())) == 0
    fed = iptables.apply(ruleset(port(everywhere=backends("10.244.1.2"))))
    assert fed == tools.fed[1].count("\n")
    assert [args[0] for args in tools.calls] == ["iptables-nft-save", "iptables-nft-restore", "iptables-nft-restore"]


def test_after_a_failure_it_looks_again() -> None:
    tools = FakeTools()
    iptables = Iptables("legacy", tools)
    tools.fails = True
    with pytest.raises(CommandError, match="xtables lock"):
        iptables.apply(ruleset(port()))
    tools.fails = False
    assert iptables.apply(ruleset(port())) > 0
    assert [args[0] for args in tools.calls].count("iptables-legacy-save") == 2
