# ruff: noqa: ARG002 (the methods of a strategy share their signatures)
"""Replication controllers: so many pods of one template.

After `pkg/registry/core/replicationcontroller/strategy.go` and `ValidateReplicationController`.
"""

from __future__ import annotations

from typing import Any, Final

from controlplane.api import names, objectmeta
from controlplane.api.causes import invalid, not_supported, required
from controlplane.api.errors import Cause
from controlplane.apiserver.registry import Column, Context, Obj, Resource, Scale, Strategy
from controlplane.apiserver.resources.columns import AGE, NAME, at, containers, labels
from controlplane.apiserver.resources.podspec import defaults, unimplemented, validation

REPLICAS_LIMIT: Final = 10_000
"""More than this is taken for a slip of the finger: the control plane has to stay responsive."""
COUNTS: Final = ("replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "observedGeneration")


class ReplicationControllerStrategy(Strategy):
    """What the server does with replication controllers."""

    has_generation = True
    has_status = True

    def default(self, obj: Obj) -> None:
        spec = obj.setdefault("spec", {})
        spec.setdefault("replicas", 1)
        template = spec.get("template")
        if template is None:
            return
        defaults.template_spec(template.setdefault("spec", {}))
        template_labels = (template.get("metadata") or {}).get("labels")
        if template_labels:
            if not spec.get("selector"):
                spec["selector"] = dict(template_labels)
            if not obj["metadata"].get("labels"):
                obj["metadata"]["labels"] = dict(template_labels)

    def prepare_create(self, obj: Obj, ctx: Context) -> None:
        obj["status"] = {"replicas": 0}

    def validate(self, obj: Obj, old: Obj | None) -> list[Cause]:
        spec = obj.get("spec") or {}
        causes = check_replicas(spec.get("replicas"), "spec.replicas")
        if spec.get("minReadySeconds", 0) < 0:
            why = "must be greater than or equal to 0"
            causes.append(invalid("spec.minReadySeconds", spec["minReadySeconds"], why))
        selector = spec.get("selector")
        if not selector:
            causes.append(required("spec.selector"))
        causes += objectmeta.check_labels(selector, "spec.selector")
        if old is not None and spec.get("template") == (old.get("spec") or {}).get("template"):
            return causes + _matches(spec, selector)
        causes += validation.template(spec.get("template"), "spec.template", selector)
        pod = at(spec, "template", "spec") or {}
        if pod and pod.get("restartPolicy") != "Always":
            where = "spec.template.spec.restartPolicy"
            causes.append(not_supported(where, pod.get("restartPolicy", ""), ("Always",)))
        if pod.get("activeDeadlineSeconds") is not None:
            where = "spec.template.spec.activeDeadlineSeconds"
            causes.append(
                Cause(
                    where,
                    "FieldValueForbidden",
                    "Forbidden: activeDeadlineSeconds in ReplicationController is not Supported",
                )
            )
        return causes

    def validate_status(self, obj: Obj, old: Obj) -> list[Cause]:
        status = obj.get("status") or {}
        causes = [
            invalid(f"status.{name}", status[name], "must be greater than or equal to 0")
            for name in COUNTS
            if status.get(name, 0) < 0
        ]
        for name in COUNTS[1:4]:
            if status.get(name, 0) > status.get("replicas", 0):
                causes.append(invalid(f"status.{name}", status[name], "cannot be greater than status.replicas"))
        return causes

    def warnings(self, obj: Obj, old: Obj | None) -> list[str]:
        template = at(obj, "spec", "template") or {}
        if old is not None and template == at(old, "spec", "template"):
            return []
        return unimplemented.warnings(template.get("spec") or {}, "spec.template.spec")


def check_replicas(replicas: Any, field: str) -> list[Cause]:
    """A number of replicas: not negative, and not beyond what a cluster could ever run."""
    if replicas is None:
        return [required(field)]
    if replicas < 0:
        return [invalid(field, replicas, "must be greater than or equal to 0")]
    if replicas > REPLICAS_LIMIT:
        return [invalid(field, replicas, f"must be less than or equal to {REPLICAS_LIMIT}")]
    return []


def _matches(spec: Obj, selector: Obj | None) -> list[Cause]:
    template_labels = at(spec, "template", "metadata", "labels") or {}
    if all(template_labels.get(key) == value for key, value in (selector or {}).items()):
        return []
    why = "`selector` does not match template `labels`"
    return [invalid("spec.template.metadata.labels", template_labels, why)]


def _count(*path: str) -> Any:
    return lambda obj, _now: int(at(obj, *path) or 0)


RESOURCE = Resource(
    group="",
    version="v1",
    kind="ReplicationController",
    plural="replicationcontrollers",
    singular="replicationcontroller",
    short_names=("rc",),
    namespaced=True,
    schema="core.v1.ReplicationController",
    name_rule=names.dns_subdomain,
    categories=("all",),
    strategy=ReplicationControllerStrategy(),
    columns=(
        NAME,
        Column("Desired", _count("spec", "replicas"), type="integer", description="So many pods are asked for."),
        Column("Current", _count("status", "replicas"), type="integer", description="So many pods there are."),
        Column("Ready", _count("status", "readyReplicas"), type="integer", description="So many pods are ready."),
        AGE,
        Column(
            "Containers",
            lambda obj, _: containers(at(obj, "spec", "template", "spec"), "name"),
            priority=1,
            description="Names of each container in the template.",
        ),
        Column(
            "Images",
            lambda obj, _: containers(at(obj, "spec", "template", "spec"), "image"),
            priority=1,
            description="Images referenced by each container in the template.",
        ),
        Column(
            "Selector",
            lambda obj, _: labels(at(obj, "spec", "selector")),
            priority=1,
            description="The labels of its pods.",
        ),
    ),
    selectable={"status.replicas": lambda obj: str(at(obj, "status", "replicas") or 0)},
    subresources=frozenset(("status", "scale")),
    scale=Scale(
        selector=lambda obj: ",".join(f"{k}={v}" for k, v in sorted((at(obj, "spec", "selector") or {}).items()))
    ),
)
