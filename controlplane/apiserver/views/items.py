"""The routes of one resource: its collection, its objects, and the sub-resources that its registry entry names.

Views are thin: decode, call the read or write path, render.
"""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask, Response

from controlplane.api.document import Document
from controlplane.api.errors import ApiError
from controlplane.apiserver import codec
from controlplane.apiserver.call import Call
from controlplane.apiserver.deletes import Deleted, Options, options_of
from controlplane.apiserver.metadata import check_place
from controlplane.apiserver.negotiate import accepted
from controlplane.apiserver.patching import Patch
from controlplane.apiserver.reads import pick
from controlplane.apiserver.registry import Obj, Resource
from controlplane.apiserver.render import include_object, list_body, object_body
from controlplane.apiserver.respond import answer, success
from controlplane.apiserver.selection import selection
from controlplane.apiserver.services import Services
from controlplane.apiserver.views import current_call
from controlplane.apiserver.writes import Part, Target

View = Callable[..., Response]


class Items:
    """The views of one resource."""

    def __init__(self, services: Services, resource: Resource) -> None:
        self._services = services
        self._resource = resource

    def list(self, namespace: str = "") -> Response:
        call = current_call()
        form = accepted(call.headers.get("accept", ""))
        include = include_object(call.text("includeObject"))
        page = self._services.reads.list(call, self._resource, namespace)
        return answer(list_body(self._resource, page.documents, page.metadata, form, include))

    def get(self, name: str, namespace: str = "") -> Response:
        return self.render(current_call(), self._services.reads.get(self._resource, namespace, name))

    def create(self, namespace: str = "") -> Response:
        call, resource = current_call(), self._resource
        obj = codec.read_object(call, resource.api_version, resource.kind, resource.schema)
        return self.render(call, self._services.writes.create(call, resource, namespace, obj), 201)

    def update(self, name: str, namespace: str = "", part: Part = "main") -> Response:
        call, resource = current_call(), self._resource
        target = Target(resource, namespace, name)
        body = Document.of(codec.read_object(call, resource.api_version, resource.kind, resource.schema))

        def change(_old: Document) -> Obj:
            obj = body.copy()
            check_place(obj, resource, namespace, name)
            return obj

        writes = self._services.writes
        if part == "main" and resource.strategy.allow_create_on_update and writes.current(target) is None:
            obj = change(body)
            if not obj["metadata"].get("uid"):
                return self.render(call, writes.create(call, resource, namespace, obj), 201)
        return self.render(call, writes.change(call, target, change, part))

    def patch(self, name: str, namespace: str = "", part: Part = "main") -> Response:
        call, resource = current_call(), self._resource
        target = Target(resource, namespace, name)
        patch = Patch(call)

        def change(old: Document) -> Obj:
            after = patch.apply(old.copy(), resource.schema)
            obj = codec.checked(call, after, resource.api_version, resource.kind, resource.schema)
            check_place(obj, resource, namespace, name)
            return obj

        return self.render(call, self._services.writes.change(call, target, change, part))

    def delete(self, name: str, namespace: str = "") -> Response:
        call = current_call()
        target = Target(self._resource, namespace, name)
        deleted = self._services.deletes.delete(call, target, options_of(call))
        return self._deleted(call, target, deleted)

    def delete_collection(self, namespace: str = "") -> Response:
        call, resource = current_call(), self._resource
        options, chosen = options_of(call), selection(call, resource)
        half = self._services.backend.half(resource)
        half.catch_up()
        listing = half.cache.list(resource.key, namespace)
        gone: list[Document] = []
        for document in pick(chosen, listing.documents):
            target = Target(resource, document.namespace, document.name)
            one = Options(options.grace_s, options.policy, document.uid, options.resource_version, options.dry_run)
            try:
                gone.append(self._services.deletes.delete(call, target, one).document)
            except ApiError as error:
                if error.code not in (404, 409):
                    raise
        metadata = {"resourceVersion": str(listing.revision)}
        form = accepted(call.headers.get("accept", ""))
        return answer(list_body(resource, gone, metadata, form, "Metadata"))

    def update_status(self, name: str, namespace: str = "") -> Response:
        return self.update(name, namespace, "status")

    def patch_status(self, name: str, namespace: str = "") -> Response:
        return self.patch(name, namespace, "status")

    def render(self, call: Call, document: Document, code: int = 200) -> Response:
        form = accepted(call.headers.get("accept", ""))
        include = include_object(call.text("includeObject")) if form.form == "table" else "Metadata"
        return answer(object_body(self._resource, document, form, include), code)

    def _deleted(self, call: Call, target: Target, deleted: Deleted) -> Response:
        """Pods, services and accounts answer with the object, so does what isn't gone yet; others with a Status."""
        resource = self._resource
        if not deleted.gone or resource.kind in ("Pod", "Service", "ServiceAccount"):
            return self.render(call, deleted.document)
        details = {"name": target.name, "kind": resource.plural, "uid": deleted.document.uid}
        if resource.group:
            details["group"] = resource.group
        return success(details)


def register(app: Flask, services: Services, resource: Resource) -> None:
    """Adds the routes of a resource's collection, objects and status."""
    views = Items(services, resource)
    scope = scope_of(resource)
    item = f"{scope}/<name>"
    routes: list[tuple[str, str, View, str]] = [
        (scope, "list", views.list, "GET"),
        (scope, "create", views.create, "POST"),
        (scope, "deletecollection", views.delete_collection, "DELETE"),
        (item, "get", views.get, "GET"),
        (item, "update", views.update, "PUT"),
        (item, "patch", views.patch, "PATCH"),
        (item, "delete", views.delete, "DELETE"),
    ]
    for rule, verb, view, method in routes:
        if verb in resource.verbs:
            app.add_url_rule(rule, f"{resource.key}:{verb}", view, methods=[method])
    if resource.namespaced:
        everywhere = f"{base_of(resource)}/{resource.plural}"
        app.add_url_rule(everywhere, f"{resource.key}:list-all", views.list, methods=["GET"])
    if "status" in resource.subresources:
        rule, key = f"{item}/status", f"{resource.key}:status"
        app.add_url_rule(rule, f"{key}-get", views.get, methods=["GET"])
        app.add_url_rule(rule, f"{key}-update", views.update_status, methods=["PUT"])
        app.add_url_rule(rule, f"{key}-patch", views.patch_status, methods=["PATCH"])


def base_of(resource: Resource) -> str:
    """The path of the resource's group and version."""
    return f"/apis/{resource.group}/{resource.version}" if resource.group else f"/api/{resource.version}"


def scope_of(resource: Resource) -> str:
    """The rule of the resource's collection."""
    place = "/namespaces/<namespace>" if resource.namespaced else ""
    return f"{base_of(resource)}{place}/{resource.plural}"
