"""What the daemons cost while the lab is idle: memory as PSS, cpu as a share of one core."""

from __future__ import annotations

import time
from dataclasses import dataclass

from tests.e2e.support import Lab

MASTER = ["kubelab-apiserver", "kubelab-manager", "kubelab-redis", "kubelab-redis-leases", "kubelab-nodeagent",
          "kubelab-watchdog", "kubelab-proxy"]  # fmt: skip
CONTROL_PLANE = MASTER[:4]
WORKER = ["kubelab-nodeagent", "kubelab-watchdog", "kubelab-proxy"]

_READ = (
    "p=$(systemctl show -P MainPID {unit}); "
    "echo {unit} $(awk '/^Pss:/{{print $2}}' /proc/$p/smaps_rollup) $(cut -d' ' -f14,15 /proc/$p/stat)"
)


@dataclass(frozen=True)
class Cost:
    """One daemon: PSS in MiB, and its share of a core in per cent over the measured time."""

    unit: str
    pss_mib: float
    cpu_percent: float


def measure(lab: Lab, node: str, units: list[str], seconds: float = 20) -> list[Cost]:
    """Each unit's main process on the node. Clock ticks are 10 ms."""
    command = "; ".join(_READ.format(unit=unit) for unit in units)
    first = _parse(lab.ssh(node, command))
    time.sleep(seconds)
    second = _parse(lab.ssh(node, command))
    return [Cost(unit, second[unit][0] / 1024, (second[unit][1] - first[unit][1]) / seconds) for unit in units]


def _parse(text: str) -> dict[str, tuple[int, int]]:
    rows = (line.split() for line in text.splitlines())
    return {unit: (int(pss), int(user) + int(system)) for unit, pss, user, system in rows}
