"""Why one node refuses one pod: upstream's words, which are counted over nodes, and ours, which name the figures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Refusal:
    """`summary` as upstream counts it ("Insufficient cpu"), `detail` for this node ("cpu: needs 500m, 320m free")."""

    summary: str
    detail: str
