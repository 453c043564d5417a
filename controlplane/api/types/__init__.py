"""The parts of API objects that our components reason about, as small structs with upstream's field names.

Decoding drops what a struct doesn't name. So a component never writes back a whole object that it decoded, unless
it owns every field of it (leases, endpoints, slices): it patches, or creates. What must survive untouched (a pod
template's spec) stays `msgspec.Raw`. Field names are snake_case here and camelCase on the wire.

The published types: api/core/v1/types.go, api/discovery/v1/types.go, api/coordination/v1/types.go.
"""

from __future__ import annotations

import msgspec

from controlplane.api.types.meta import (
    Api,
    Condition,
    LabelSelector,
    LabelSelectorRequirement,
    Object,
    ObjectMeta,
    ObjectReference,
    OwnerReference,
)
from controlplane.api.types.nodes import (
    ContainerImage,
    DaemonEndpoint,
    Lease,
    LeaseSpec,
    Node,
    NodeAddress,
    NodeDaemonEndpoints,
    NodeSpec,
    NodeStatus,
    NodeSystemInfo,
    Taint,
)
from controlplane.api.types.others import (
    ConfigMap,
    Event,
    EventSource,
    Namespace,
    NamespaceSpec,
    NamespaceStatus,
    Secret,
    ServiceAccount,
)
from controlplane.api.types.pods import (
    Container,
    ContainerPort,
    ContainerState,
    ContainerStateRunning,
    ContainerStateTerminated,
    ContainerStateWaiting,
    ContainerStatus,
    EnvVar,
    EnvVarSource,
    ExecAction,
    HTTPGetAction,
    HTTPHeader,
    ObjectFieldSelector,
    Pod,
    PodIP,
    PodSpec,
    PodStatus,
    PodTemplateSpec,
    Probe,
    ReplicationController,
    ReplicationControllerSpec,
    ReplicationControllerStatus,
    ResourceRequirements,
    TCPSocketAction,
    Toleration,
)
from controlplane.api.types.services import (
    ClientIPConfig,
    Endpoint,
    EndpointAddress,
    EndpointConditions,
    EndpointPort,
    Endpoints,
    EndpointSlice,
    EndpointSubset,
    LoadBalancerIngress,
    LoadBalancerStatus,
    Service,
    ServicePort,
    ServiceSpec,
    ServiceStatus,
    SessionAffinityConfig,
)

__all__ = [
    "Api",
    "ClientIPConfig",
    "Condition",
    "ConfigMap",
    "Container",
    "ContainerImage",
    "ContainerPort",
    "ContainerState",
    "ContainerStateRunning",
    "ContainerStateTerminated",
    "ContainerStateWaiting",
    "ContainerStatus",
    "DaemonEndpoint",
    "Endpoint",
    "EndpointAddress",
    "EndpointConditions",
    "EndpointPort",
    "EndpointSlice",
    "EndpointSubset",
    "Endpoints",
    "EnvVar",
    "EnvVarSource",
    "Event",
    "EventSource",
    "ExecAction",
    "HTTPGetAction",
    "HTTPHeader",
    "LabelSelector",
    "LabelSelectorRequirement",
    "Lease",
    "LeaseSpec",
    "LoadBalancerIngress",
    "LoadBalancerStatus",
    "Namespace",
    "NamespaceSpec",
    "NamespaceStatus",
    "Node",
    "NodeAddress",
    "NodeDaemonEndpoints",
    "NodeSpec",
    "NodeStatus",
    "NodeSystemInfo",
    "Object",
    "ObjectFieldSelector",
    "ObjectMeta",
    "ObjectReference",
    "OwnerReference",
    "Pod",
    "PodIP",
    "PodSpec",
    "PodStatus",
    "PodTemplateSpec",
    "Probe",
    "ReplicationController",
    "ReplicationControllerSpec",
    "ReplicationControllerStatus",
    "ResourceRequirements",
    "Secret",
    "Service",
    "ServiceAccount",
    "ServicePort",
    "ServiceSpec",
    "ServiceStatus",
    "SessionAffinityConfig",
    "TCPSocketAction",
    "Taint",
    "Toleration",
    "learn",
]


def learn(base: type[msgspec.Struct]) -> None:
    """Make msgspec learn `base` and every struct derived from it.

    It learns a struct when it first decodes one, and two threads that do so at once crash the process (a segmentation
    fault in msgspec 0.20). So whoever decodes in threads has its structs learnt when its module is imported.
    """
    msgspec.json.Decoder(base)
    for derived in base.__subclasses__():
        learn(derived)


learn(Api)
