"""Local machines: systemd-nspawn containers in a network namespace of the lab's own (provider `local`)."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from lab import artifacts, cgroups, forward, health, inventory, machine, network, paths, procs, ssh
from lab.console import Steps
from lab.facts import Lab, Node
from lab.inventory import Variables
from lab.run import LabError, run


class Local:
    """The provider for hosts without a hypervisor, and the quickest one everywhere."""

    name = "local"
    wants_base = True

    def up(self, lab: Lab, base: Path | None, steps: Steps) -> None:
        if base is None:
            raise LabError("local machines need a base image")
        with steps.step("network") as note:
            network.make(lab)
            ssh.configure(lab)
            note.append(f"{lab.node_range} in network namespace {lab.name}")
        with steps.step("disks and root file systems"):
            _each(list(lab.nodes), lambda n: machine.prepare(lab, n, base))
            for node in lab.nodes:
                artifacts.claim(_base_of(lab, node), paths.lab_dir(lab.name))
        off = [node.name for node in lab.nodes if not machine.is_on(lab.name, node.name)]
        with steps.step(f"{len(lab.nodes)} machines answer over ssh") as note:
            self.power_on(lab, [node.name for node in lab.nodes])
            note.append(f"booted {', '.join(off)}" if off else "all were on")
        with steps.step("forward to the API") as note:
            forward.ensure(lab, lab.name)
            note.append(f"127.0.0.1:{lab.forward_port} → {lab.master.address}:{lab.api_port}")

    def connections(self, lab: Lab) -> dict[str, Variables]:
        config = paths.lab_dir(lab.name) / "ssh" / "config"
        return {n.name: inventory.local_connection(n, config, network.INTERFACE) for n in lab.nodes}

    def ready_within_s(self, lab: Lab) -> float:
        del lab
        return health.READY_WITHIN_S

    def down(self, lab: Lab, steps: Steps) -> None:
        with steps.step("machines"):
            machine.power_off(lab.name, [node.name for node in lab.nodes])
            forward.stop(lab.name)
            ssh.end_connections(lab.name)
        with steps.step("mounts and control groups"):
            for node in lab.nodes:
                machine.unmount(lab.name, node.name)
            for group in cgroups.left(lab.name):
                cgroups.remove_tree(group)
        with steps.step("network"):
            for namespace in network.namespaces(lab.name):
                left = procs.kill(partial(procs.by_network, network.NETNS / namespace))
                if left:
                    raise LabError(f"network namespace {namespace}: processes {left} don't end")
                run(["ip", "netns", "del", namespace])

    def states(self, lab: Lab) -> dict[str, str]:
        cut = network.cuts(lab.name)
        states = {}
        for node in lab.nodes:
            on = machine.is_on(lab.name, node.name)
            states[node.name] = "off" if not on else f"cut ({cut[node.name]})" if node.name in cut else "on"
        return states

    def power_off(self, lab: Lab, nodes: list[str]) -> None:
        machine.power_off(lab.name, nodes)

    def power_on(self, lab: Lab, nodes: list[str]) -> None:
        chosen = [lab.node(name) for name in nodes]
        for node in chosen:
            if not machine.runners(lab.name, node.name) and not machine.is_on(lab.name, node.name):
                machine.boot(lab, node)
        cut = network.cuts(lab.name)
        _each([node for node in chosen if node.name not in cut], lambda n: ssh.wait(lab, n))

    def cut(self, lab: Lab, nodes: list[str], direction: str) -> None:
        network.cut(lab.name, nodes, direction)

    def heal(self, lab: Lab, nodes: list[str]) -> None:
        network.heal(lab.name, nodes)

    def client(self, lab: Lab, command: str) -> int:
        enter = network.inside(lab.name, "client")
        # The one shell string of the lab: the command line is the person's own.
        return subprocess.run([*enter, "sh", "-c", command], check=False).returncode  # noqa: S603  (CMD= is a shell command)

    def shell(self, lab: Lab, node: str, command: str) -> list[str]:
        return [*ssh.command(lab.name, lab.node(node).name), *([command] if command else [])]

    def inside(self, lab: Lab) -> list[str]:
        return network.inside(lab.name)


def _each(nodes: list[Node], work: Callable[[Node], None]) -> None:
    """Do the work for all nodes at once; the first failure is raised when all have ended."""
    with ThreadPoolExecutor(max_workers=max(1, len(nodes))) as pool:
        for outcome in [pool.submit(work, node) for node in nodes]:
            outcome.result()


def _base_of(lab: Lab, node: Node) -> Path:
    return Path((paths.node_dir(lab.name, node.name) / "base").read_text())
