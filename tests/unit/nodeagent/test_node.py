"""The node's status: what others say of the node while it is being sent is contradicted, never lost."""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import Any, cast

from controlplane.api.types import Condition, Node, NodeStatus, ObjectMeta
from nodeagent.host import Room
from nodeagent.node import NodeReporter
from nodeagent.nodestatus import Facts
from tests.unit.nodeagent.builders import CONFIG, FakeClock

FACTS = Facts(Room(1 << 30, 1 << 30, 0.5, 0.5, 0.5), "", "containerd://1.6.20", "boot", "machine", "6.1", "Debian")


def node(ready: str) -> Node:
    status = NodeStatus(conditions=[Condition(type="Ready", status=ready)])
    return Node(metadata=ObjectMeta(name=CONFIG.node_name), status=status)


class Api:
    """Keeps what is sent; `meanwhile` runs while a status is on its way."""

    def __init__(self) -> None:
        self.sent: queue.Queue[str] = queue.Queue()
        self.meanwhile: Callable[[], None] = lambda: None

    def create(self, *_: Any) -> None:
        pass

    def get(self, *_: Any) -> Node:
        return node("True")

    def patch(self, _: object, __: object, body: Any, **___: Any) -> None:
        meanwhile, self.meanwhile = self.meanwhile, lambda: None
        meanwhile()
        conditions = {c["type"]: c["status"] for c in body["status"]["conditions"]}
        self.sent.put(conditions["Ready"])


def test_a_verdict_that_comes_while_the_status_is_sent_is_answered() -> None:
    api = Api()
    reporter = NodeReporter(cast("Any", api), CONFIG, FakeClock(), lambda: FACTS)
    api.meanwhile = lambda: reporter.on_node(node("True"), node("Unknown"))
    reporter.start()
    try:
        assert api.sent.get(timeout=5) == "True"
        assert api.sent.get(timeout=5) == "True", "said again, since somebody said otherwise in between"
    finally:
        reporter.stop()
