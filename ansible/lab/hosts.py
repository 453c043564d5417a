"""Machines that people already have (INVENTORY=file): reached as their inventory says, not made, not removed."""

from __future__ import annotations

import subprocess
from pathlib import Path

from lab import base, forward, health, paths
from lab.console import Steps
from lab.facts import Lab
from lab.inventory import Variables
from lab.run import LabError, logged


class Hosts:
    """The provider for an inventory of one's own. What would need a power switch or a cable is left to the person."""

    name = "hosts"
    wants_base = False

    def __init__(self, inventory: Path) -> None:
        self.inventory = inventory

    def up(self, lab: Lab, base_image: Path | None, steps: Steps) -> None:
        del base_image
        command = [paths.venv_bin("ansible"), "-i", str(self.inventory), "cluster", "-m", "ansible.builtin.ping"]
        with steps.step("the inventory's machines answer"):
            logged(
                command,
                paths.lab_dir(lab.name) / "log" / "ping.log",
                env=base.ansible_environment(),
                cwd=paths.ANSIBLE,
            )
        with steps.step("forward to the API"):
            forward.ensure(lab, namespace="")

    def connections(self, lab: Lab) -> dict[str, Variables]:
        del lab
        return {}

    def ready_within_s(self, lab: Lab) -> float:
        del lab
        return health.READY_WITHIN_S

    def down(self, lab: Lab, steps: Steps) -> None:
        with steps.step("forward to the API"):
            forward.stop(lab.name)
        steps.say("  · the machines themselves are yours, and stay as they are")

    def states(self, lab: Lab) -> dict[str, str]:
        return {node.name: "(yours)" for node in lab.nodes}

    def power_off(self, lab: Lab, nodes: list[str]) -> None:
        del lab
        raise _yours(nodes)

    def power_on(self, lab: Lab, nodes: list[str]) -> None:
        del lab
        raise _yours(nodes)

    def cut(self, lab: Lab, nodes: list[str], direction: str) -> None:
        del lab, direction
        raise _yours(nodes)

    def heal(self, lab: Lab, nodes: list[str]) -> None:
        del lab
        raise _yours(nodes)

    def client(self, lab: Lab, command: str) -> int:
        del lab
        return subprocess.run(["sh", "-c", command], check=False).returncode  # noqa: S603, S607

    def shell(self, lab: Lab, node: str, command: str) -> list[str]:
        del lab
        return ["ssh", node, *([command] if command else [])]

    def inside(self, lab: Lab) -> list[str]:
        del lab
        return []


def _yours(nodes: list[str]) -> LabError:
    return LabError(f"{', '.join(nodes)}: these machines are yours; the lab can't switch or unplug them")
