"""What the API serves, as the controllers that work on every kind need it: namespaces and the garbage collector.

After client-go/discovery (ServerPreferredResources).
"""

from __future__ import annotations

from typing import Any

import msgspec

from controlplane.api.resources import ResourceType
from controlplane.api.types import Object
from controlplane.client import Client

AnyResource = ResourceType[Object]
"""A resource of which only the metadata is read."""


def served(client: Client, *verbs: str) -> list[AnyResource]:
    """Every resource that has all of these verbs.

    Raises: ApiError.
    """
    found = []
    for version in _group_versions(client):
        path = f"/apis/{version}" if "/" in version else f"/api/{version}"
        group, _, number = version.rpartition("/")
        for entry in _get(client, path).get("resources") or ():
            if "/" not in entry["name"] and set(verbs) <= set(entry["verbs"]):
                found.append(ResourceType(group, number, entry["name"], entry["kind"], entry["namespaced"], Object))
    return found


def _group_versions(client: Client) -> list[str]:
    core = _get(client, "/api").get("versions") or []
    groups = _get(client, "/apis").get("groups") or []
    return [*core, *(group["preferredVersion"]["groupVersion"] for group in groups)]


def _get(client: Client, path: str) -> dict[str, Any]:
    return msgspec.json.decode(client.request("GET", path), type=dict[str, Any])
