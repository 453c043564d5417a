"""Virtual machines by the Vagrantfile, which reads the same node table (provider `vagrant`)."""

from __future__ import annotations

import subprocess
from pathlib import Path

from lab import forward, paths
from lab.console import Steps
from lab.facts import Lab
from lab.inventory import Variables
from lab.run import LabError, attempt, logged, run


class Vagrant:
    """The provider for hosts with a hypervisor."""

    name = "vagrant"

    def up(self, lab: Lab, base: Path | None, steps: Steps) -> None:
        del base
        log = paths.lab_dir(lab.name) / "log" / "vagrant.log"
        with steps.step("vagrant up"):
            logged(["vagrant", "up", "--no-provision"], log, env=self._environment(lab), cwd=paths.REPO)
            self._write_ssh_config(lab)
        with steps.step("forward to the API"):
            forward.ensure(lab, namespace="")

    def connections(self, lab: Lab) -> dict[str, Variables]:
        config = paths.lab_dir(lab.name) / "ssh" / "config"
        return {
            node.name: {
                "ansible_host": node.name,
                "ansible_user": "vagrant",
                "ansible_become": True,
                "ansible_ssh_common_args": f"-F {config}",
                "ansible_python_interpreter": "/usr/bin/python3",
            }
            for node in lab.nodes
        }

    def down(self, lab: Lab, steps: Steps) -> None:
        with steps.step("vagrant destroy"):
            forward.stop(lab.name)
            run(["vagrant", "destroy", "--force"], env=self._environment(lab))

    def states(self, lab: Lab) -> dict[str, str]:
        found = {}
        for node in lab.nodes:
            state = attempt(
                ["virsh", "-c", "qemu:///system", "domstate", self._domain(lab, node.name)]
            ).stdout.strip()
            found[node.name] = "on" if state == "running" else "off"
        return found

    def power_off(self, lab: Lab, nodes: list[str]) -> None:
        for node in nodes:
            self._virsh("destroy", self._domain(lab, node))

    def power_on(self, lab: Lab, nodes: list[str]) -> None:
        for node in nodes:
            self._virsh("start", self._domain(lab, node))

    def cut(self, lab: Lab, nodes: list[str], direction: str) -> None:
        if direction != "both":
            raise LabError(f"DIR={direction}: only local machines can be cut one way")
        for node in nodes:
            self._virsh("domif-setlink", self._domain(lab, node), self._interface(lab, node), "down")

    def heal(self, lab: Lab, nodes: list[str]) -> None:
        for node in nodes:
            self._virsh("domif-setlink", self._domain(lab, node), self._interface(lab, node), "up")

    def client(self, lab: Lab, command: str) -> int:
        """The host itself is in the machines' network and outside the cluster."""
        del lab
        return subprocess.run(["sh", "-c", command], check=False).returncode  # noqa: S603, S607

    def shell(self, lab: Lab, node: str, command: str) -> list[str]:
        config = str(paths.lab_dir(lab.name) / "ssh" / "config")
        return ["ssh", "-F", config, node, *([f"sudo {command}"] if command else [])]

    def inside(self, lab: Lab) -> list[str]:
        del lab
        return []

    def _write_ssh_config(self, lab: Lab) -> None:
        folder = paths.lab_dir(lab.name) / "ssh"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / "config").write_text(run(["vagrant", "ssh-config"], env=self._environment(lab)))

    def _environment(self, lab: Lab) -> dict[str, str]:
        return {
            "LAB": lab.name,
            "LAB_SLOT": str(lab.slot),
            "WORKERS": str(len(lab.workers)),
            "VAGRANT_CWD": str(paths.REPO),
            "VAGRANT_DOTFILE_PATH": str(paths.lab_dir(lab.name) / "vagrant"),
            "VAGRANT_CHECKPOINT_DISABLE": "1",
        }

    def _domain(self, lab: Lab, node: str) -> str:
        return f"{lab.name}_{node}"

    def _interface(self, lab: Lab, node: str) -> str:
        """The host's end of the machine's cable in the lab's network: its second one."""
        rows = self._virsh("domiflist", self._domain(lab, node)).splitlines()[2:]
        return [row.split()[0] for row in rows if row.split()][-1]

    def _virsh(self, *words: str) -> str:
        return run(["virsh", "-c", "qemu:///system", *words])
