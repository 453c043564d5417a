"""The seam between a lab and the machines under it: local machines, VMs, or machines that people already have."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from lab.console import Steps
from lab.facts import Lab
from lab.inventory import Variables


class Provider(Protocol):
    """What every kind of machine can do. Every method may be repeated; each leaves what is already right alone."""

    name: str

    @property
    def wants_base(self) -> bool:
        """Whether machines are made from the base image, and so have every package."""

    def up(self, lab: Lab, base: Path | None, steps: Steps) -> None:
        """Bring every machine of the lab up and wait until each answers over ssh."""

    def connections(self, lab: Lab) -> dict[str, Variables]:
        """How Ansible reaches each machine, by the node's name."""

    def ready_within_s(self, lab: Lab) -> float:
        """How long it may take until every node is Ready after site.yml, in seconds."""

    def down(self, lab: Lab, steps: Steps) -> None:
        """Remove every machine and whatever it left on the host."""

    def states(self, lab: Lab) -> dict[str, str]:
        """One word on each machine: on, off, cut."""

    def power_off(self, lab: Lab, nodes: list[str]) -> None:
        """Cut the power of machines at the same moment."""

    def power_on(self, lab: Lab, nodes: list[str]) -> None:
        """Boot machines and wait until they answer."""

    def cut(self, lab: Lab, nodes: list[str], direction: str) -> None:
        """Cut machines from the lab's network: in, out or both."""

    def heal(self, lab: Lab, nodes: list[str]) -> None:
        """Undo the cuts of machines."""

    def client(self, lab: Lab, command: str) -> int:
        """Run a person's shell command on the client machine; return its exit code."""

    def shell(self, lab: Lab, node: str, command: str) -> list[str]:
        """The command that opens a shell on a machine or runs a command there."""

    def inside(self, lab: Lab) -> list[str]:
        """The start of a command that has to reach the lab's network from the host."""
