"""The read, write and delete paths over one backend, made once and shared by all views."""

from __future__ import annotations

from dataclasses import dataclass

from controlplane.apiserver.backend import Backend
from controlplane.apiserver.deletes import Deletes
from controlplane.apiserver.reads import Reads
from controlplane.apiserver.writes import Writes


@dataclass(frozen=True)
class Services:
    """What views call."""

    backend: Backend
    reads: Reads
    writes: Writes
    deletes: Deletes


def services_of(backend: Backend) -> Services:
    writes = Writes(backend)
    return Services(backend, Reads(backend), writes, Deletes(backend, writes))
