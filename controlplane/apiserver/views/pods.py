"""A pod's `binding` and `eviction`.

A binding is the scheduler's one write: it names the node, once. An eviction is a deletion that policies may delay.
Follows pkg/registry/core/pod/storage/{storage,eviction}.go.
"""

from __future__ import annotations

from flask import Flask, Response

from controlplane.api import decoding
from controlplane.api.document import Document
from controlplane.api.errors import ApiError
from controlplane.apiserver import codec
from controlplane.apiserver.deletes import options_from
from controlplane.apiserver.registry import Obj, Resource
from controlplane.apiserver.resources import pods as podstrategy
from controlplane.apiserver.respond import success
from controlplane.apiserver.services import Services
from controlplane.apiserver.views import current_call
from controlplane.apiserver.views.items import scope_of
from controlplane.apiserver.writes import Target


def register(app: Flask, services: Services, resource: Resource) -> None:
    """Adds the routes that the registry entry names."""
    scope = f"{scope_of(resource)}/<name>"

    def bind(namespace: str, name: str) -> Response:
        call = current_call()
        given = codec.read_object(call, "v1", "Binding", "core.v1.Binding")
        seen = given["metadata"]
        if seen.get("name", name) != name:
            raise ApiError.bad_request("name in URL does not match name in Binding object")
        ctx = services.backend.context(call.requester.name)

        def change(old: Document) -> Obj:
            pod = old.copy()
            podstrategy.bind(pod, given, ctx)
            for field in ("uid", "resourceVersion"):
                if seen.get(field):
                    pod["metadata"][field] = seen[field]
            return pod

        services.writes.change(call, Target(resource, namespace, name), change, "raw")
        return success(code=201)

    def evict(namespace: str, name: str) -> Response:
        call = current_call()
        given = codec.read_object(call, "policy/v1", "Eviction", "policy.v1.Eviction")
        if given["metadata"].get("name", name) != name:
            raise ApiError.bad_request("name in URL does not match name in Eviction object")
        options = given.get("deleteOptions") or {}
        decoding.decode("meta.v1.DeleteOptions", options, "DeleteOptions")
        services.deletes.delete(call, Target(resource, namespace, name), options_from(call, options))
        return success(code=201)

    if "binding" in resource.subresources:
        app.add_url_rule(f"{scope}/binding", f"{resource.key}:binding", bind, methods=["POST"])
    if "eviction" in resource.subresources:
        app.add_url_rule(f"{scope}/eviction", f"{resource.key}:eviction", evict, methods=["POST"])
