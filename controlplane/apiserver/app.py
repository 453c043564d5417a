"""The Flask application: `create_app(services)`, its routes made from the resource registry.

Every answer that isn't a 2xx is a Status object. Requests reach Flask through the ASGI shell, which has put the
`Call` into the environment after the gate; a request that comes another way (a test client) passes the gate here.
"""

from __future__ import annotations

from typing import Any

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from controlplane.api.errors import ApiError
from controlplane.apiserver import gate
from controlplane.apiserver.call import ENVIRON_KEY, Call
from controlplane.apiserver.respond import answer_error, as_api_error, warning_header
from controlplane.apiserver.services import Services
from controlplane.apiserver.views import (
    accounts,
    description,
    health,
    items,
    leader,
    namespaces,
    openapi,
    pods,
    scale,
)

PEER_KEY = "kubelab.peer"


def create_app(services: Services) -> Flask:
    """The whole API as a WSGI application, but for its streams."""
    backend = services.backend
    app = Flask("kubelab-apiserver", static_folder=None)
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    app.url_map.redirect_defaults = False

    @app.before_request
    def enter() -> None:
        if ENVIRON_KEY not in request.environ:
            call = _call_from_environ(request.environ, request.get_data())
            request.environ[ENVIRON_KEY] = call
            gate.admit(call, request.environ.get(PEER_KEY), backend.tokens)

    @app.after_request
    def leave(response: Response) -> Response:
        call: Call | None = request.environ.get(ENVIRON_KEY)
        if call is not None:
            for text in dict.fromkeys(call.warnings):
                response.headers.add("Warning", warning_header(text))
        return response

    @app.errorhandler(Exception)
    def failed(error: Exception) -> Response:
        call: Call | None = request.environ.get(ENVIRON_KEY)
        if isinstance(error, MethodNotAllowed):
            return answer_error(ApiError.method_not_allowed())
        if isinstance(error, HTTPException):
            return answer_error(_from_http(error))
        return answer_error(as_api_error(error, call))

    health.register(app, backend)
    description.register(app, backend)
    openapi.register(app, backend)
    leader.register(app, backend)
    for resource in backend.resources:
        for views in (items, scale, pods, accounts, namespaces):
            views.register(app, services, resource)
    return app


def _from_http(error: HTTPException) -> ApiError:
    """Flask's own refusals (an unknown path, mostly) as a Status."""
    if error.code == 404 or (error.code is not None and 300 <= error.code < 400):
        return ApiError.path_not_found()
    return ApiError(error.code or 500, "BadRequest" if error.code == 400 else "Unknown", error.name)


def _call_from_environ(environ: dict[str, Any], body: bytes) -> Call:
    headers = {
        name[5:].lower().replace("_", "-"): value for name, value in environ.items() if name.startswith("HTTP_")
    }
    if environ.get("CONTENT_TYPE"):
        headers["content-type"] = environ["CONTENT_TYPE"]
    path = str(environ["PATH_INFO"]).encode("latin-1").decode("utf-8", "replace")
    call = Call(str(environ["REQUEST_METHOD"]), path, str(environ.get("QUERY_STRING", "")), headers)
    call.body = body
    return call
