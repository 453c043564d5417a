"""How the host reaches the machines: a key pair of the lab's own, known host keys, and an ssh configuration file.

Local machines are reached through the lab's network namespace; everything else (Ansible, testinfra, `make ssh`) uses
the same configuration file and needs to know nothing about it.
"""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from lab import base, network, paths, procs
from lab.facts import Lab, Node
from lab.run import LabError, attempt, run


def keys(lab: str) -> Path:
    """Make the lab's keys where they are missing and return their folder."""
    folder = paths.lab_dir(lab) / "ssh"
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    for name in ("id", "ssh_host_ed25519_key"):
        if not (folder / name).exists():
            run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"kubelab-{lab}", "-f", folder / name])
    return folder


def configure(lab: Lab) -> Path:
    """Write the ssh configuration of local machines and return its path."""
    folder = keys(lab.name)
    public = (folder / "ssh_host_ed25519_key.pub").read_text().strip()
    known = "".join(f"{node.name},{node.address} {public}\n" for node in lab.nodes)
    (folder / "known_hosts").write_text(known)
    (folder / "config").write_text(config_text(lab, folder))
    return folder / "config"


def config_text(lab: Lab, folder: Path, enter: list[str] | None = None, host_keys: str = "yes") -> str:
    """The ssh configuration: one block a machine, then what they share.

    `enter` is the start of a command in the lab's network (empty where the host is in it), `host_keys` what ssh
    shall do about the machines' host keys.
    """
    blocks = [f"Host {node.name}\n  HostName {node.address}\n" for node in lab.nodes]
    names = " ".join(f"{node.name} {node.address}" for node in lab.nodes)
    enter = network.inside(lab.name) if enter is None else enter
    shared = [
        f"Host {names}",
        "  User root",
        f"  IdentityFile {folder / 'id'}",
        "  IdentitiesOnly yes",
        f"  UserKnownHostsFile {folder / 'known_hosts'}",
        f"  StrictHostKeyChecking {host_keys}",
        "  LogLevel ERROR",
        *([f"  ProxyCommand {' '.join(enter)} socat - TCP:%h:%p"] if enter else []),
    ]
    return "\n".join([*blocks, *shared, ""])


def command(lab: str, node: str) -> list[str]:
    return ["ssh", "-F", str(paths.lab_dir(lab) / "ssh" / "config"), node]


def connections_dir(lab: str) -> Path:
    """Where Ansible's standing connections have their sockets (their paths have to be short)."""
    return Path(f"/run/{lab}-ssh") if os.geteuid() == 0 else Path.home() / ".ansible" / f"{lab}-ssh"


def ansible_environment(lab: str) -> dict[str, str]:
    """What a run of Ansible on the lab's machines gets: its standing connections are where `down` ends them."""
    return {**base.ansible_environment(), "ANSIBLE_SSH_CONTROL_PATH_DIR": str(connections_dir(lab))}


def end_connections(lab: str) -> None:
    """End the standing connections to the lab's machines."""
    folder = connections_dir(lab)
    procs.kill(lambda: connections(lab))
    shutil.rmtree(folder, ignore_errors=True)


def connections(lab: str) -> list[int]:
    """The processes of standing connections."""
    return procs.by_arguments(lambda words: any(f"{connections_dir(lab)}/" in word for word in words))


def wait(lab: Lab, node: Node, patience_s: float = 60.0) -> None:
    """Wait until the machine answers over ssh. Raises: LabError with ssh's last words."""
    deadline = time.monotonic() + patience_s
    options = ["-o", "ConnectTimeout=2", "-o", "BatchMode=yes"]
    while True:
        done = attempt([*command(lab.name, node.name)[:-1], *options, node.name, "true"])
        if done.returncode == 0:
            return
        if time.monotonic() > deadline:
            console = paths.node_dir(lab.name, node.name) / "console.log"
            raise LabError(f"{node.name} does not answer over ssh: {done.stderr.strip()}; its console: {console}")
        time.sleep(0.1)
