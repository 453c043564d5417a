"""Who leads: one holder of a Lease at a time, judged by each candidate's own monotonic clock.

A candidate takes the lease when it is free, released, or hasn't changed for its duration as *seen from here*; the
holder renews it and stops leading the moment it can't. The lease only decides who may start: what protects the
store from a leader that was asleep is the term (see `Client.lead`).

Follows client-go/tools/leaderelection/leaderelection.go.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from controlplane.api.errors import ApiError
from controlplane.api.resources import LEASES
from controlplane.api.types import Lease, LeaseSpec, ObjectMeta
from controlplane.client.clock import Clock, SystemClock
from controlplane.client.http import Client
from controlplane.daemon import event

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LeaderConfig:
    """Which lease, who we are, and the timings in seconds."""

    namespace: str
    name: str
    identity: str
    duration_s: float = 3.0
    renew_deadline_s: float = 2.0
    retry_s: float = 0.5


class LeaderLease:
    """Runs for the lease; blocks in `acquire`, then keeps it until `stop` or until it is lost."""

    def __init__(self, client: Client, config: LeaderConfig, clock: Clock | None = None) -> None:
        self._client = client
        self._config = config
        self._clock: Clock = clock or SystemClock()
        self._observed: tuple[str, float] | None = None
        self._renewed_at = 0.0
        self._stopping = threading.Event()

    def acquire(self) -> bool:
        """Wait until we hold the lease; False when `stop` was called first."""
        while not self._stopping.is_set():
            if self._try():
                event(log, "leading", lease=self._config.name, identity=self._config.identity)
                return True
            self._stopping.wait(self._config.retry_s)
        return False

    def keep(self, on_lost: Callable[[], None]) -> None:
        """Renew until `stop`; call `on_lost` once when renewing has failed for the deadline."""
        while not self._stopping.wait(self._config.retry_s):
            if not self._try() and self._clock.monotonic() - self._renewed_at >= self._config.renew_deadline_s:
                event(log, "lost-lead", level=logging.ERROR, lease=self._config.name)
                on_lost()
                return

    def stop(self, release: bool = True) -> None:
        """Stop renewing; with `release` let the next candidate start at once."""
        self._stopping.set()
        if release and self._renewed_at:
            try:
                lease = self._client.get(LEASES, self._config.name, self._config.namespace)
                if lease.spec.holder_identity == self._config.identity:
                    lease.spec.holder_identity = ""
                    self._client.update(LEASES, lease)
            except ApiError as error:
                event(log, "release-failed", level=logging.WARNING, error=error.message)

    def _try(self) -> bool:
        started = self._clock.monotonic()
        try:
            held = self._take()
        except ApiError as error:
            event(log, "lease-not-renewed", level=logging.DEBUG, error=error.message)
            return False
        if held:
            self._renewed_at = started
        return held

    def _take(self) -> bool:
        now = self._clock.now()
        config = self._config
        try:
            lease = self._client.get(LEASES, config.name, config.namespace)
        except ApiError as error:
            if error.code != 404:
                raise
            lease = Lease(
                metadata=ObjectMeta(name=config.name, namespace=config.namespace),
                spec=LeaseSpec(
                    holder_identity=config.identity,
                    lease_duration_seconds=int(config.duration_s),
                    acquire_time=now,
                    renew_time=now,
                    lease_transitions=0,
                ),
            )
            self._client.create(LEASES, lease, config.namespace)
            return True
        mine = lease.spec.holder_identity == config.identity
        if not mine and lease.spec.holder_identity and not self._expired(lease):
            return False
        if not mine:
            lease.spec.acquire_time = now
            lease.spec.lease_transitions = (lease.spec.lease_transitions or 0) + 1
        lease.spec.holder_identity = config.identity
        lease.spec.lease_duration_seconds = int(config.duration_s)
        lease.spec.renew_time = now
        self._client.update(LEASES, lease)
        return True

    def _expired(self, lease: Lease) -> bool:
        """Whether the lease hasn't changed for its duration since we first saw it so."""
        version = lease.metadata.resource_version
        now = self._clock.monotonic()
        if self._observed is None or self._observed[0] != version:
            self._observed = (version, now)
            return False
        return now - self._observed[1] >= self._config.duration_s
