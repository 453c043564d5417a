"""Which controllers there are; a new one is a new file and one line here."""

from __future__ import annotations

from controlplane.controllers.addresses import Pool
from controlplane.controllers.endpoints import ServiceEndpoints
from controlplane.controllers.environment import Controller, Environment
from controlplane.controllers.nodelifecycle import NodeLifecycle
from controlplane.controllers.replicationcontroller import ReplicationControllers


def all_controllers(env: Environment, pool: Pool, events_kept: int) -> list[Controller]:
    """One of each, with their handlers in place, not started."""
    return [
        NodeLifecycle(env),
        ServiceEndpoints(env),
        ReplicationControllers(env),
    ]
