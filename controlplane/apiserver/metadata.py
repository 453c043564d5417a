"""What the server itself puts into an object's metadata: names, identity, times, generations.

Follows apiserver/pkg/registry/rest/{create,update}.go.
"""

from __future__ import annotations

import uuid

from controlplane.api import times
from controlplane.api.errors import ApiError
from controlplane.apiserver.registry import Context, Obj, Resource

SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""Upstream's: no vowels, so that no words come out; nothing that looks like something else."""
SUFFIX_LENGTH = 5
PREFIX_LIMIT = 63 - SUFFIX_LENGTH
SERVER_FIELDS = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink")


def check_place(obj: Obj, resource: Resource, namespace: str, name: str = "") -> None:
    """The object's own namespace and name must be those of the request; missing ones are filled in.

    Raises: ApiError 400.
    """
    meta = obj["metadata"]
    if resource.namespaced:
        if meta.get("namespace") and meta["namespace"] != namespace:
            raise ApiError.bad_request(
                "the namespace of the provided object does not match the namespace sent on the request"
            )
        meta["namespace"] = namespace
    elif not meta.get("namespace"):
        meta.pop("namespace", None)
    if name:
        if not meta.get("name"):
            meta["name"] = name
        elif meta["name"] != name:
            raise ApiError.bad_request(
                f"the name of the object ({meta['name']}) does not match the name on the URL ({name})"
            )


def begin(obj: Obj, ctx: Context, has_generation: bool) -> None:
    """Fills in the metadata of a new object; what only the server may set is dropped first."""
    meta = obj["metadata"]
    for field in (*SERVER_FIELDS, "resourceVersion", "generation", "managedFields"):
        meta.pop(field, None)
    if not meta.get("name") and meta.get("generateName"):
        suffix = "".join(ctx.random.choices(SUFFIX_ALPHABET, k=SUFFIX_LENGTH))
        meta["name"] = meta["generateName"][:PREFIX_LIMIT] + suffix
    meta["uid"] = str(uuid.uuid4())
    meta["creationTimestamp"] = times.time(ctx.now)
    if has_generation:
        meta["generation"] = 1


def carry(obj: Obj, old: Obj) -> None:
    """Puts into an update what only the server may change.

    Raises: nothing; a client's other uid is the caller's to refuse.
    """
    meta, before = obj["metadata"], old["metadata"]
    for field in (*SERVER_FIELDS, "generation"):
        if field in before:
            meta[field] = before[field]
        else:
            meta.pop(field, None)
    meta.pop("managedFields", None)
    if before.get("generateName") and "generateName" not in meta:
        meta["generateName"] = before["generateName"]
