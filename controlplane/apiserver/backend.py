"""What every request works on: the registry, the stores with their caches, tokens, the clock.

One `Backend` per process. Reads come from the watch caches, after they have caught up with everything that this
process has acknowledged (so that a client reads its own writes); a cache is never asked for more than it has.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from controlplane.api.document import Document
from controlplane.api.errors import ApiError
from controlplane.api.profile import profile
from controlplane.apiserver.config import ServerConfig
from controlplane.apiserver.kubelet import Kubelet
from controlplane.apiserver.metrics import Metrics
from controlplane.apiserver.registry import Context, Resource
from controlplane.apiserver.registry import Store as StoreKind
from controlplane.apiserver.tokens import Tokens
from controlplane.store import Key, Store, WatchCache

CATCH_UP_S = 3.0
"""A read waits this long for the cache to catch up with an acknowledged write."""
KINDS_OF_STORE: tuple[StoreKind, ...] = ("durable", "leases")


@dataclass(frozen=True)
class Half:
    """One of the two stores with its cache."""

    store: Store
    cache: WatchCache

    async def caught_up(self, seen: int = 0) -> None:
        """Waits until the cache has what this process acknowledged, and the revision that the client has seen.

        While the store is away the cache can't catch up, and reads go on from what it has.

        Raises: ApiError 504 for a revision that isn't there.
        """
        wanted = max(self.store.acknowledged, seen)
        if self.cache.revision >= wanted:
            return
        try:
            await self.cache.wait_for_async(wanted, CATCH_UP_S)
        except ApiError:
            if self.store.health().writable:
                raise

    def catch_up(self) -> None:
        """As `caught_up`, from a writer's thread."""
        if self.cache.revision < self.store.acknowledged:
            self.cache.wait_for(self.store.acknowledged, CATCH_UP_S)


class Backend:
    """Safe to use from the event loop and from the writers' threads."""

    def __init__(self, config: ServerConfig, resources: Sequence[Resource], halves: dict[StoreKind, Half]) -> None:
        self.config = config
        self.profile = profile(config.profile)
        self.resources = tuple(resources)
        self.by_key = {resource.key: resource for resource in resources}
        self._by_path = {(r.group, r.version, r.plural): r for r in resources}
        self.halves = halves
        self.tokens = Tokens(config.service_account_key_file, config.issuer, self.lookup_cached)
        self.metrics = Metrics()
        self.kubelet = Kubelet(config)
        self.random = random.SystemRandom()
        self.stopping = False
        """Set once, when the process has been asked to end: streams end, /readyz says so."""

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        return self._by_path.get((group, version, plural))

    def half(self, resource: Resource) -> Half:
        return self.halves[resource.store]

    def store(self, resource: Resource) -> Store:
        return self.halves[resource.store].store

    def cache(self, resource: Resource) -> WatchCache:
        return self.halves[resource.store].cache

    @property
    def durable(self) -> Half:
        return self.halves["durable"]

    def lookup_cached(self, resource: str, namespace: str, name: str) -> Document | None:
        """Another object as the cache has it; `resource` as in store keys."""
        found = self.by_key.get(resource)
        return self.cache(found).get(Key(resource, namespace, name)) if found else None

    def lookup(self, resource: str, namespace: str, name: str) -> Document | None:
        """Another object; what the cache doesn't have yet is looked up in the store."""
        found = self.by_key.get(resource)
        if found is None:
            return None
        key = Key(resource, namespace, name)
        return self.cache(found).get(key) or self.store(found).get(key)

    def context(self, user: str) -> Context:
        """What strategies may know of the world, for one request."""
        return Context(
            now=datetime.now(UTC),
            profile=self.profile,
            user=user,
            random=self.random,
            service_cidr=self.config.services,
            node_ports=self.config.node_ports,
            lookup=self.lookup,
        )

    def problems(self) -> dict[str, str]:
        """The checks of /readyz, each with what is wrong (nothing: empty)."""
        checks = {"ping": ""}
        for kind in KINDS_OF_STORE:
            half = self.halves[kind]
            checks[f"cache-{kind}"] = "" if half.cache.ready() else "not loaded yet"
            checks[f"store-{kind}"] = half.store.health().reason
        checks["shutdown"] = "the server is stopping" if self.stopping else ""
        return checks
