"""Lists everything on the host that is named after a lab: what `down` must leave empty. Used by down and by tests."""

from __future__ import annotations

from pathlib import Path

from lab import cgroups, forward, machine, network, paths, procs, ssh, state
from lab.run import attempt


def of(lab: str) -> list[str]:
    """One line for each process, mount, loop device, namespace, interface and control group of the lab."""
    folder = str(paths.lab_dir(lab))
    found = [f"process {pid}: {_command(pid)}" for pid in sorted(_processes(lab))]
    mounts = [row.split()[1] for row in Path("/proc/self/mounts").read_text().splitlines()]
    found += [f"mount {target}" for target in mounts if target.startswith(f"{folder}/")]
    loops = attempt(["losetup", "--list", "--noheadings", "--output", "NAME,BACK-FILE"]).stdout
    found += [f"loop device {row}" for row in loops.splitlines() if f"{folder}/" in row]
    found += [f"network namespace {name}" for name in network.namespaces(lab)]
    links = attempt(["ip", "-o", "link"]).stdout
    found += [f"interface {row.split(': ')[1]}" for row in links.splitlines() if f": {lab}-" in row]
    found += [f"control group {group}" for group in cgroups.left(lab)]
    folders = [paths.lab_dir(lab), ssh.connections_dir(lab), *Path("/run/systemd/nspawn/propagate").glob(f"{lab}-*")]
    found += [f"folder {path}" for path in folders if path.exists()]
    return found


def _processes(lab: str) -> set[int]:
    found = {*cgroups.processes(lab), *forward.running(lab), *ssh.connections(lab)}
    for row in state.table().rows:
        found.update(machine.runners(lab, str(row["name"])))
    for namespace in network.namespaces(lab):
        found.update(procs.by_network(network.NETNS / namespace))
    return found


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ").strip()[:120]
    except OSError:
        return "(gone)"
