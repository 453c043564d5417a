"""Where each kind lives in the API: group, version, plural name, scope, and the struct to decode it into.

The client's side of the server's registry: a component names a resource by one of these constants.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar
from urllib.parse import quote

from controlplane.api import types

T = TypeVar("T", bound=types.Object)


@dataclass(frozen=True)
class ResourceType(Generic[T]):
    """One resource of the API and the struct of its objects."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool
    struct: type[T]

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """`pods`, `endpointslices.discovery.k8s.io`: unique over all groups."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The URL path of the collection (all namespaces when `namespace` is empty), an object or a sub-resource."""
        parts = ["/apis", self.group, self.version] if self.group else ["/api", self.version]
        if self.namespaced and namespace:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        if name:
            parts.append(quote(name, safe=""))
        if subresource:
            parts.append(subresource)
        return "/".join(parts)


PODS = ResourceType("", "v1", "pods", "Pod", True, types.Pod)
NODES = ResourceType("", "v1", "nodes", "Node", False, types.Node)
SERVICES = ResourceType("", "v1", "services", "Service", True, types.Service)
ENDPOINTS = ResourceType("", "v1", "endpoints", "Endpoints", True, types.Endpoints)
ENDPOINT_SLICES = ResourceType("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", True, types.EndpointSlice)
LEASES = ResourceType("coordination.k8s.io", "v1", "leases", "Lease", True, types.Lease)
REPLICATION_CONTROLLERS = ResourceType(
    "", "v1", "replicationcontrollers", "ReplicationController", True, types.ReplicationController
)
NAMESPACES = ResourceType("", "v1", "namespaces", "Namespace", False, types.Namespace)
EVENTS = ResourceType("", "v1", "events", "Event", True, types.Event)
CONFIG_MAPS = ResourceType("", "v1", "configmaps", "ConfigMap", True, types.ConfigMap)
SECRETS = ResourceType("", "v1", "secrets", "Secret", True, types.Secret)
SERVICE_ACCOUNTS = ResourceType("", "v1", "serviceaccounts", "ServiceAccount", True, types.ServiceAccount)
