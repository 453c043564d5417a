"""The process behind one local machine: boots it, and boots it again after `reboot` (python3 -m lab.runner LAB NODE).

It outlives the `make` that started it, makes the machine's network cable and control groups afresh for each boot, and
ends when the machine is powered off or its power is cut. Nothing waits for it; `down` finds it by its arguments.
"""

from __future__ import annotations

import subprocess
import sys
import time

from lab import cgroups, machine, network, state
from lab.facts import Lab, Node

REBOOT = 133


def main(lab: Lab, node: Node) -> int:
    """Boot until the machine is off; return nspawn's last exit code."""
    unit = cgroups.is_v2() and cgroups.with_systemd()
    while True:
        network.connect(lab, node.name)
        groups = cgroups.divide() if unit else cgroups.make(f"{lab.name}-{node.name}", node)
        print(f"{time.strftime('%F %T')} boot {lab.name}-{node.name}", flush=True)
        code = subprocess.run(  # noqa: S603  (argument list of our own making)
            machine.nspawn(lab, node),
            stdin=subprocess.DEVNULL,
            check=False,
            preexec_fn=lambda: cgroups.join(groups),  # noqa: B023  (called at once, in a process of one thread)
        ).returncode
        print(f"{time.strftime('%F %T')} ended with {code}", flush=True)
        if code != REBOOT:
            return code


if __name__ == "__main__":
    the_lab = state.load(sys.argv[1])
    sys.exit(main(the_lab, the_lab.node(sys.argv[2])))
