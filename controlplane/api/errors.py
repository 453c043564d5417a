"""API errors: always a `Status` object, with upstream's codes, reasons and wording.

The API server raises `ApiError` and answers with its `status()`; the client turns an answer back into the same
`ApiError`, so that a component handles one type on both sides.

Follows apimachinery/pkg/api/errors/errors.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Cause:
    """One reason why an object is invalid: a field path, upstream's reason (`FieldValueInvalid`…) and words."""

    field: str
    reason: str
    message: str

    def as_dict(self) -> dict[str, str]:
        return {"reason": self.reason, "message": self.message, "field": self.field}


class ApiError(Exception):
    """A refusal or a failure with an HTTP code and a Kubernetes reason."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details: dict[str, Any] = dict(details or {})

    def status(self) -> dict[str, Any]:
        """The v1 Status object that a client gets."""
        body: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
        }
        if self.details:
            body["details"] = self.details
        return body

    @property
    def retry_after_s(self) -> int | None:
        seconds = self.details.get("retryAfterSeconds")
        return int(seconds) if seconds else None

    @classmethod
    def from_status(cls, body: Mapping[str, Any], http_code: int) -> ApiError:
        """The error behind a Status; `http_code` stands in where the body has none."""
        return cls(
            int(body.get("code") or http_code),
            str(body.get("reason") or "Unknown"),
            str(body.get("message") or f"the server answered {http_code}"),
            body.get("details"),
        )

    @classmethod
    def bad_request(cls, message: str) -> ApiError:
        return cls(400, "BadRequest", message)

    @classmethod
    def unauthorized(cls, message: str = "Unauthorized") -> ApiError:
        return cls(401, "Unauthorized", message)

    @classmethod
    def forbidden(cls, message: str, details: Mapping[str, Any] | None = None) -> ApiError:
        return cls(403, "Forbidden", message, details)

    @classmethod
    def not_found(cls, resource: str, name: str, group: str = "") -> ApiError:
        """`pods "x" not found`; `resource` is the plural name without its group."""
        qualified = f"{resource}.{group}" if group else resource
        return cls(404, "NotFound", f'{qualified} "{name}" not found', _details(resource, name, group))

    @classmethod
    def path_not_found(cls) -> ApiError:
        return cls(404, "NotFound", "the server could not find the requested resource")

    @classmethod
    def already_exists(cls, resource: str, name: str, group: str = "") -> ApiError:
        qualified = f"{resource}.{group}" if group else resource
        return cls(409, "AlreadyExists", f'{qualified} "{name}" already exists', _details(resource, name, group))

    @classmethod
    def conflict(
        cls,
        resource: str,
        name: str,
        why: str = "the object has been modified; please apply your changes to the latest version and try again",
        group: str = "",
    ) -> ApiError:
        qualified = f"{resource}.{group}" if group else resource
        message = f'Operation cannot be fulfilled on {qualified} "{name}": {why}'
        return cls(409, "Conflict", message, _details(resource, name, group))

    @classmethod
    def invalid(cls, kind: str, name: str, causes: Iterable[Cause], group: str = "") -> ApiError:
        """422 with one cause per field path."""
        listed = list(causes)
        words = [f"{c.field}: {c.message}" for c in listed]
        text = words[0] if len(words) == 1 else "[" + ", ".join(words) + "]"
        qualified = f"{kind}.{group}" if group else kind
        details = {**_details(kind, name, group), "causes": [c.as_dict() for c in listed]}
        return cls(422, "Invalid", f'{qualified} "{name}" is invalid: {text}', details)

    @classmethod
    def expired(cls, message: str = "too old resource version") -> ApiError:
        return cls(410, "Expired", message)

    @classmethod
    def method_not_allowed(cls) -> ApiError:
        return cls(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")

    @classmethod
    def not_acceptable(cls, message: str) -> ApiError:
        return cls(406, "NotAcceptable", message)

    @classmethod
    def too_large(cls, message: str) -> ApiError:
        return cls(413, "RequestEntityTooLarge", message)

    @classmethod
    def unsupported_media(cls, message: str) -> ApiError:
        return cls(415, "UnsupportedMediaType", message)

    @classmethod
    def too_many_requests(cls, message: str, retry_after_s: int = 1) -> ApiError:
        return cls(429, "TooManyRequests", message, {"retryAfterSeconds": retry_after_s})

    @classmethod
    def internal(cls, message: str) -> ApiError:
        return cls(500, "InternalError", f"Internal error occurred: {message}")

    @classmethod
    def unavailable(cls, message: str, retry_after_s: int = 1) -> ApiError:
        return cls(503, "ServiceUnavailable", message, {"retryAfterSeconds": retry_after_s})

    @classmethod
    def timeout(cls, message: str, retry_after_s: int = 1) -> ApiError:
        return cls(504, "Timeout", message, {"retryAfterSeconds": retry_after_s})

    @classmethod
    def stale_term(cls, name: str, sent: int, current: int) -> ApiError:
        """A write of a leader that has been replaced; see the store's terms."""
        message = f"{name} leads in term {current}; this write is from term {sent}: another instance has taken over"
        return cls(409, "StaleTerm", message)


def _details(resource: str, name: str, group: str) -> dict[str, Any]:
    details: dict[str, Any] = {"name": name, "kind": resource}
    if group:
        details["group"] = group
    return details
