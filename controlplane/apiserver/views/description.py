"""What the API is, for clients: discovery and OpenAPI. All documents are made once."""

from __future__ import annotations

from flask import Flask, Response

from controlplane.apiserver import discovery
from controlplane.apiserver.backend import Backend
from controlplane.apiserver.negotiate import accepted
from controlplane.apiserver.render import encode
from controlplane.apiserver.respond import JSON, answer
from controlplane.apiserver.views import current_call


def register(app: Flask, backend: Backend) -> None:
    """Adds the routes of discovery."""
    resources = backend.resources
    address = f"{backend.config.advertise_address}:{backend.config.port}"

    def either(rule: str, classic: bytes, aggregated: bytes) -> None:
        def view() -> Response:
            form = accepted(current_call().headers.get("accept", ""))
            if form.form == "discovery":
                return answer(aggregated, 200, discovery.AGGREGATED_TYPE)
            return answer(classic)

        app.add_url_rule(rule, rule, view, methods=["GET"])

    def fixed(rule: str, body: bytes, content_type: str = JSON) -> None:
        app.add_url_rule(rule, rule, lambda: answer(body, 200, content_type), methods=["GET"])

    either("/api", encode(discovery.versions_document(address)), encode(discovery.aggregated(resources, core=True)))
    either("/apis", encode(discovery.group_list(resources)), encode(discovery.aggregated(resources, core=False)))
    for group, versions in discovery.groups(resources).items():
        fixed(f"/apis/{group}", encode(discovery.group_document(group, versions)))
        for version in versions:
            fixed(f"/apis/{group}/{version}", encode(discovery.resource_list(group, version, resources)))
    fixed("/api/v1", encode(discovery.resource_list("", "v1", resources)))
