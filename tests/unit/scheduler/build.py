"""Pods and nodes for the scheduler's tests, with only what a test names."""

from __future__ import annotations

from datetime import UTC, datetime

from controlplane.api.types import (
    Condition,
    Container,
    ContainerPort,
    Node,
    NodeSpec,
    NodeStatus,
    ObjectMeta,
    OwnerReference,
    Pod,
    PodSpec,
    PodStatus,
    ResourceRequirements,
    Taint,
    Toleration,
)
from controlplane.scheduler.demand import Demand, demand_of
from controlplane.scheduler.table import NodeTable, facts_of

SINCE = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def node(
    name: str,
    *,
    ready: str = "True",
    labels: dict[str, str] | None = None,
    taints: tuple[Taint, ...] = (),
    cordoned: bool = False,
    **resources: str,
) -> Node:
    room = {"cpu": "2", "memory": "4Gi", "ephemeral-storage": "10Gi", "pods": "110"}
    room |= {key.replace("_", "-"): value for key, value in resources.items()}
    return Node(
        metadata=ObjectMeta(name=name, uid=f"uid-{name}", labels={"kubernetes.io/hostname": name, **(labels or {})}),
        spec=NodeSpec(unschedulable=cordoned, taints=list(taints)),
        status=NodeStatus(
            allocatable=room,
            conditions=[Condition(type="Ready", status=ready, last_transition_time=SINCE)],
        ),
    )


def pod(
    name: str = "web",
    *,
    node_name: str = "",
    selector: dict[str, str] | None = None,
    tolerations: tuple[Toleration, ...] = (),
    host_port: int = 0,
    owner: str = "",
    priority: int | None = None,
    scheduler: str = "default-scheduler",
    phase: str = "Pending",
    **requests: str,
) -> Pod:
    asked = {key.replace("_", "-"): value for key, value in requests.items()}
    owners = [OwnerReference(api_version="v1", kind="ReplicationController", name=owner, uid=owner, controller=True)]
    return Pod(
        kind="Pod",
        api_version="v1",
        metadata=ObjectMeta(
            name=name, namespace="default", uid=f"uid-{name}", owner_references=owners if owner else None
        ),
        spec=PodSpec(
            containers=[
                Container(
                    name="c",
                    resources=ResourceRequirements(requests=asked),
                    ports=[ContainerPort(container_port=80, host_port=host_port)],
                )
            ],
            node_name=node_name,
            node_selector=selector,
            tolerations=list(tolerations),
            priority=priority,
            scheduler_name=scheduler,
        ),
        status=PodStatus(phase=phase),
    )


def demand(name: str = "web", **kwargs: object) -> Demand:
    return demand_of(pod(name, **kwargs))  # type: ignore[arg-type]  # the keywords of `pod`


def table(*nodes: Node) -> NodeTable:
    made = NodeTable()
    for one in nodes:
        made.set_node(facts_of(one))
    return made
