"""Flask responses in the API's own form: JSON bytes, a Status for every error."""

from __future__ import annotations

import logging
from typing import Any

from flask import Response

from controlplane.api.errors import ApiError
from controlplane.apiserver.call import Call
from controlplane.apiserver.render import encode

log = logging.getLogger(__name__)

JSON = "application/json"


def answer(body: bytes, code: int = 200, content_type: str = JSON) -> Response:
    return Response(body, code, content_type=content_type)


def answer_object(obj: Any, code: int = 200, content_type: str = JSON) -> Response:
    return answer(encode(obj), code, content_type)


def success(details: dict[str, Any] | None = None, code: int = 200) -> Response:
    """A Status that says Success."""
    status: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    if details:
        status["details"] = details
    if code != 200:
        status["code"] = code
    return answer_object(status, code)


def answer_error(error: ApiError) -> Response:
    response = answer_object(error.status(), error.code)
    if error.retry_after_s is not None:
        response.headers["Retry-After"] = str(error.retry_after_s)
    if error.code == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="kubelab"'
    return response


def as_api_error(error: Exception, call: Call | None) -> ApiError:
    """What a client gets for an exception; only what nobody foresaw is logged, with its traceback."""
    if isinstance(error, ApiError):
        return error
    where = f"{call.method} {call.path} id={call.id}" if call else "?"
    log.error("request failed: %s", where, exc_info=error)
    request = f" (request {call.id})" if call else ""
    return ApiError.internal(f"the server failed on this request; its log has the reason{request}")


def warning_header(text: str) -> str:
    """RFC 7234's 299 warning; `text` may hold anything, the header may not."""
    safe = "".join(c if " " <= c <= "~" else "?" for c in text)
    escaped = safe.replace("\\", "\\\\").replace('"', '\\"')
    return f'299 - "{escaped}"'
