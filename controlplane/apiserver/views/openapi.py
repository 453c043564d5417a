"""/openapi/v2 and /openapi/v3: the schemas that clients check, merge and explain objects with."""

from __future__ import annotations

from flask import Flask, Response

from controlplane.api.errors import ApiError
from controlplane.apiserver.backend import Backend
from controlplane.apiserver.openapi import OpenApi
from controlplane.apiserver.respond import JSON, answer
from controlplane.apiserver.views import current_call
from controlplane.apiserver.views.health import VERSION

V2_PROTOBUF = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"


def register(app: Flask, backend: Backend) -> None:
    """Adds the routes of OpenAPI; documents are made when first asked for."""
    documents = OpenApi(backend.resources, VERSION["gitVersion"])

    @app.get("/openapi/v3")
    def openapi_index() -> Response:
        return answer(documents.index)

    @app.get("/openapi/v3/<path:group_version>")
    def openapi_document(group_version: str) -> Response:
        body = documents.document(group_version)
        if body is None:
            raise ApiError.path_not_found()
        etag = f'"{documents.etag(group_version)}"'
        if current_call().headers.get("if-none-match") == etag:
            return Response(status=304, headers={"ETag": etag})
        response = answer(body)
        response.headers["ETag"] = etag
        return response

    @app.get("/openapi/v2")
    def openapi_v2() -> Response:
        if "proto-openapi" in current_call().headers.get("accept", ""):
            return answer(documents.v2_protobuf, 200, V2_PROTOBUF)
        return answer(documents.v2, 200, JSON)
