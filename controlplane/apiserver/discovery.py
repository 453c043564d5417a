"""What the API has: groups, versions, resources and their sub-resources, derived from the registry.

Pure. Both forms that clients ask for: the classic documents, one for each group version, and the aggregated one
(`apidiscovery.k8s.io/v2`). Follows apiserver/pkg/endpoints/discovery and its `aggregated` package.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from controlplane.apiserver.registry import Obj, Resource

AGGREGATED_TYPE = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


@dataclass(frozen=True)
class Subresource:
    """How a sub-resource is described; an empty kind is the parent's own."""

    verbs: tuple[str, ...]
    group: str = ""
    version: str = ""
    kind: str = ""


SUBRESOURCES = {
    "status": Subresource(("get", "patch", "update")),
    "finalize": Subresource(("update",)),
    "log": Subresource(("get",)),
    "scale": Subresource(("get", "patch", "update"), "autoscaling", "v1", "Scale"),
    "binding": Subresource(("create",), "", "v1", "Binding"),
    "eviction": Subresource(("create",), "policy", "v1", "Eviction"),
    "token": Subresource(("create",), "authentication.k8s.io", "v1", "TokenRequest"),
}


def versions_document(address: str) -> Obj:
    """`/api`."""
    return {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    }


def groups(resources: Iterable[Resource]) -> dict[str, list[str]]:
    """The named groups and their versions, in order."""
    found: dict[str, list[str]] = {}
    for resource in resources:
        versions = found.setdefault(resource.group, [])
        if resource.version not in versions:
            versions.append(resource.version)
    found.pop("", None)
    return dict(sorted(found.items()))


def group_document(group: str, versions: list[str], alone: bool = True) -> Obj:
    """`/apis/GROUP`, or one entry of `/apis`."""
    listed = [{"groupVersion": f"{group}/{version}", "version": version} for version in versions]
    document: Obj = {"name": group, "versions": listed, "preferredVersion": listed[0]}
    return {"kind": "APIGroup", "apiVersion": "v1", **document} if alone else document


def group_list(resources: Iterable[Resource]) -> Obj:
    """`/apis`."""
    listed = [group_document(group, versions, alone=False) for group, versions in groups(resources).items()]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": listed}


def resource_list(group: str, version: str, resources: Iterable[Resource]) -> Obj:
    """`/api/v1`, `/apis/GROUP/VERSION`."""
    listed: list[Obj] = []
    for resource in sorted(resources, key=lambda r: r.plural):
        if (resource.group, resource.version) != (group, version):
            continue
        entry: Obj = {
            "name": resource.plural,
            "singularName": resource.singular,
            "namespaced": resource.namespaced,
            "kind": resource.kind,
            "verbs": sorted(resource.verbs),
        }
        listed.append(entry | _other_names(resource))
        listed += [_classic_subresource(resource, name) for name in sorted(resource.subresources)]
    group_version = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": listed}


def _other_names(resource: Resource) -> Obj:
    entry: Obj = {"shortNames": list(resource.short_names), "categories": list(resource.categories)}
    return {key: names for key, names in entry.items() if names}


def _classic_subresource(resource: Resource, name: str) -> Obj:
    described = SUBRESOURCES[name]
    entry: Obj = {
        "name": f"{resource.plural}/{name}",
        "singularName": "",
        "namespaced": resource.namespaced,
        "kind": described.kind or resource.kind,
        "verbs": list(described.verbs),
    }
    if described.group:
        entry |= {"group": described.group, "version": described.version}
    return entry


def aggregated(resources: Iterable[Resource], core: bool) -> Obj:
    """The aggregated form of `/api` (the core group) or `/apis` (all others)."""
    by_group: dict[str, dict[str, list[Resource]]] = {}
    for resource in sorted(resources, key=lambda r: (r.group, r.plural)):
        if (resource.group == "") == core:
            by_group.setdefault(resource.group, {}).setdefault(resource.version, []).append(resource)
    items = [
        {
            "metadata": {"name": group, "creationTimestamp": None} if group else {"creationTimestamp": None},
            "versions": [
                {"version": version, "freshness": "Current", "resources": [_aggregated(r) for r in listed]}
                for version, listed in versions.items()
            ],
        }
        for group, versions in by_group.items()
    ]
    return {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}


def _aggregated(resource: Resource) -> Obj:
    entry: Obj = {
        "resource": resource.plural,
        "responseKind": {"group": resource.group, "version": resource.version, "kind": resource.kind},
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": sorted(resource.verbs),
    }
    entry |= _other_names(resource)
    subresources = [_aggregated_subresource(resource, name) for name in sorted(resource.subresources)]
    if subresources:
        entry["subresources"] = subresources
    return entry


def _aggregated_subresource(resource: Resource, name: str) -> Obj:
    described = SUBRESOURCES[name]
    if described.kind:
        kind = {"group": described.group, "version": described.version, "kind": described.kind}
    else:
        kind = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    return {"subresource": name, "responseKind": kind, "verbs": list(described.verbs)}
