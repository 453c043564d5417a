"""Nodes and their leases. See the package."""

from __future__ import annotations

from datetime import datetime

import msgspec

from controlplane.api.types.meta import Api, Condition, Object


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
