"""What an update of a pod may change. After `ValidatePodUpdate` upstream."""

from __future__ import annotations

from typing import Any, Final

from controlplane.api.causes import forbidden, invalid, required
from controlplane.api.errors import Cause

Obj = dict[str, Any]

ONLY: Final = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def validate(spec: Obj, old: Obj) -> list[Cause]:
    """Everything that this change of a pod's spec may not do."""
    for kind in ("containers", "initContainers"):
        if len(spec.get(kind) or ()) != len(old.get(kind) or ()):
            return [forbidden(f"spec.{kind}", f"pod updates may not add or remove {kind}")]
    causes = [
        required(f"spec.{kind}[{index}].image")
        for kind in ("containers", "initContainers")
        for index, container in enumerate(spec.get(kind) or ())
        if not container.get("image")
    ]
    causes += _deadline(spec.get("activeDeadlineSeconds"), old.get("activeDeadlineSeconds"))
    causes += _tolerations(spec.get("tolerations") or [], old.get("tolerations") or [])
    changed = sorted(_changed(_fixed(spec), _fixed(old), "spec"))
    if changed:
        causes.append(forbidden("spec", f"{ONLY}\nchanged: {', '.join(changed)}"))
    return causes


def _deadline(new: int | None, old: int | None) -> list[Cause]:
    if old is None or new == old:
        return []
    if new is None:
        return [invalid("spec.activeDeadlineSeconds", new, "must not update from a positive integer to nil value")]
    if new > old:
        return [invalid("spec.activeDeadlineSeconds", new, "must be less than or equal to previous value")]
    return []


def _tolerations(new: list[Obj], old: list[Obj]) -> list[Cause]:
    def rest(item: Obj) -> Obj:
        return {name: value for name, value in item.items() if name != "tolerationSeconds"}

    if all(any(rest(item) == rest(other) for other in new) for item in old):
        return []
    return [forbidden("spec.tolerations", "existing toleration can not be modified except its tolerationSeconds")]


def _fixed(spec: Obj) -> Obj:
    """The spec without what may change."""
    kept = {
        name: value
        for name, value in spec.items()
        if name not in ("activeDeadlineSeconds", "tolerations") and value not in (None, {}, [])
    }
    for kind in ("containers", "initContainers"):
        if kind in kept:
            kept[kind] = [{**container, "image": ""} for container in kept[kind]]
    return kept


def _changed(new: Any, old: Any, at: str) -> list[str]:
    if isinstance(new, dict) and isinstance(old, dict):
        return [
            path
            for name in new.keys() | old.keys()
            for path in _changed(new.get(name), old.get(name), f"{at}.{name}")
        ]
    if isinstance(new, list) and isinstance(old, list) and len(new) == len(old):
        return [
            path
            for index, (one, other) in enumerate(zip(new, old, strict=True))
            for path in _changed(one, other, f"{at}[{index}]")
        ]
    return [] if new == old else [at]
