"""Registers this node and keeps its status: sent when it changed, and every five minutes in any case.

The lease is the heartbeat; the status is news. When somebody else marks the node (the lifecycle controller says
Unknown after a cut), the informer tells, and the truth is sent again at once. A node that was deleted is registered
again. Called by `main.py`; one thread.

Follows pkg/kubelet/kubelet_node_status.go.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from controlplane.api.errors import ApiError
from controlplane.api.resources import NODES
from controlplane.api.types import Node
from controlplane.client import Client
from controlplane.client.clock import Clock
from controlplane.client.http import Unreachable
from controlplane.daemon import event
from nodeagent.config import AgentConfig
from nodeagent.nodestatus import Body, Facts, labels, node_body, status_body, without_times

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 10.0
_SEND_EVERY_S = 300.0
_RETRY_S = 1.0
_DOUBTED_S = 0.3
"""So long it waits before it contradicts the API once more: the lease may have to be renewed first."""


@dataclass
class _Sent:
    body: Body
    at: float


class NodeReporter:
    """`changed()` makes it look now."""

    def __init__(self, client: Client, config: AgentConfig, clock: Clock, facts: Callable[[], Facts]) -> None:
        self._client = client
        self._config = config
        self._clock = clock
        self._facts = facts
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._registered = False
        self._doubted = threading.Event()
        self._sent: _Sent | None = None
        self._thread = threading.Thread(target=self._run, name="node-status", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._wake.set()
        self._thread.join(timeout=2)

    def changed(self) -> None:
        """Something that the status shows may have changed."""
        self._wake.set()

    def on_node(self, old: Node | None, new: Node | None) -> None:
        """Informer handler: this node as the API has it."""
        name = self._config.node_name
        if (new or old) is None or (new or old).metadata.name != name:  # type: ignore[union-attr]  # one of them is set
            return
        if new is None:
            self._registered = False
        elif new.ready:
            return
        else:
            self._doubted.set()
        self._wake.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            wait_s = _LOOK_EVERY_S
            self._wake.clear()
            try:
                self._report()
            except ApiError as error:
                wait_s = _RETRY_S
                if error.code == 404:
                    self._registered = False
                level = logging.DEBUG if isinstance(error, Unreachable) else logging.WARNING
                event(log, "node-status-failed", level=level, node=self._config.node_name, error=error.message)
            except Exception:
                log.exception("status of %s", self._config.node_name)
                wait_s = _RETRY_S
            self._wake.wait(wait_s)
            if self._doubted.is_set():
                self._stopping.wait(_DOUBTED_S)

    def _report(self) -> None:
        name = self._config.node_name
        if not self._registered:
            self._register()
        body = status_body(self._config, self._facts(), None, self._clock.now())
        now = self._clock.monotonic()
        sent, doubted = self._sent, self._doubted.is_set() and _says_ready(body)
        self._doubted.clear()  # what is said from now on, while this is being sent, counts again
        known = sent is not None and now - sent.at < _SEND_EVERY_S and without_times(sent.body) == without_times(body)
        if known and not doubted:
            return
        node = self._client.get(NODES, name)
        body = status_body(self._config, self._facts(), node.status, self._clock.now())
        self._client.patch(NODES, ("", name), {"status": body}, kind="strategic", subresource="status")
        if sent is None or doubted:
            event(log, "node-status", node=name, ready=_says_ready(body))
        self._sent = _Sent(body, now)

    def _register(self) -> None:
        """Create the node, or see to it that an existing one has our labels and pod range."""
        name = self._config.node_name
        try:
            self._client.create(NODES, node_body(self._config))
            event(log, "register", node=name)
        except ApiError as error:
            if error.code != 409:
                raise
            node = self._client.get(NODES, name)
            missing = {k: v for k, v in labels(self._config).items() if (node.metadata.labels or {}).get(k) != v}
            patch: Body = {}
            if missing:
                patch["metadata"] = {"labels": missing}
            if not node.spec.pod_cidr:
                patch["spec"] = {"podCIDR": self._config.pod_cidr, "podCIDRs": [self._config.pod_cidr]}
            if patch:
                self._client.patch(NODES, ("", name), patch)
        self._registered = True
        self._sent = None


def _says_ready(body: Body) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in body["conditions"])
