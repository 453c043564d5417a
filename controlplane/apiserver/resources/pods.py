# ruff: noqa: ARG002 (the methods of a strategy share their signatures)
"""Pods: the strategy of the cluster's central kind.

A pod's spec is fixed once it is stored, but for images, deadlines and additional tolerations; its node is set by
`bind` alone. After `pkg/registry/core/pod/strategy.go`, and the admission plug-ins ServiceAccount,
DefaultTolerationSeconds and Priority.
"""

from __future__ import annotations

from typing import Final

from controlplane.api import names, times
from controlplane.api.causes import forbidden, invalid
from controlplane.api.errors import ApiError, Cause
from controlplane.apiserver.registry import Context, Obj, Resource, Strategy
from controlplane.apiserver.resources.columns import text
from controlplane.apiserver.resources.podspec import defaults, printing, quality, unimplemented, updates, validation

DEFAULT_ACCOUNT: Final = "default"
NODE_TAINTS: Final = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
PHASES: Final = ("Failed", "Pending", "Running", "Succeeded", "Unknown")
SYSTEM_PRIORITIES: Final = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}


class PodStrategy(Strategy):
    """What the server does with pods."""

    has_generation = True
    has_status = True

    def default(self, obj: Obj) -> None:
        defaults.pod(obj)

    def admit(self, obj: Obj, old: Obj | None, ctx: Context) -> None:
        if old is not None:
            return
        spec = obj["spec"]
        _service_account(obj, ctx)
        _priority(spec, ctx)
        _tolerate_node_loss(spec, ctx.profile.eviction_toleration_s)

    def prepare_create(self, obj: Obj, ctx: Context) -> None:
        obj["status"] = {"phase": "Pending", "qosClass": quality.qos_class(obj["spec"])}

    def validate(self, obj: Obj, old: Obj | None) -> list[Cause]:
        spec = obj.get("spec") or {}
        if old is None:
            return validation.validate(spec, "spec")
        before = old.get("spec") or {}
        if spec == before:
            return []
        causes = updates.validate(spec, before)
        return causes or validation.validate({**spec, "ephemeralContainers": None}, "spec")

    def validate_status(self, obj: Obj, old: Obj) -> list[Cause]:
        status = obj.get("status") or {}
        causes: list[Cause] = []
        phase = status.get("phase", "")
        if phase not in ("", *PHASES):
            causes.append(invalid("status.phase", phase, "is no phase of a pod"))
        before = text(old, "status", "phase")
        if before in ("Succeeded", "Failed") and phase not in (before, "Succeeded", "Failed"):
            causes.append(forbidden("status.phase", f"a pod that is {before} never runs again"))
        return causes

    def warnings(self, obj: Obj, old: Obj | None) -> list[str]:
        if old is not None and old.get("spec") == obj.get("spec"):
            return []
        return unimplemented.warnings(obj["spec"])

    def graceful_delete(self, obj: Obj, options: Obj, ctx: Context) -> int | None:
        grace = options.get("gracePeriodSeconds")
        spec = obj.get("spec") or {}
        if grace is None:
            grace = spec.get("terminationGracePeriodSeconds", 0)
        if not spec.get("nodeName") or text(obj, "status", "phase") in ("Succeeded", "Failed"):
            return 0
        return 1 if grace < 0 else int(grace)


def _service_account(pod: Obj, ctx: Context) -> None:
    """A pod runs as a service account: `default` unless it names another, which must exist."""
    spec, metadata = pod["spec"], pod["metadata"]
    name = spec.get("serviceAccountName") or DEFAULT_ACCOUNT
    spec["serviceAccountName"] = spec["serviceAccount"] = name
    namespace = metadata.get("namespace", "")
    account = ctx.lookup("serviceaccounts", namespace, name)
    if account is None:
        # The default account of a new namespace is made a moment after it: its absence refuses nobody.
        if name != DEFAULT_ACCOUNT:
            raise ApiError.forbidden(
                f'pods "{metadata.get("name", "")}" is forbidden: error looking up service account '
                f'{namespace}/{name}: serviceaccount "{name}" not found'
            )
        return
    if not spec.get("imagePullSecrets") and account.obj.get("imagePullSecrets"):
        spec["imagePullSecrets"] = [dict(item) for item in account.obj["imagePullSecrets"]]


def _priority(spec: Obj, ctx: Context) -> None:
    """The number that a priority class stands for."""
    name = spec.get("priorityClassName")
    if not name:
        spec.setdefault("priority", 0)
    elif name in SYSTEM_PRIORITIES:
        spec["priority"] = SYSTEM_PRIORITIES[name]
    else:
        found = ctx.lookup("scheduling.k8s.io/priorityclasses", "", name)
        if found is None:
            raise ApiError.forbidden(f"pods is forbidden: no PriorityClass with name {name} was found")
        spec["priority"] = found.obj.get("value", 0)
        spec.setdefault("preemptionPolicy", found.obj.get("preemptionPolicy", "PreemptLowerPriority"))
    spec.setdefault("preemptionPolicy", "PreemptLowerPriority")


def _tolerate_node_loss(spec: Obj, seconds: int) -> None:
    """Lets the pod stay for a while on a node that is not ready or unreachable, unless it says otherwise."""
    tolerations = spec.get("tolerations") or []
    added = []
    for key in NODE_TAINTS:
        tolerated = any(
            item.get("key", "") in ("", key) and item.get("effect", "") in ("", "NoExecute") for item in tolerations
        )
        if not tolerated:
            added.append({"effect": "NoExecute", "key": key, "operator": "Exists", "tolerationSeconds": seconds})
    if added:
        spec["tolerations"] = [*tolerations, *added]


def bind(pod: Obj, binding: Obj, ctx: Context) -> None:
    """Puts the node that a Binding names into the pod, in place.

    Raises: ApiError 409 when the pod is bound already or is being deleted, 422 for a bad target.
    """
    metadata = pod["metadata"]
    name, target = str(metadata.get("name", "")), binding.get("target") or {}
    node = target.get("name", "")
    problems = names.dns_subdomain(node) if node else ["must be a node's name"]
    if target.get("kind", "Node") not in ("", "Node"):
        raise ApiError.invalid("Binding", name, [invalid("target.kind", target["kind"], 'must be empty, or "Node"')])
    if problems:
        raise ApiError.invalid("Binding", name, [invalid("target.name", node, problem) for problem in problems])
    if metadata.get("deletionTimestamp"):
        raise ApiError.conflict("pods/binding", name, f"pod {name} is being deleted, cannot be assigned to a host")
    spec = pod["spec"]
    if spec.get("nodeName"):
        raise ApiError.conflict("pods/binding", name, f'pod {name} is already assigned to node "{spec["nodeName"]}"')
    if spec.get("schedulingGates"):
        raise ApiError.conflict("pods/binding", name, f"pod {name} has non-empty .spec.schedulingGates")
    spec["nodeName"] = node
    for kind in ("annotations", "labels"):
        if (binding.get("metadata") or {}).get(kind):
            metadata[kind] = {**(metadata.get(kind) or {}), **binding["metadata"][kind]}
    status = pod.setdefault("status", {})
    others = [item for item in status.get("conditions") or () if item.get("type") != "PodScheduled"]
    scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": times.time(ctx.now)}
    status["conditions"] = [*others, scheduled]


RESOURCE = Resource(
    group="",
    version="v1",
    kind="Pod",
    plural="pods",
    singular="pod",
    short_names=("po",),
    namespaced=True,
    schema="core.v1.Pod",
    name_rule=names.dns_subdomain,
    categories=("all",),
    strategy=PodStrategy(),
    columns=printing.COLUMNS,
    selectable={
        "spec.nodeName": lambda pod: text(pod, "spec", "nodeName"),
        "spec.restartPolicy": lambda pod: text(pod, "spec", "restartPolicy"),
        "spec.schedulerName": lambda pod: text(pod, "spec", "schedulerName"),
        "spec.serviceAccountName": lambda pod: text(pod, "spec", "serviceAccountName"),
        "spec.hostNetwork": lambda pod: "true" if (pod.get("spec") or {}).get("hostNetwork") else "false",
        "status.phase": lambda pod: text(pod, "status", "phase"),
        "status.podIP": lambda pod: text(pod, "status", "podIP"),
        "status.nominatedNodeName": lambda pod: text(pod, "status", "nominatedNodeName"),
    },
    subresources=frozenset(("status", "binding", "log", "eviction")),
)
