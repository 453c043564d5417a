"""One local machine: its disk, its root, and its life (boot, power cut), as a systemd-nspawn container.

A machine's files lie in `.lab/NAME/nodes/NODE/`: `disk.img` (a file system of limited size, mounted at `disk`)
holds the writable layer, containerd's and the agent's data; `root` is the overlay over the base image. All of that
outlives a power cut, which is SIGKILL to the machine's PID 1. A runner (runner.py) boots it again after `reboot`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

from lab import cgroups, network, paths, procs
from lab.facts import Lab, Node
from lab.rootfs import INIT_PATH
from lab.run import LabError, attempt, run

DATA = {"containerd": "var/lib/containerd", "kubelet": "var/lib/kubelet"}
_NETWORK = """[Match]
Name={interface}
[Link]
RequiredForOnline=no
[Network]
Address={address}/{prefix}
Gateway={gateway}
LinkLocalAddressing=no
IPv6AcceptRA=no
ConfigureWithoutCarrier=yes
IgnoreCarrierLoss=yes
"""


def prepare(lab: Lab, node: Node, base: Path) -> None:
    """Make and mount the machine's disk and root; what is there already stays."""
    folder = paths.node_dir(lab.name, node.name)
    for name in ("disk", "root"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    if not (folder / "base").exists():
        (folder / "base").write_text(str(base))
    image = folder / "disk.img"
    if not image.exists():
        _make_disk(image, node.disk_bytes)
    if not os.path.ismount(folder / "disk"):
        _mount_disk(image, folder / "disk")
    fresh = not (folder / "disk/up/etc/hostname").exists()
    for name in ("up", "work", *DATA):
        (folder / "disk" / name).mkdir(exist_ok=True)
    if not os.path.ismount(folder / "root"):
        lower = Path((folder / "base").read_text()) / "root"
        if not lower.is_dir():
            raise LabError(f"{node.name}: its base image {lower} is gone: `make down` and `make up` make it anew")
        options = f"lowerdir={lower},upperdir={folder / 'disk/up'},workdir={folder / 'disk/work'}"
        run(["mount", "-t", "overlay", f"{lab.name}-{node.name}", "-o", options, folder / "root"])
    if fresh:
        _personalise(lab, node, folder / "root")


def _make_disk(image: Path, size: int) -> None:
    part = image.with_suffix(".part")
    with part.open("wb") as file:
        file.truncate(size)
    run(["mkfs.ext4", "-q", "-F", "-m", "0", "-E", "nodiscard,lazy_itable_init=1", "-L", "lab", part])
    part.rename(image)


def _mount_disk(image: Path, target: Path) -> None:
    """Mount the image, past the host's page cache where that works: quicker syncs, and nothing is cached twice."""
    done = attempt(["losetup", "--find", "--show", "--direct-io=on", image])
    device = done.stdout.strip() or run(["losetup", "--find", "--show", image]).strip()
    try:
        run(["mount", "-o", "noatime", device, target])
    finally:
        # While it is mounted this only says that the device shall go with the mount.
        run(["losetup", "--detach", device])


def _personalise(lab: Lab, node: Node, root: Path) -> None:
    """What makes this machine itself: name, address, ssh keys. The host name last, as the mark of completeness."""
    settings = {
        "interface": network.INTERFACE,
        "address": node.address,
        "prefix": lab.node_range.split("/")[1],
        "gateway": lab.gateway,
    }
    (root / "etc/systemd/network/20-lab.network").write_text(_NETWORK.format(**settings))
    (root / "etc/machine-id").write_text(uuid.uuid4().hex + "\n")
    secrets = paths.lab_dir(lab.name) / "ssh"
    for kind in ("ssh_host_ed25519_key", "ssh_host_ed25519_key.pub"):
        target = root / "etc/ssh" / kind
        target.write_bytes((secrets / kind).read_bytes())
        target.chmod(0o644 if kind.endswith(".pub") else 0o600)
    authorized = root / "root/.ssh/authorized_keys"
    authorized.parent.mkdir(mode=0o700, exist_ok=True)
    authorized.write_bytes((secrets / "id.pub").read_bytes())
    for folder in DATA.values():
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "etc/hosts").write_text(f"127.0.0.1 localhost\n{node.address} {node.name}\n")
    (root / "etc/hostname").write_text(f"{node.name}\n")


def nspawn(lab: Lab, node: Node) -> list[str]:
    """The command that is the machine (found by experiment; see docs/decisions)."""
    folder = paths.node_dir(lab.name, node.name)
    args = ["systemd-nspawn", "--quiet", f"--machine={lab.name}-{node.name}", f"--hostname={node.name}"]
    args += [f"--directory={folder / 'root'}", "--register=no", "--keep-unit", "--private-users=no"]
    args += [f"--network-namespace-path={network.namespace_path(lab.name, node.name)}"]
    args += ["--capability=all", "--drop-capability=CAP_SYS_TIME,CAP_SYS_MODULE"]
    args += ["--system-call-filter=@keyring bpf @mount", "--kill-signal=SIGRTMIN+3", "--console=pipe"]
    args += ["--notify-ready=no", "--resolv-conf=off", "--timezone=off", "--link-journal=no"]
    args += [f"--bind={folder / 'disk' / name}:/{target}" for name, target in DATA.items()]
    return [*args, "--boot"] if cgroups.is_v2() else [*args, "--", f"/{INIT_PATH}"]


def console(lab: str, node: str) -> Path:
    """Where the machine's console output goes."""
    return paths.node_dir(lab, node) / "console.log"


def is_on(lab: str, node: str) -> bool:
    return cgroups.init_of(lab, node) is not None


def boot(lab: Lab, node: Node) -> None:
    """Start the machine's runner, in a session of its own; it returns before the machine answers."""
    folder = paths.node_dir(lab.name, node.name)
    command = [sys.executable, "-m", "lab.runner", lab.name, node.name]
    if cgroups.is_v2() and cgroups.with_systemd():
        command = [*_systemd_run(lab, node), *command]
    with console(lab.name, node.name).open("ab") as log:
        process = subprocess.Popen(  # noqa: S603  (argument list of our own making)
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
            env={**os.environ, "PYTHONPATH": str(paths.ANSIBLE), "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network"},
        )
    (folder / "runner.pid").write_text(str(process.pid))


def _systemd_run(lab: Lab, node: Node) -> list[str]:
    """On a host with systemd and cgroup v2 the runner is a transient unit, which brings delegation and limits."""
    unit = f"{lab.name}-{node.name}"
    attempt(["systemctl", "reset-failed", f"{unit}.service"])
    properties = [
        "Delegate=yes",
        "KillMode=mixed",
        f"MemoryMax={node.memory_bytes}",
        f"CPUQuota={node.cpu_milli // 10}%",
        f"TasksMax={cgroups.PIDS_MAX}",
        *(f"Standard{stream}=append:{console(lab.name, node.name)}" for stream in ("Output", "Error")),
    ]
    environment = [f"PYTHONPATH={paths.ANSIBLE}", "SYSTEMD_NSPAWN_API_VFS_WRITABLE=network"]
    args = ["systemd-run", "--quiet", "--collect", f"--unit={unit}", *(f"--property={p}" for p in properties)]
    return [*args, *(f"--setenv={e}" for e in environment)]


def power_off(lab: str, nodes: list[str], patience_s: float = 5.0) -> None:
    """Cut the power of machines, all at the same moment, and wait until nothing of them runs.

    Raises: LabError when something of a machine survives.
    """
    inits = [pid for node in nodes if (pid := cgroups.init_of(lab, node))]
    for pid in inits:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + patience_s
    while left := [pid for node in nodes for pid in (*cgroups.processes(lab, node), *runners(lab, node))]:
        if time.monotonic() > deadline:
            raise LabError(f"{', '.join(nodes)}: processes {left} survived the power cut")
        if not any(cgroups.init_of(lab, node) for node in nodes):
            # No PID 1 any more: whatever is left is a runner or nspawn between two boots.
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
    for node in nodes:
        network.disconnect(lab, node)


def runners(lab: str, node: str) -> list[int]:
    """The machine's runner and nspawn processes."""
    return procs.by_arguments(
        lambda words: words[1:5] == ["-m", "lab.runner", lab, node] or f"--machine={lab}-{node}" in words
    )


def propagation_dir(lab: str, node: str) -> Path:
    """A folder that nspawn makes for itself and leaves behind."""
    return Path("/run/systemd/nspawn/propagate") / f"{lab}-{node}"


def unmount(lab: str, node: str) -> None:
    """Unmount the root and the disk; the loop device goes with the disk's last mount."""
    with contextlib.suppress(OSError):
        propagation_dir(lab, node).rmdir()
    for name in ("root", "disk"):
        target = paths.node_dir(lab, node) / name
        while os.path.ismount(target):
            run(["umount", target])
