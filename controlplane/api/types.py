"""The parts of API objects that our components reason about, as small structs with upstream's field names.

Decoding drops what a struct doesn't name. So a component never writes back a whole object that it decoded, unless
it owns every field of it (leases, endpoints, slices): it patches, or creates. What must survive untouched (a pod
template's spec) stays `msgspec.Raw`. Field names are snake_case here and camelCase on the wire.

The published types: api/core/v1/types.go, api/discovery/v1/types.go, api/coordination/v1/types.go.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec


class Api(msgspec.Struct, rename="camel", omit_defaults=True, kw_only=True):
    """Base of all structs: keyword-only, camelCase on the wire, defaults left out."""


# --- metadata ---------------------------------------------------------------------------------------------------


class OwnerReference(Api):
    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool | None = None
    block_owner_deletion: bool | None = None


class ObjectMeta(Api):
    name: str = ""
    generate_name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    deletion_grace_period_seconds: int | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: list[OwnerReference] | None = None
    finalizers: list[str] | None = None

    def controller(self) -> OwnerReference | None:
        """The owner that manages this object, if it has one."""
        return next((o for o in self.owner_references or () if o.controller), None)


class Object(Api):
    """What every API object has. `kind` and `api_version` are always sent (clients need them)."""

    api_version: str = ""
    kind: str = ""
    metadata: ObjectMeta = msgspec.field(default_factory=ObjectMeta)

    @property
    def key(self) -> tuple[str, str]:
        """(namespace, name); the namespace is empty for cluster-scoped objects."""
        return (self.metadata.namespace, self.metadata.name)


class Condition(Api):
    """A condition of any kind's status; node conditions add a heartbeat."""

    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_transition_time: datetime | None = None
    last_heartbeat_time: datetime | None = None
    observed_generation: int | None = None


class LabelSelectorRequirement(Api):
    key: str
    operator: str
    values: list[str] | None = None


class LabelSelector(Api):
    match_labels: dict[str, str] | None = None
    match_expressions: list[LabelSelectorRequirement] | None = None


class ObjectReference(Api):
    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""
    api_version: str = ""
    resource_version: str = ""
    field_path: str = ""


# --- pods -------------------------------------------------------------------------------------------------------


class ContainerPort(Api):
    container_port: int
    name: str = ""
    host_port: int = 0
    host_ip: str = msgspec.field(default="", name="hostIP")
    protocol: str = "TCP"


class ObjectFieldSelector(Api):
    field_path: str
    api_version: str = "v1"


class EnvVarSource(Api):
    field_ref: ObjectFieldSelector | None = None
    resource_field_ref: dict[str, Any] | None = None
    config_map_key_ref: dict[str, Any] | None = None
    secret_key_ref: dict[str, Any] | None = None


class EnvVar(Api):
    name: str
    value: str = ""
    value_from: EnvVarSource | None = None


class ResourceRequirements(Api):
    requests: dict[str, str] | None = None
    limits: dict[str, str] | None = None


class ExecAction(Api):
    command: list[str] | None = None


class HTTPHeader(Api):
    name: str
    value: str = ""


class HTTPGetAction(Api):
    port: int | str
    path: str = "/"
    host: str = ""
    scheme: str = "HTTP"
    http_headers: list[HTTPHeader] | None = None


class TCPSocketAction(Api):
    port: int | str
    host: str = ""


class Probe(Api):
    exec: ExecAction | None = None
    http_get: HTTPGetAction | None = None
    tcp_socket: TCPSocketAction | None = None
    grpc: dict[str, Any] | None = None
    initial_delay_seconds: int = 0
    timeout_seconds: int = 1
    period_seconds: int = 10
    success_threshold: int = 1
    failure_threshold: int = 3
    termination_grace_period_seconds: int | None = None


class Container(Api):
    name: str
    image: str = ""
    command: list[str] | None = None
    args: list[str] | None = None
    working_dir: str = ""
    ports: list[ContainerPort] | None = None
    env: list[EnvVar] | None = None
    resources: ResourceRequirements = msgspec.field(default_factory=ResourceRequirements)
    liveness_probe: Probe | None = None
    readiness_probe: Probe | None = None
    startup_probe: Probe | None = None
    image_pull_policy: str = ""
    stdin: bool = False
    stdin_once: bool = False
    tty: bool = False


class Toleration(Api):
    key: str = ""
    operator: str = "Equal"
    value: str = ""
    effect: str = ""
    toleration_seconds: int | None = None

    def tolerates(self, taint: Taint) -> bool:
        """Whether this toleration matches the taint (api/core/v1/toleration.go)."""
        if self.effect and self.effect != taint.effect:
            return False
        if self.key and self.key != taint.key:
            return False
        if self.operator == "Exists":
            return True
        return bool(self.key) and self.value == taint.value


class PodSpec(Api):
    containers: list[Container] = msgspec.field(default_factory=list)
    init_containers: list[Container] | None = None
    node_name: str = ""
    node_selector: dict[str, str] | None = None
    tolerations: list[Toleration] | None = None
    restart_policy: str = "Always"
    termination_grace_period_seconds: int | None = None
    active_deadline_seconds: int | None = None
    host_network: bool = False
    host_pid: bool = msgspec.field(default=False, name="hostPID")
    host_ipc: bool = msgspec.field(default=False, name="hostIPC")
    share_process_namespace: bool | None = None
    hostname: str = ""
    subdomain: str = ""
    service_account_name: str = ""
    scheduler_name: str = "default-scheduler"
    priority: int | None = None


class ContainerStateWaiting(Api):
    reason: str = ""
    message: str = ""


class ContainerStateRunning(Api):
    started_at: datetime | None = None


class ContainerStateTerminated(Api):
    exit_code: int
    signal: int = 0
    reason: str = ""
    message: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    container_id: str = msgspec.field(default="", name="containerID")


class ContainerState(Api):
    waiting: ContainerStateWaiting | None = None
    running: ContainerStateRunning | None = None
    terminated: ContainerStateTerminated | None = None


class ContainerStatus(Api):
    name: str
    state: ContainerState = msgspec.field(default_factory=ContainerState)
    last_state: ContainerState = msgspec.field(default_factory=ContainerState)
    ready: bool = False
    restart_count: int = 0
    image: str = ""
    image_id: str = msgspec.field(default="", name="imageID")
    container_id: str = msgspec.field(default="", name="containerID")
    started: bool | None = None


class PodIP(Api):
    ip: str


class PodStatus(Api):
    phase: str = ""
    conditions: list[Condition] | None = None
    reason: str = ""
    message: str = ""
    host_ip: str = msgspec.field(default="", name="hostIP")
    pod_ip: str = msgspec.field(default="", name="podIP")
    pod_ips: list[PodIP] | None = msgspec.field(default=None, name="podIPs")
    start_time: datetime | None = None
    container_statuses: list[ContainerStatus] | None = None
    init_container_statuses: list[ContainerStatus] | None = None
    qos_class: str = ""


class Pod(Object):
    spec: PodSpec = msgspec.field(default_factory=PodSpec)
    status: PodStatus = msgspec.field(default_factory=PodStatus)

    @property
    def terminating(self) -> bool:
        return self.metadata.deletion_timestamp is not None

    @property
    def finished(self) -> bool:
        """Succeeded or Failed: it will never run again."""
        return self.status.phase in ("Succeeded", "Failed")

    @property
    def ready(self) -> bool:
        return any(c.type == "Ready" and c.status == "True" for c in self.status.conditions or ())


class PodTemplateSpec(Api):
    """A template's metadata, and its spec as it stands (copied into pods, never rebuilt from structs)."""

    metadata: ObjectMeta = msgspec.field(default_factory=ObjectMeta)
    spec: msgspec.Raw = msgspec.field(default_factory=lambda: msgspec.Raw(b"{}"))


class ReplicationControllerSpec(Api):
    replicas: int = 1
    min_ready_seconds: int = 0
    selector: dict[str, str] | None = None
    template: PodTemplateSpec | None = None


class ReplicationControllerStatus(Api):
    replicas: int = 0
    fully_labeled_replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    observed_generation: int = 0
    conditions: list[Condition] | None = None


class ReplicationController(Object):
    spec: ReplicationControllerSpec = msgspec.field(default_factory=ReplicationControllerSpec)
    status: ReplicationControllerStatus = msgspec.field(default_factory=ReplicationControllerStatus)


# --- nodes ------------------------------------------------------------------------------------------------------


class Taint(Api):
    key: str
    effect: str
    value: str = ""
    time_added: datetime | None = None


class NodeSpec(Api):
    pod_cidr: str = msgspec.field(default="", name="podCIDR")
    pod_cidrs: list[str] | None = msgspec.field(default=None, name="podCIDRs")
    provider_id: str = msgspec.field(default="", name="providerID")
    unschedulable: bool = False
    taints: list[Taint] | None = None


class NodeAddress(Api):
    type: str
    address: str


class NodeSystemInfo(Api):
    machine_id: str = msgspec.field(default="", name="machineID")
    system_uuid: str = msgspec.field(default="", name="systemUUID")
    boot_id: str = msgspec.field(default="", name="bootID")
    kernel_version: str = ""
    os_image: str = ""
    container_runtime_version: str = ""
    kubelet_version: str = ""
    kube_proxy_version: str = ""
    operating_system: str = ""
    architecture: str = ""


class DaemonEndpoint(Api):
    port: int = msgspec.field(default=0, name="Port")


class NodeDaemonEndpoints(Api):
    kubelet_endpoint: DaemonEndpoint = msgspec.field(default_factory=DaemonEndpoint)


class ContainerImage(Api):
    names: list[str] | None = None
    size_bytes: int = 0


class NodeStatus(Api):
    capacity: dict[str, str] | None = None
    allocatable: dict[str, str] | None = None
    conditions: list[Condition] | None = None
    addresses: list[NodeAddress] | None = None
    daemon_endpoints: NodeDaemonEndpoints | None = None
    node_info: NodeSystemInfo | None = None
    images: list[ContainerImage] | None = None


class Node(Object):
    spec: NodeSpec = msgspec.field(default_factory=NodeSpec)
    status: NodeStatus = msgspec.field(default_factory=NodeStatus)

    @property
    def internal_ip(self) -> str:
        return next((a.address for a in self.status.addresses or () if a.type == "InternalIP"), "")

    @property
    def ready(self) -> bool:
        return any(c.type == "Ready" and c.status == "True" for c in self.status.conditions or ())

    @property
    def control_plane(self) -> bool:
        return "node-role.kubernetes.io/control-plane" in (self.metadata.labels or {})


class LeaseSpec(Api):
    holder_identity: str = ""
    lease_duration_seconds: int | None = None
    acquire_time: datetime | None = None
    renew_time: datetime | None = None
    lease_transitions: int | None = None


class Lease(Object):
    spec: LeaseSpec = msgspec.field(default_factory=LeaseSpec)


# --- services ---------------------------------------------------------------------------------------------------


class ServicePort(Api):
    port: int
    name: str = ""
    protocol: str = "TCP"
    target_port: int | str | None = None
    node_port: int = 0
    app_protocol: str | None = None


class ClientIPConfig(Api):
    timeout_seconds: int = 10800


class SessionAffinityConfig(Api):
    client_ip: ClientIPConfig | None = msgspec.field(default=None, name="clientIP")


class ServiceSpec(Api):
    type: str = "ClusterIP"
    cluster_ip: str = msgspec.field(default="", name="clusterIP")
    cluster_ips: list[str] | None = msgspec.field(default=None, name="clusterIPs")
    external_ips: list[str] | None = msgspec.field(default=None, name="externalIPs")
    external_name: str = ""
    selector: dict[str, str] | None = None
    ports: list[ServicePort] | None = None
    session_affinity: str = "None"
    session_affinity_config: SessionAffinityConfig | None = None
    external_traffic_policy: str = ""
    internal_traffic_policy: str = ""
    health_check_node_port: int = 0
    publish_not_ready_addresses: bool = False
    load_balancer_ip: str = msgspec.field(default="", name="loadBalancerIP")
    load_balancer_class: str | None = None
    load_balancer_source_ranges: list[str] | None = None
    allocate_load_balancer_node_ports: bool | None = None


class LoadBalancerIngress(Api):
    ip: str = ""
    hostname: str = ""
    ip_mode: str | None = None


class LoadBalancerStatus(Api):
    ingress: list[LoadBalancerIngress] | None = None


class ServiceStatus(Api):
    load_balancer: LoadBalancerStatus = msgspec.field(default_factory=LoadBalancerStatus)
    conditions: list[Condition] | None = None


class Service(Object):
    spec: ServiceSpec = msgspec.field(default_factory=ServiceSpec)
    status: ServiceStatus = msgspec.field(default_factory=ServiceStatus)

    @property
    def headless(self) -> bool:
        return self.spec.cluster_ip == "None"


class EndpointAddress(Api):
    ip: str
    hostname: str = ""
    node_name: str | None = None
    target_ref: ObjectReference | None = None


class EndpointPort(Api):
    port: int | None = None
    name: str | None = None
    protocol: str | None = None
    app_protocol: str | None = None


class EndpointSubset(Api):
    addresses: list[EndpointAddress] | None = None
    not_ready_addresses: list[EndpointAddress] | None = None
    ports: list[EndpointPort] | None = None


class Endpoints(Object):
    subsets: list[EndpointSubset] | None = None


class EndpointConditions(Api):
    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class Endpoint(Api):
    addresses: list[str]
    conditions: EndpointConditions = msgspec.field(default_factory=EndpointConditions)
    hostname: str | None = None
    node_name: str | None = None
    target_ref: ObjectReference | None = None
    zone: str | None = None


class EndpointSlice(Object):
    address_type: str = ""
    endpoints: list[Endpoint] = msgspec.field(default_factory=list)
    ports: list[EndpointPort] | None = None


# --- the rest ---------------------------------------------------------------------------------------------------


class NamespaceSpec(Api):
    finalizers: list[str] | None = None


class NamespaceStatus(Api):
    phase: str = ""
    conditions: list[Condition] | None = None


class Namespace(Object):
    spec: NamespaceSpec = msgspec.field(default_factory=NamespaceSpec)
    status: NamespaceStatus = msgspec.field(default_factory=NamespaceStatus)


class EventSource(Api):
    component: str = ""
    host: str = ""


class Event(Object):
    involved_object: ObjectReference = msgspec.field(default_factory=ObjectReference)
    reason: str = ""
    message: str = ""
    type: str = ""
    source: EventSource = msgspec.field(default_factory=EventSource)
    first_timestamp: datetime | None = None
    last_timestamp: datetime | None = None
    event_time: datetime | None = None
    count: int = 0
    action: str = ""
    reporting_component: str = ""
    reporting_instance: str = ""


class ConfigMap(Object):
    data: dict[str, str] | None = None
    binary_data: dict[str, str] | None = None
    immutable: bool | None = None


class Secret(Object):
    data: dict[str, str] | None = None
    type: str = ""
    immutable: bool | None = None


class ServiceAccount(Object):
    automount_service_account_token: bool | None = None


def learn(base: type[msgspec.Struct]) -> None:
    """Make msgspec learn `base` and every struct derived from it.

    It learns a struct when it first decodes one, and two threads that do so at once crash the process (a segmentation
    fault in msgspec 0.20). So whoever decodes in threads has its structs learnt when its module is imported.
    """
    msgspec.json.Decoder(base)
    for derived in base.__subclasses__():
        learn(derived)


learn(Api)
