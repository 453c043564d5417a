"""One file per served resource; `ALL` is the registry.

A new resource is one new file here that exports `RESOURCE`, and its line in `ALL`. `podspec` and `servicespec`
hold what is too much for one file.
"""

from __future__ import annotations

from controlplane.apiserver.registry import Resource
from controlplane.apiserver.resources import (
    configmaps,
    endpoints,
    endpointslices,
    events,
    leases,
    namespaces,
    nodes,
    pods,
    replicationcontrollers,
    secrets,
    serviceaccounts,
    services,
)

ALL: tuple[Resource, ...] = (
    configmaps.RESOURCE,
    endpoints.RESOURCE,
    events.RESOURCE,
    namespaces.RESOURCE,
    nodes.RESOURCE,
    pods.RESOURCE,
    replicationcontrollers.RESOURCE,
    secrets.RESOURCE,
    serviceaccounts.RESOURCE,
    services.RESOURCE,
    leases.RESOURCE,
    endpointslices.RESOURCE,
)
