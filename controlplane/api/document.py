"""One whole API object, as its JSON bytes.

The store keeps objects as the JSON that clients get, so reads copy bytes instead of building objects. What must
look inside decodes once, on demand. The decoded dict is shared by everybody who holds the document and is never
mutated: `copy()` gives a dict of one's own.
"""

from __future__ import annotations

from typing import Any

import msgspec

Obj = dict[str, Any]
"""A decoded API object with camelCase keys, as on the wire."""

_decode = msgspec.json.Decoder(dict[str, Any]).decode
_encode = msgspec.json.Encoder().encode


class Document:
    """An immutable API object: `raw` is its JSON, everything else is read from it on demand."""

    __slots__ = ("_obj", "raw")

    def __init__(self, raw: bytes, obj: Obj | None = None) -> None:
        self.raw = raw
        self._obj = obj

    @classmethod
    def of(cls, obj: Obj) -> Document:
        """Encode `obj`; the caller must not change it afterwards."""
        return cls(_encode(obj), obj)

    @property
    def obj(self) -> Obj:
        """The decoded object, shared: never mutate it."""
        if self._obj is None:
            self._obj = _decode(self.raw)
        return self._obj

    def copy(self) -> Obj:
        """A fresh decoded object that the caller owns."""
        return _decode(self.raw)

    @property
    def metadata(self) -> Obj:
        meta: Obj = self.obj.get("metadata") or {}
        return meta

    @property
    def kind(self) -> str:
        return str(self.obj.get("kind", ""))

    @property
    def name(self) -> str:
        return str(self.metadata.get("name", ""))

    @property
    def namespace(self) -> str:
        return str(self.metadata.get("namespace", ""))

    @property
    def uid(self) -> str:
        return str(self.metadata.get("uid", ""))

    @property
    def labels(self) -> dict[str, str]:
        return self.metadata.get("labels") or {}

    @property
    def annotations(self) -> dict[str, str]:
        return self.metadata.get("annotations") or {}

    @property
    def resource_version(self) -> str:
        return str(self.metadata.get("resourceVersion", ""))

    @property
    def generation(self) -> int:
        return int(self.metadata.get("generation", 0))

    @property
    def deletion_timestamp(self) -> str | None:
        return self.metadata.get("deletionTimestamp")

    @property
    def finalizers(self) -> list[str]:
        return self.metadata.get("finalizers") or []

    @property
    def owner_references(self) -> list[Obj]:
        return self.metadata.get("ownerReferences") or []

    def __repr__(self) -> str:
        where = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"<{self.kind} {where} @{self.resource_version}>"
