"""Which controllers there are; a new one is a new file and one line here."""

from __future__ import annotations

from controlplane.api.addresspool import Pool
from controlplane.controllers.endpoints import ServiceEndpoints
from controlplane.controllers.environment import Controller, Environment
from controlplane.controllers.eventcap import EventCap
from controlplane.controllers.garbagecollector import GarbageCollector
from controlplane.controllers.namespace import Namespaces
from controlplane.controllers.namespacebasics import NamespaceBasics
from controlplane.controllers.nodelifecycle import NodeLifecycle
from controlplane.controllers.podgc import PodGarbage
from controlplane.controllers.replicationcontroller import ReplicationControllers
from controlplane.controllers.serviceaddress import ServiceAddresses


def all_controllers(env: Environment, pool: Pool, events_kept: int) -> list[Controller]:
    """One of each, with their handlers in place, not started.

    The garbage collector comes last: it follows the metadata of whatever kinds no other follows whole.

    Raises: ApiError when the API doesn't say what it serves.
    """
    return [
        NodeLifecycle(env),
        ServiceEndpoints(env),
        ServiceAddresses(env, pool),
        ReplicationControllers(env),
        Namespaces(env),
        NamespaceBasics(env),
        PodGarbage(env),
        EventCap(env, events_kept),
        GarbageCollector(env),
    ]
