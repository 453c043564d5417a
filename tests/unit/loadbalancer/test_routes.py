"""Which routes a node wants, and that only ours are changed."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from controlplane.api.types import Node
from loadbalancer.commands import CommandError
from loadbalancer.routes import Routes, node_addresses, wanted_routes
from tests.unit.loadbalancer.make import node

MASTER = node("master", "10.77.0.10", "10.244.0.0/24")
OWN = node("worker-1", "10.77.0.11", "10.244.1.0/24")
OTHER = node("worker-2", "10.77.0.12", "10.244.2.0/24")


def wanted(*nodes: Node) -> dict[str, str]:
    return wanted_routes(nodes, "worker-1", "10.244.1.0/24", "10.244.0.0/16")


def test_a_route_to_every_other_node() -> None:
    assert wanted(MASTER, OWN, OTHER) == {"10.244.0.0/24": "10.77.0.10", "10.244.2.0/24": "10.77.0.12"}


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(node("x", "10.77.0.13", ""), id="no-range-yet"),
        pytest.param(node("x", "", "10.244.3.0/24"), id="no-address-yet"),
        pytest.param(node("x", "10.77.0.13", "0.0.0.0/0"), id="everything"),
        pytest.param(node("x", "10.77.0.13", "10.96.0.0/24"), id="not-a-pod-range"),
        pytest.param(node("x", "10.77.0.13", "10.244.1.0/24"), id="ours"),
        pytest.param(node("x", "10.77.0.13", "10.244.1.128/25"), id="part-of-ours"),
        pytest.param(node("x", "10.77.0.13", "--help"), id="no-range"),
        pytest.param(node("x", "dev lo", "10.244.3.0/24"), id="no-address"),
    ],
)
def test_a_node_cannot_claim_what_is_not_its_own(bad: Node) -> None:
    assert wanted(OTHER, bad) == {"10.244.2.0/24": "10.77.0.12"}


def test_of_two_nodes_with_one_range_the_older_has_it() -> None:
    older, newer = node("z", "10.77.0.13", "10.244.3.0/24"), node("a", "10.77.0.14", "10.244.3.0/24")
    older.metadata.creation_timestamp = datetime(2026, 1, 1, tzinfo=UTC)
    newer.metadata.creation_timestamp = datetime(2026, 1, 2, tzinfo=UTC)
    assert wanted(newer, older) == {"10.244.3.0/24": "10.77.0.13"}


def test_node_addresses_have_our_own_even_before_we_are_registered() -> None:
    assert node_addresses([MASTER, OTHER], "10.77.0.11") == ("10.77.0.10", "10.77.0.11", "10.77.0.12")


class FakeIp:
    """`ip route` with routes of its own; refuses those via an address in `unreachable`."""

    def __init__(self, unreachable: str = "") -> None:
        self.routes = {"10.244.9.0/24": "10.77.0.19", "10.244.0.0/24": "10.77.0.10"}
        self.unreachable = unreachable
        self.changes = 0

    def __call__(self, args: Sequence[str], stdin: str = "", timeout_s: float = 30.0) -> str:
        match list(args):
            case ["ip", "-4", "-json", "route", "show", "proto", "76"]:
                return (
                    "["
                    + ",".join(
                        f'{{"dst":"{d}","gateway":"{v}"}}' if v else f'{{"dst":"{d}"}}'
                        for d, v in self.routes.items()
                    )
                    + "]"
                )
            case ["ip", "-4", "route", "replace", pods, "via", via, "dev", "eth0", "proto", "76"]:
                if via == self.unreachable:
                    raise CommandError(args, 2, "Network is unreachable")
                self.routes[pods] = via
            case ["ip", "-4", "route", "replace", pods, "src", "10.77.0.11", "dev", "eth0", "proto", "76"]:
                self.routes[pods] = ""
            case ["ip", "-4", "route", "del", pods, "proto", "76"]:
                del self.routes[pods]
            case _:
                raise AssertionError(args)
        self.changes += 1
        return ""


def test_sync_changes_what_differs() -> None:
    ip = FakeIp()
    goal = {"10.96.0.0/16": "", "10.244.0.0/24": "10.77.0.10", "10.244.2.0/24": "10.77.0.12"}
    assert Routes("eth0", "10.77.0.11", ip).sync(goal) == [
        "10.96.0.0/16 via eth0",
        "10.244.2.0/24 via 10.77.0.12",
        "10.244.9.0/24 removed",
    ]
    assert ip.routes == goal
    assert Routes("eth0", "10.77.0.11", ip).sync(goal) == []
    assert ip.changes == 3


def test_one_route_that_fails_does_not_keep_others_from_being_set() -> None:
    ip = FakeIp(unreachable="10.77.0.12")
    with pytest.raises(CommandError, match="unreachable"):
        Routes("eth0", "10.77.0.11", ip).sync({"10.244.2.0/24": "10.77.0.12", "10.244.3.0/24": "10.77.0.13"})
    assert ip.routes == {"10.244.3.0/24": "10.77.0.13"}
