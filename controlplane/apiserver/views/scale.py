"""The `scale` sub-resource: `autoscaling/v1 Scale` over a kind with spec.replicas.

Follows pkg/registry/core/replicationcontroller/storage/storage.go (ScaleREST).
"""

from __future__ import annotations

from functools import partial
from typing import Any

from flask import Flask, Response

from controlplane.api import causes
from controlplane.api.document import Document
from controlplane.api.errors import ApiError
from controlplane.apiserver import codec
from controlplane.apiserver.patching import Patch
from controlplane.apiserver.registry import Obj, Resource
from controlplane.apiserver.respond import answer_object
from controlplane.apiserver.services import Services
from controlplane.apiserver.views import current_call
from controlplane.apiserver.views.items import scope_of
from controlplane.apiserver.writes import Target

VERSION, KIND, SCHEMA = "autoscaling/v1", "Scale", "autoscaling.v1.Scale"
KEPT = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def scale_of(resource: Resource, obj: Obj) -> Obj:
    """The Scale that shows an object."""
    status: Obj = {"replicas": (obj.get("status") or {}).get("replicas", 0)}
    if resource.scale is not None:
        status["selector"] = resource.scale.selector(obj)
    return {
        "kind": KIND,
        "apiVersion": VERSION,
        "metadata": {name: obj["metadata"][name] for name in KEPT if name in obj["metadata"]},
        "spec": {"replicas": (obj.get("spec") or {}).get("replicas", 0)},
        "status": status,
    }


def register(app: Flask, services: Services, resource: Resource) -> None:
    """Adds the routes where the registry entry has a scale."""
    if resource.scale is None:
        return
    rule = f"{scope_of(resource)}/<name>/scale"

    def get(name: str, namespace: str = "") -> Response:
        return answer_object(scale_of(resource, services.reads.get(resource, namespace, name).obj))

    def write(name: str, namespace: str = "", patching: bool = False) -> Response:
        call = current_call()
        target = Target(resource, namespace, name)
        patch = Patch(call) if patching else None
        body = None if patching else Document.of(codec.read_object(call, VERSION, KIND, SCHEMA))

        def change(old: Document) -> Obj:
            obj = old.copy()
            if patch is not None:
                given = codec.checked(call, patch.apply(scale_of(resource, obj), SCHEMA), VERSION, KIND, SCHEMA)
            else:
                given = body.copy() if body is not None else {}
            _apply(target, given, obj)
            return obj

        return answer_object(scale_of(resource, services.writes.change(call, target, change).obj))

    app.add_url_rule(rule, f"{resource.key}:scale-get", get, methods=["GET"])
    app.add_url_rule(rule, f"{resource.key}:scale-put", write, methods=["PUT"])
    app.add_url_rule(rule, f"{resource.key}:scale-patch", partial(write, patching=True), methods=["PATCH"])


def _apply(target: Target, given: Obj, obj: Obj) -> None:
    meta = given["metadata"]
    if meta.get("name", target.name) != target.name or meta.get("namespace", target.namespace) != target.namespace:
        raise ApiError.bad_request("the name of the object does not match the name on the URL")
    replicas: Any = (given.get("spec") or {}).get("replicas", 0)
    if replicas < 0:
        cause = causes.invalid("spec.replicas", replicas, "must be greater than or equal to 0")
        raise ApiError.invalid(KIND, target.name, [cause], "autoscaling")
    for field in ("resourceVersion", "uid"):
        if meta.get(field):
            obj["metadata"][field] = meta[field]
    obj["spec"]["replicas"] = replicas
