"""What every controller is given: the client, shared informers, time, the profile, and whom to tell that we lost.

One informer a resource, shared by all, started when every handler and index is in place. A controller makes its work
queue and registers its handlers in its constructor, and starts its workers in `start`, which the manager calls only
when every cache has synced. After client-go/informers (SharedInformerFactory) and cmd/kube-controller-manager.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from controlplane.api.errors import ApiError
from controlplane.api.profile import Profile
from controlplane.api.resources import PODS, ResourceType
from controlplane.api.types import Object, Pod
from controlplane.client import Client, Clock, Informer, Recorder, WorkQueue, run_controller
from controlplane.client.workqueue import Key

T = TypeVar("T", bound=Object)

BY_NAMESPACE = "namespace"
BY_NODE = "node"
"""Index of the pods informer: the pods bound to a node."""


class Controller(Protocol):
    """What the manager starts and stops."""

    def start(self) -> None:
        """Starts the workers; caches have synced."""

    def stop(self) -> None:
        """Ends the workers; no write after it returns, but for those under way."""


class Informers:
    """Shared informers of one client, one a resource."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._informers: dict[str, Informer[Any]] = {}
        self._lock = threading.Lock()

    def of(self, resource: ResourceType[T], field_selector: str = "") -> Informer[T]:
        """The informer of a resource; made at the first call, with an index by namespace (pods: by node too)."""
        name = f"{resource.qualified}?{field_selector}"
        with self._lock:
            informer = self._informers.get(name)
            if informer is None:
                informer = Informer(self._client, resource, field_selector=field_selector)
                informer.add_indexer(BY_NAMESPACE, lambda obj: [obj.metadata.namespace])
                if resource.qualified == PODS.qualified:
                    informer.add_indexer(BY_NODE, _node_of)
                self._informers[name] = informer
            return informer

    def start(self) -> None:
        """Starts all that were asked for."""
        for informer in self._informers.values():
            informer.start()

    def synced(self, timeout_s: float) -> bool:
        """Waits for every first list, `timeout_s` for each."""
        return all(informer.synced(timeout_s) for informer in self._informers.values())

    def stop(self) -> None:
        for informer in self._informers.values():
            informer.stop()

    def __iter__(self) -> Any:
        return iter(self._informers.values())


def _node_of(obj: Object) -> list[str]:
    return [obj.spec.node_name] if isinstance(obj, Pod) and obj.spec.node_name else []


@dataclass(frozen=True)
class Environment:
    """Given to each controller."""

    client: Client
    informers: Informers
    clock: Clock
    profile: Profile
    on_stale: Callable[[], None]
    """Another manager leads, or may: this process must end."""
    identity: str = ""
    cold: bool = False
    """The machine or the store has just started: nodes may still be booting."""
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(8, thread_name_prefix="write"))
    """For writes that may go side by side, so that they share one fsync."""

    def delete(self, resource: ResourceType[T], obj: T, grace_period_s: int | None = None) -> None:
        """Deletes this very object; that it is gone, or another one by now, is no error.

        Raises: ApiError for anything else.
        """
        try:
            self.client.delete(resource, obj.key, uid=obj.metadata.uid, grace_period_s=grace_period_s)
        except ApiError as error:
            if error.code != 404 and error.reason != "Conflict":
                raise

    def recorder(self, component: str) -> Recorder:
        """An event recorder under upstream's name of the component."""
        return Recorder(self.client, component, self.identity, self.clock)


class QueueController:
    """A controller with one work queue: what most of them are."""

    name = ""
    workers = 1

    def __init__(self, env: Environment) -> None:
        self.env = env
        self.queue = WorkQueue(env.clock)

    def reconcile(self, key: Key) -> float | None:
        """Observes, plans, applies; seconds until it wants the key again."""
        raise NotImplementedError

    def start(self) -> None:
        run_controller(self.name, self.queue, self.reconcile, self.env.on_stale, self.workers)

    def stop(self) -> None:
        self.queue.shut_down()
