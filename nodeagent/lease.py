"""Renews the node's lease: a thread, a connection and a time-out of its own, so that nothing else can delay it.

A renewal counts from the moment it was sent. What follows from renewals that fail is the fence's to say.

Called by `main.py`; reports to `guard.py`. Follows component-helpers/apimachinery/lease/controller.go.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime

from controlplane.api.errors import ApiError
from controlplane.api.profile import Profile
from controlplane.api.resources import LEASES
from controlplane.api.types import Lease, LeaseSpec, ObjectMeta
from controlplane.client import Client
from controlplane.client.clock import Clock
from controlplane.daemon import event

log = logging.getLogger(__name__)

NAMESPACE = "kube-node-lease"
_RETRY = 0.25
"""A renewal that failed is tried again after this share of the period: the API may be back any moment."""


class LeaseKeeper:
    """Renews until stopped. `on_renewed(sent)` gets the monotonic time at which a successful renewal was sent."""

    def __init__(
        self, client: Client, node_name: str, profile: Profile, clock: Clock, on_renewed: Callable[[float], None]
    ) -> None:
        self._client = client
        self._node_name = node_name
        self._profile = profile
        self._clock = clock
        self._on_renewed = on_renewed
        self._stopping = threading.Event()
        self._failing = False
        self._thread = threading.Thread(target=self._run, name="lease", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(timeout=2)

    def _run(self) -> None:
        while not self._stopping.is_set():
            sent = self._clock.monotonic()
            try:
                self._renew(self._clock.now())
            except ApiError as error:
                if not self._failing:
                    event(log, "renewal-failed", level=logging.WARNING, node=self._node_name, error=error.message)
                self._failing = True
            except Exception:
                log.exception("lease of %s", self._node_name)
            else:
                if self._failing:
                    event(log, "renewed-again", node=self._node_name)
                self._failing = False
                self._on_renewed(sent)
            period_s = self._profile.lease_period_s * (_RETRY if self._failing else 1)
            self._stopping.wait(max(0.0, sent + period_s - self._clock.monotonic()))

    def _renew(self, now: datetime) -> None:
        spec = {
            "holderIdentity": self._node_name,
            "leaseDurationSeconds": max(1, round(self._profile.node_unknown_s)),
            "renewTime": now,
        }
        try:
            self._client.patch(LEASES, (NAMESPACE, self._node_name), {"spec": spec})
        except ApiError as error:
            if error.code != 404:
                raise
            self._create(now)

    def _create(self, now: datetime) -> None:
        lease = Lease(
            metadata=ObjectMeta(name=self._node_name, namespace=NAMESPACE),
            spec=LeaseSpec(
                holder_identity=self._node_name,
                lease_duration_seconds=max(1, round(self._profile.node_unknown_s)),
                renew_time=now,
            ),
        )
        self._client.create(LEASES, lease, NAMESPACE)
