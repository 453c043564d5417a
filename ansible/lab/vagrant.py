"""Virtual machines by the Vagrantfile, which asks `python3 -m lab nodes` for the node table (provider `vagrant`).

As root they run under a libvirtd of the lab's own (libvirt.py), from a box of ours (box.py), with all of Vagrant's
state in `.lab/NAME`. Anybody else uses the host's own libvirtd and Debian's box, which has to fetch its packages. The
driver stands in `vms.json`. Power and cables are libvirt's: a power cut is `virsh destroy`, a cut a link taken down.
"""

from __future__ import annotations

import ipaddress
import json
import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from lab import box, forward, kvm, libvirt, network, paths, ssh
from lab.console import Steps
from lab.facts import Lab, Node
from lab.inventory import Variables
from lab.run import LabError, attempt, logged, run

DRIVERS = ("kvm", "qemu")
# With `net.ifnames=0` in the box: Vagrant's own network is the first interface, the lab's the second.
BOX_INTERFACE = "eth1"
_EMULATED_PATIENCE_S = 900.0
_PATIENCE_S = 120.0


class Vagrant:
    """The provider for hosts with a hypervisor, and, with the driver qemu, for the patient."""

    name = "vagrant"

    def __init__(self, driver: str = "") -> None:
        self._wanted = driver

    @property
    def wants_base(self) -> bool:
        return _own_libvirtd()

    def up(self, lab: Lab, base: Path | None, steps: Steps) -> None:
        keys = ssh.keys(lab.name)
        self._choose_driver(lab)
        environment = self._environment(lab)
        if base is not None:
            with steps.step("box (kernel and boot loader)") as note:
                found, made = box.box(base, max(node.disk_bytes for node in lab.nodes))
                environment |= {"KUBELAB_BOX": str(found.file), "KUBELAB_BOX_KEY": str(found.key)}
                note.append("made" if made else "there")
        if _own_libvirtd():
            with steps.step("libvirtd") as note:
                libvirt.start(lab.name)
                note.append(f"in network namespace {lab.name}")
        log = paths.lab_dir(lab.name) / "log" / "vagrant.log"
        with steps.step(f"vagrant up ({self.driver(lab)})") as note:
            logged(
                [*self._enter(lab), "vagrant", "up", "--no-tty", "--provider=libvirt"],
                log,
                env=environment,
                cwd=paths.REPO,
            )
            note.append(f"log: {os.path.relpath(log)}")
        config = ssh.config_text(lab, keys, enter=self.inside(lab), host_keys="accept-new")
        (keys / "config").write_text(config)
        with steps.step(f"{len(lab.nodes)} machines answer over ssh"):
            self._wait(lab, lab.nodes)
        with steps.step("forward to the API"):
            forward.ensure(lab, lab.name if _own_libvirtd() else "")

    def connections(self, lab: Lab) -> dict[str, Variables]:
        config = paths.lab_dir(lab.name) / "ssh" / "config"
        shared: Variables = {
            "ansible_user": "root",
            "ansible_ssh_common_args": f"-F {config}",
            "ansible_python_interpreter": "/usr/bin/python3",
        }
        if _own_libvirtd():
            shared["lab_interface"] = BOX_INTERFACE
        if self.driver(lab) == "qemu":
            # Fifteen times slower than the hardware: a fence that acts after seconds would act for nothing.
            shared |= {"ansible_ssh_timeout": 180, "lab_profile": "kubernetes"}
        return {node.name: {"ansible_host": node.address, **shared} for node in lab.nodes}

    def ready_within_s(self, lab: Lab) -> float:
        return _EMULATED_PATIENCE_S if self.driver(lab) == "qemu" else _PATIENCE_S

    def down(self, lab: Lab, steps: Steps) -> None:
        with steps.step("virtual machines"):
            forward.stop(lab.name)
            ssh.end_connections(lab.name)
            if _own_libvirtd():
                libvirt.stop(lab.name)
            else:
                self._remove_from_host(lab)

    def states(self, lab: Lab) -> dict[str, str]:
        return {node.name: self._state(lab, node) for node in lab.nodes}

    def power_off(self, lab: Lab, nodes: list[str]) -> None:
        processes = [
            subprocess.Popen(self._virsh_command(lab, "destroy", domain(lab, node)), stderr=subprocess.PIPE)  # noqa: S603
            for node in nodes
            if self._state(lab, lab.node(node)) != "off"
        ]
        for process in processes:
            if process.wait():
                raise LabError(process.stderr.read().decode() if process.stderr else "virsh destroy")

    def power_on(self, lab: Lab, nodes: list[str]) -> None:
        chosen = [lab.node(name) for name in nodes]
        for node in chosen:
            if self._state(lab, node) == "off":
                self._virsh(lab, "start", domain(lab, node.name))
        self._wait(lab, [node for node in chosen if self._state(lab, node) == "on"])

    def cut(self, lab: Lab, nodes: list[str], direction: str) -> None:
        if direction != "both":
            raise LabError(f"DIR={direction}: only local machines can be cut one way")
        self._set_links(lab, nodes, "down")

    def heal(self, lab: Lab, nodes: list[str]) -> None:
        self._set_links(lab, nodes, "up")

    def client(self, lab: Lab, command: str) -> int:
        """The host's end of the machines' network: in it, and outside the cluster."""
        # The person's own command line, for their shell.
        return subprocess.run([*self.inside(lab), "sh", "-c", command], check=False).returncode  # noqa: S603

    def shell(self, lab: Lab, node: str, command: str) -> list[str]:
        return [*ssh.command(lab.name, lab.node(node).name), *([command] if command else [])]

    def inside(self, lab: Lab) -> list[str]:
        return network.inside(lab.name) if _own_libvirtd() else []

    def driver(self, lab: Lab) -> str:
        """The driver of the lab's machines."""
        return str(json.loads(_record(lab).read_text())["driver"]) if _record(lab).exists() else "kvm"

    def _choose_driver(self, lab: Lab) -> None:
        if not _record(lab).exists():
            _record(lab).write_text(json.dumps({"driver": self._wanted or "kvm"}) + "\n")

    def _enter(self, lab: Lab) -> list[str]:
        return libvirt.inside(lab.name) if _own_libvirtd() else []

    def _environment(self, lab: Lab) -> dict[str, str]:
        folder = paths.lab_dir(lab.name)
        environment = {
            "LAB": lab.name,
            "WORKERS": str(len(lab.workers)),
            "KUBELAB_DRIVER": self.driver(lab),
            "KUBELAB_LAB_KEY": str(folder / "ssh" / "id"),
            "VAGRANT_CWD": str(paths.REPO),
            "VAGRANT_DOTFILE_PATH": str(folder / "vagrant"),
            "VAGRANT_CHECKPOINT_DISABLE": "1",
        }
        if _own_libvirtd():
            environment |= {"VAGRANT_HOME": str(folder / "vagrant-home"), "KUBELAB_CONSOLES": str(folder / "log")}
        return environment

    def _wait(self, lab: Lab, nodes: Iterable[Node]) -> None:
        for node in nodes:
            ssh.wait(lab, node, self.ready_within_s(lab))

    def _state(self, lab: Lab, node: Node) -> str:
        name = domain(lab, node.name)
        if _own_libvirtd() and not libvirt.running(lab.name):
            return "off"
        done = attempt(self._virsh_command(lab, "domstate", name))
        if done.stdout.strip() != "running":
            return "off"
        link = self._virsh(lab, "domif-getlink", name, cable(lab, node.name))
        return "on" if "up" in link else "cut"

    def _set_links(self, lab: Lab, nodes: list[str], state: str) -> None:
        for node in nodes:
            self._virsh(lab, "domif-setlink", domain(lab, node), cable(lab, node), state)

    def _virsh_command(self, lab: Lab, *words: str) -> list[str]:
        return [*self._enter(lab), *libvirt.virsh(*words)]

    def _virsh(self, lab: Lab, *words: str) -> str:
        return run(self._virsh_command(lab, *words))

    def _remove_from_host(self, lab: Lab) -> None:
        """Let Vagrant remove what it made at the host's own libvirtd."""
        if (paths.lab_dir(lab.name) / "vagrant").exists():
            log = paths.lab_dir(lab.name) / "log" / "vagrant.log"
            logged(["vagrant", "destroy", "--force"], log, env=self._environment(lab), cwd=paths.REPO)


def document(lab: Lab) -> dict[str, object]:
    """What the Vagrantfile asks for (`python3 -m lab nodes`)."""
    return {
        "lab": lab.name,
        "netmask": str(ipaddress.IPv4Network(lab.node_range).netmask),
        "management_range": lab.management_range,
        "nodes": [
            {
                "name": node.name,
                "address": node.address,
                "cable": cable(lab, node.name),
                "cpus": -(-node.cpu_milli // 1000),
                "memory_mib": node.memory_bytes >> 20,
            }
            for node in lab.nodes
        ],
    }


def domain(lab: Lab, node: str) -> str:
    """A machine's name at libvirt."""
    return f"{lab.name}-{node}"


def cable(lab: Lab, node: str) -> str:
    """The host's end of a machine's cable in the lab's network (at most 15 characters)."""
    number = node.rpartition("-")[2] if node != lab.master.name else "m"
    return f"{lab.name}-{number}"


def missing(driver: str) -> str:
    """Return "" where machines with this driver can run, else what is missing and what to do."""
    if driver not in ("", *DRIVERS):
        return f"DRIVER={driver}: one of {', '.join(DRIVERS)}"
    if driver != "qemu" and (reason := kvm.why_not()):
        return (
            f"PROVIDER=vagrant: {reason}. DRIVER=qemu emulates (some 15 times slower), PROVIDER=local needs neither"
        )
    if not _own_libvirtd() and (shutil.which("virsh") is None or attempt(libvirt.virsh("version")).returncode):
        return (
            "PROVIDER=vagrant: not root, and no libvirtd of the host's answers (`sudo make up` brings one of its own)"
        )
    return ""


def _own_libvirtd() -> bool:
    return os.geteuid() == 0


def _record(lab: Lab) -> Path:
    return paths.lab_dir(lab.name) / "vms.json"
