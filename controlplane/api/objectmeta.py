"""Validation of metadata, the same for every kind.

Called by `Resource.validate` at creation and at update, after the server filled in name, namespace and
uid. After `k8s.io/apimachinery/pkg/api/validation/objectmeta.go`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from controlplane.api import names
from controlplane.api.causes import each, forbidden, invalid, required, too_long
from controlplane.api.errors import Cause

Obj = dict[str, Any]
ANNOTATIONS_LIMIT_BYTES = 256 * 1024
NAME_LIMIT_BYTES = 253
IMMUTABLE = "field is immutable"
STANDARD_FINALIZERS = ("orphan", "foregroundDeletion", "kubernetes")


def check_labels(value: Any, field: str) -> list[Cause]:
    """Checks a map of labels."""
    causes: list[Cause] = []
    for key, text in (value or {}).items():
        causes += each(field, key, names.qualified_name(key))
        if text:
            causes += each(field, text, names.label_value(text))
    return causes


def check_annotations(value: Any, field: str) -> list[Cause]:
    """Checks the keys and the whole size of annotations."""
    causes: list[Cause] = []
    size = 0
    for key, text in (value or {}).items():
        causes += each(field, key, names.qualified_name(key.lower()))
        size += len(key.encode()) + len((text or "").encode())
    if size > ANNOTATIONS_LIMIT_BYTES:
        causes.append(too_long(field, ANNOTATIONS_LIMIT_BYTES))
    return causes


def check_finalizers(value: Any, field: str) -> list[Cause]:
    """Checks finalizers: qualified names, with a `/` unless they are standard ones."""
    causes: list[Cause] = []
    for index, name in enumerate(value or ()):
        found = names.qualified_name(name)
        causes += each(f"{field}[{index}]", name, found)
        if not found and "/" not in name and name not in STANDARD_FINALIZERS:
            causes.append(
                invalid(
                    f"{field}[{index}]", name, "name is neither a standard finalizer name nor is it fully qualified"
                )
            )
    if value and "orphan" in value and "foregroundDeletion" in value:
        causes.append(invalid(field, value, "finalizer orphan and foregroundDeletion cannot be both set"))
    return causes


def check_owner_references(value: Any, field: str) -> list[Cause]:
    """Checks owner references: complete, and at most one controller."""
    causes: list[Cause] = []
    controller = ""
    for index, owner in enumerate(value or ()):
        at = f"{field}[{index}]"
        version = owner.get("apiVersion", "")
        if not version or version.startswith("/") or version.count("/") > 1:
            causes.append(invalid(f"{at}.apiVersion", version, "version must not be empty"))
        for name in ("kind", "name", "uid"):
            if not owner.get(name):
                causes.append(invalid(f"{at}.{name}", owner.get(name, ""), "must not be empty"))
        if owner.get("kind") == "Event":
            causes.append(invalid(at, f"{version}, Kind=Event", "is disallowed from being an owner"))
        if owner.get("controller"):
            if controller:
                causes.append(
                    invalid(
                        field,
                        value,
                        "Only one reference can have Controller set to true. Found "
                        f'"true" in references for {controller} and {owner.get("name", "")}',
                    )
                )
            controller = owner.get("name", "")
    return causes


def validate(obj: Obj, namespaced: bool, name_rule: Callable[[str], list[str]], at: str = "metadata") -> list[Cause]:
    """All that is wrong with an object's metadata."""
    meta = obj.get("metadata") or {}
    causes: list[Cause] = []
    prefix = meta.get("generateName", "")
    if prefix:
        causes += each(f"{at}.generateName", prefix, name_rule(names.as_prefix(prefix)))
    name = meta.get("name", "")
    if not name:
        causes.append(required(f"{at}.name", "name or generateName is required"))
    else:
        found = name_rule(name) or names.path_segment(name) or names.plain_text(name)
        causes += each(f"{at}.name", name, found)
        if not found and len(name.encode()) > NAME_LIMIT_BYTES:
            causes.append(too_long(f"{at}.name", NAME_LIMIT_BYTES))
    namespace = meta.get("namespace", "")
    if namespaced:
        if not namespace:
            causes.append(required(f"{at}.namespace"))
        else:
            causes += each(f"{at}.namespace", namespace, names.dns_label(namespace))
    elif namespace:
        causes.append(forbidden(f"{at}.namespace", "not allowed on this type"))
    if meta.get("generation", 0) < 0:
        causes.append(invalid(f"{at}.generation", meta["generation"], "must be greater than or equal to 0"))
    causes += check_labels(meta.get("labels"), f"{at}.labels")
    causes += check_annotations(meta.get("annotations"), f"{at}.annotations")
    causes += check_owner_references(meta.get("ownerReferences"), f"{at}.ownerReferences")
    causes += check_finalizers(meta.get("finalizers"), f"{at}.finalizers")
    return causes


def validate_update(
    obj: Obj, old: Obj, namespaced: bool, name_rule: Callable[[str], list[str]], at: str = "metadata"
) -> list[Cause]:
    """What is wrong with the new metadata, or with the change of it."""
    meta, before = obj.get("metadata") or {}, old.get("metadata") or {}
    causes: list[Cause] = []
    for name in ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"):
        if meta.get(name) != before.get(name):
            causes.append(invalid(f"{at}.{name}", meta.get(name), IMMUTABLE))
    if before.get("deletionTimestamp"):
        added = [item for item in meta.get("finalizers") or () if item not in (before.get("finalizers") or ())]
        if added:
            causes.append(
                forbidden(
                    f"{at}.finalizers",
                    f"no new finalizers can be added if the object is being deleted, found new finalizers {added}",
                )
            )
    if meta.get("generation", 0) < before.get("generation", 0):
        causes.append(invalid(f"{at}.generation", meta.get("generation", 0), "must not be decremented"))
    if changed(meta, before):
        causes += validate(obj, namespaced, name_rule, at)
    return causes


def changed(meta: Obj, before: Obj) -> bool:
    """Whether anything that `validate` looks at is new; what was once stored stays acceptable."""
    looked_at = ("labels", "annotations", "ownerReferences", "finalizers", "name", "namespace", "generateName")
    return any(meta.get(name) != before.get(name) for name in looked_at)
