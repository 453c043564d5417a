"""`namespaces/NAME/finalize`: the namespace controller's word that everything in it is gone.

Follows pkg/registry/core/namespace/storage/storage.go (FinalizeREST).
"""

from __future__ import annotations

from flask import Flask, Response

from controlplane.api.document import Document
from controlplane.apiserver import codec
from controlplane.apiserver.metadata import check_place
from controlplane.apiserver.registry import Obj, Resource
from controlplane.apiserver.services import Services
from controlplane.apiserver.views import current_call
from controlplane.apiserver.views.items import Items, scope_of
from controlplane.apiserver.writes import Target


def register(app: Flask, services: Services, resource: Resource) -> None:
    """Adds the route that the registry entry names."""
    if "finalize" not in resource.subresources:
        return

    def finalize(name: str) -> Response:
        call = current_call()
        given = codec.read_object(call, resource.api_version, resource.kind, resource.schema)
        check_place(given, resource, "", name)

        def change(old: Document) -> Obj:
            obj = old.copy()
            for field in ("resourceVersion", "uid"):
                if given["metadata"].get(field):
                    obj["metadata"][field] = given["metadata"][field]
            obj["spec"] = {**(obj.get("spec") or {}), "finalizers": (given.get("spec") or {}).get("finalizers") or []}
            return obj

        document = services.writes.change(call, Target(resource, "", name), change, "raw")
        return Items(services, resource).render(call, document)

    app.add_url_rule(f"{scope_of(resource)}/<name>/finalize", f"{resource.key}:finalize", finalize, methods=["PUT"])
