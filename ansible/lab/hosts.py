"""Machines that people already have (INVENTORY=file): reached as their inventory says, not made, not removed."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import cast

from lab import base, forward, health, own, paths, ssh, state
from lab.console import Steps
from lab.facts import Lab
from lab.inventory import Variables
from lab.run import LabError, attempt, logged, tail


class Hosts:
    """The provider for an inventory of one's own. What would need a power switch or a cable is left to the person."""

    name = "hosts"
    wants_base = False

    def __init__(self, inventory: Path) -> None:
        self.inventory = inventory

    def read(self) -> own.Listing:
        """What Ansible makes of the inventory. Raises: LabError with its words where it can't read it."""
        command = [paths.venv_bin("ansible-inventory"), "-i", str(self.inventory), "--list"]
        strict = {"ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true"}
        done = attempt([*command, "--playbook-dir", paths.ANSIBLE], env={**base.ansible_environment(), **strict})
        if done.returncode:
            raise LabError(f"INVENTORY={self.inventory}: Ansible can't read it\n{tail(done.stderr)}")
        return cast("own.Listing", json.loads(done.stdout))

    def up(self, lab: Lab, base_image: Path | None, steps: Steps) -> None:
        del base_image
        command = [paths.venv_bin("ansible"), "-i", str(self.inventory), "cluster", "-m", "ansible.builtin.ping"]
        with steps.step("the inventory's machines answer"):
            logged(
                command,
                paths.lab_dir(lab.name) / "log" / "ping.log",
                env=ssh.ansible_environment(lab.name),
                cwd=paths.ANSIBLE,
            )
        with steps.step("forward to the API") as note:
            forward.ensure(lab, namespace="")
            note.append(f"127.0.0.1:{lab.forward_port} → {lab.master.address}:{lab.api_port}")

    def connections(self, lab: Lab) -> dict[str, Variables]:
        del lab
        return {}

    def ready_within_s(self, lab: Lab) -> float:
        del lab
        return health.READY_WITHIN_S

    def down(self, lab: Lab, steps: Steps) -> None:
        with steps.step("forward to the API"):
            forward.stop(lab.name)
            ssh.end_connections(lab.name)
        steps.say(
            "  · the machines themselves are yours: they run on as they are (ansible/README.md, "
            '"Machines of your own", says how kubelab gets off them)'
        )

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
        return subprocess.run(["sh", "-c", command], check=False).returncode  # noqa: S603, S607  (CMD= is a shell command)

    def shell(self, lab: Lab, node: str, command: str) -> list[str]:
        return [*own.ssh_command(state.listing(lab.name), node), *([command] if command else [])]

    def inside(self, lab: Lab) -> list[str]:
        del lab
        return []


def _yours(nodes: list[str]) -> LabError:
    return LabError(f"{', '.join(nodes)}: of your own machines, that only you can switch or unplug; nothing was done")
