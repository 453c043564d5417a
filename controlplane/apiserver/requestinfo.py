"""What a path and a method ask for: verb, group, resource, namespace, name, sub-resource.

Pure. Authorisation, audit and metrics speak in these words, and the shell decides by them whether a request is a
stream. Follows apiserver/pkg/endpoints/request/requestinfo.go.
"""

from __future__ import annotations

from dataclasses import dataclass

VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
NAMESPACE_SUBRESOURCES = frozenset({"status", "finalize"})
READS = frozenset({"get", "list", "watch"})


@dataclass(frozen=True)
class RequestInfo:
    """One request in Kubernetes' words; `resource` is empty for a path that names none (`/version`)."""

    verb: str
    path: str
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""

    @property
    def is_write(self) -> bool:
        return bool(self.resource) and self.verb not in READS

    @property
    def qualified(self) -> str:
        """`pods`, `pods/log`, `leases.coordination.k8s.io`: as messages name it."""
        name = f"{self.resource}.{self.group}" if self.group else self.resource
        return f"{name}/{self.subresource}" if self.subresource else name


def parse(method: str, path: str, watching: bool) -> RequestInfo:
    """The request that method and (unquoted) path make; `watching`: the query says watch=true."""
    parts = path.strip("/").split("/")
    prefix = parts[0]
    if prefix == "api" and len(parts) > 2:
        group, version, rest = "", parts[1], parts[2:]
    elif prefix == "apis" and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return RequestInfo(method.lower(), path)
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and (len(rest) > 3 or rest[2] not in NAMESPACE_SUBRESOURCES):
        namespace, rest = rest[1], rest[2:]
    name = rest[1] if len(rest) > 1 else ""
    subresource = "/".join(rest[2:])
    return RequestInfo(_verb(method, name, watching), path, group, version, rest[0], subresource, namespace, name)


def _verb(method: str, name: str, watching: bool) -> str:
    if method in ("GET", "HEAD"):
        if name:
            return "get"
        return "watch" if watching else "list"
    if method == "DELETE" and not name:
        return "deletecollection"
    return VERBS.get(method, method.lower())
