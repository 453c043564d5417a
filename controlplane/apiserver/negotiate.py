"""In which form an answer is wanted: plain JSON, a `Table`, or metadata only.

Follows apiserver/pkg/endpoints/handlers/negotiation/negotiate.go and .../rest.go (the `as`, `v`, `g` parameters).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from controlplane.api.errors import ApiError

Form = Literal["object", "table", "partial", "partiallist", "discovery"]
JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
META_VERSIONS = ("v1", "v1beta1")


@dataclass(frozen=True)
class Accepted:
    """The form of the answer; `version` is that of meta.k8s.io (or apidiscovery.k8s.io) where the form has one."""

    form: Form
    version: str = "v1"


PLAIN = Accepted("object")
AS: dict[str, Form] = {
    "Table": "table",
    "PartialObjectMetadata": "partial",
    "PartialObjectMetadataList": "partiallist",
}


@lru_cache(maxsize=256)
def accepted(header: str) -> Accepted:
    """The first form in an Accept header that we can give.

    Raises: ApiError 406.
    """
    if not header:
        return PLAIN
    for clause in header.split(","):
        form = _clause(clause)
        if form is not None:
            return form
    raise ApiError.not_acceptable(f"only the following media types are accepted: {JSON}")


def _clause(clause: str) -> Accepted | None:
    media, *rest = (part.strip() for part in clause.split(";"))
    if media.lower() not in (JSON, "application/*", "*/*"):
        return None
    parameters = dict(part.split("=", 1) for part in rest if "=" in part)
    if parameters.get("q") in ("0", "0.0"):
        return None
    kind = parameters.get("as")
    if kind is None:
        return PLAIN
    version, group = parameters.get("v", ""), parameters.get("g", "")
    if kind in AS and group == "meta.k8s.io" and version in META_VERSIONS:
        return Accepted(AS[kind], version)
    if kind == "APIGroupDiscoveryList" and group == "apidiscovery.k8s.io" and version == "v2":
        return Accepted("discovery", version)
    return None
