"""Table columns that most kinds share, and how kubectl's columns word things.

After `pkg/printers/internalversion/printers.go`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from controlplane.api import times
from controlplane.apiserver.registry import Cell, Column, Obj

NONE: Final = "<none>"
UNKNOWN: Final = "<unknown>"
UNSET: Final = "<unset>"
SHOWN: Final = 3
"""So many items of a list are shown before `+ N more...`."""


def name(obj: Obj, _now: datetime) -> Cell:
    """The object's name."""
    return str(obj["metadata"].get("name", ""))


def age(obj: Obj, now: datetime) -> Cell:
    """How long ago it was created."""
    return times.age(obj["metadata"].get("creationTimestamp"), now)


NAME: Final = Column(
    "Name", name, format="name",
    description="Name must be unique within a namespace. Is required when creating resources, although some "
    "resources may allow a client to request the generation of an appropriate name automatically.",
)  # fmt: skip
AGE: Final = Column(
    "Age", age,
    description="CreationTimestamp is a timestamp representing the server time when this object was created.",
)  # fmt: skip


def at(obj: Any, *path: str) -> Any:
    """The value at a path of names, None where it ends early."""
    for part in path:
        if not obj:
            return None
        obj = obj.get(part)
    return obj


def text(obj: Obj, *path: str, missing: str = "") -> str:
    """The text at a path of names."""
    value = at(obj, *path)
    return str(value) if value not in (None, "") else missing


def labels(value: Any) -> str:
    """A map of labels as a selector column shows it."""
    return ",".join(f"{key}={item}" for key, item in sorted((value or {}).items())) or NONE


def some(items: list[str], empty: str) -> str:
    """The first three items, and how many more there are."""
    if not items:
        return empty
    more = f" + {len(items) - SHOWN} more..." if len(items) > SHOWN else ""
    return ",".join(items[:SHOWN]) + more


def containers(spec: Any, field: str) -> str:
    """The names or images of a pod spec's containers."""
    return ",".join(str(item.get(field, "")) for item in (spec or {}).get("containers") or ())
