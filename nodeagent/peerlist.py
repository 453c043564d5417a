"""The other workers, from the node list, remembered for an agent that restarts while the API is away.

A restarted agent that has seen no node list would have nobody to ask and would have to take that for silence. So the
newest list is kept in a file below /run: it lasts as long as the containers that it decides about.

Called by `main.py` (on every change of a node) and, through it, by `guard.py`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

import msgspec

from controlplane.api.types import Node
from nodeagent.fence import Peers


class PeerList:
    """The last node list that was seen, as the fence needs it."""

    def __init__(self, file: Path, node_name: str) -> None:
        self._file = file
        self._node_name = node_name
        self._peers = _read(file)

    @property
    def peers(self) -> Peers:
        return self._peers

    def update(self, nodes: Iterable[Node]) -> None:
        """Take in the newest node list."""
        others = [n for n in nodes if not n.control_plane and n.metadata.name != self._node_name]
        ready = frozenset(n.internal_ip for n in others if n.ready and n.internal_ip)
        peers = Peers(ready, any_other_worker=bool(others))
        if peers == self._peers:
            return
        self._peers = peers
        with contextlib.suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            fresh = self._file.with_suffix(".new")
            fresh.write_bytes(msgspec.json.encode({"ready": sorted(ready), "others": bool(others)}))
            os.replace(fresh, self._file)


class _Stored(msgspec.Struct):
    ready: list[str]
    others: bool


def _read(file: Path) -> Peers:
    try:
        stored = msgspec.json.decode(file.read_bytes(), type=_Stored)
    except (OSError, msgspec.MsgspecError):
        return Peers(known=False)
    return Peers(frozenset(stored.ready), stored.others)
