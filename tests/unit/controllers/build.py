"""Pods, nodes and controllers for the controllers' tests, with only what a test names."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from controlplane.api.types import (
    Condition,
    ContainerStatus,
    Node,
    NodeSpec,
    NodeStatus,
    ObjectMeta,
    OwnerReference,
    Pod,
    PodSpec,
    PodStatus,
    PodTemplateSpec,
    ReplicationController,
    ReplicationControllerSpec,
    Taint,
    Toleration,
)

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
LABELS = {"app": "web"}
NOT_READY, UNREACHABLE = "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def rc(replicas: int = 3, *, dying: bool = False, min_ready: int = 0) -> ReplicationController:
    return ReplicationController(
        kind="ReplicationController",
        api_version="v1",
        metadata=ObjectMeta(
            name="web", namespace="default", uid="rc-uid", generation=1, deletion_timestamp=NOW if dying else None
        ),
        spec=ReplicationControllerSpec(
            replicas=replicas,
            selector=LABELS,
            min_ready_seconds=min_ready,
            template=PodTemplateSpec(metadata=ObjectMeta(labels=LABELS)),
        ),
    )


def pod(
    name: str,
    *,
    owner: str = "rc-uid",
    labels: dict[str, str] | None = None,
    node: str = "worker-1",
    phase: str = "Running",
    ready_s: float | None = 60,
    age_s: float = 100,
    restarts: int = 0,
    dying: bool = False,
    tolerations: tuple[Toleration, ...] = (),
    ip: str = "",
) -> Pod:
    """`ready_s`: ready for so long; None: not ready. `owner` "" makes an orphan."""
    owners = [OwnerReference(api_version="v1", kind="ReplicationController", name="web", uid=owner, controller=True)]
    condition = Condition(type="Ready", status="False")
    if ready_s is not None:
        condition = Condition(type="Ready", status="True", last_transition_time=ago(ready_s))
    return Pod(
        kind="Pod",
        api_version="v1",
        metadata=ObjectMeta(
            name=name,
            namespace="default",
            uid=f"uid-{name}",
            labels=LABELS if labels is None else labels,
            owner_references=owners if owner else None,
            creation_timestamp=ago(age_s),
            deletion_timestamp=NOW if dying else None,
        ),
        spec=PodSpec(node_name=node, tolerations=list(tolerations)),
        status=PodStatus(
            phase=phase,
            conditions=[condition],
            container_statuses=[ContainerStatus(name="c", restart_count=restarts)],
            pod_ip=ip,
        ),
    )


def node(
    name: str, ready: str = "True", *taints: tuple[str, str], control_plane: bool = False, address: str = ""
) -> Node:
    conditions = [Condition(type="MemoryPressure", status="Unknown" if ready == "Unknown" else "False")]
    if ready:
        conditions.append(Condition(type="Ready", status=ready, last_transition_time=ago(10)))
    labels = {"node-role.kubernetes.io/control-plane": ""} if control_plane else {}
    return Node(
        kind="Node",
        api_version="v1",
        metadata=ObjectMeta(name=name, uid=f"uid-{name}", labels=labels, resource_version="1"),
        spec=NodeSpec(taints=[Taint(key=key, effect=effect) for key, effect in taints] or None),
        status=NodeStatus(conditions=conditions),
    )


def tolerate(key: str, seconds: int | None) -> Toleration:
    return Toleration(key=key, operator="Exists", effect="NoExecute", toleration_seconds=seconds)


DEFAULT_TOLERATIONS = (tolerate(NOT_READY, 1), tolerate(UNREACHABLE, 1))
"""What admission gives every pod in the lab profile."""
