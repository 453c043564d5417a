"""A libvirtd of the lab's own (python3 -m lab.libvirt LAB), in the lab's network namespace, its state in `.lab`.

The host's own libvirtd, its networks and its domains are neither needed nor seen, no address of the lab exists
outside the namespace, and what is in it when the lab goes (libvirtd, dnsmasq, QEMU) is all that there is to end.
libvirtd's folders are bind mounts in a mount namespace that ends with its processes. No systemd, D-Bus or control
groups are asked for, so that it runs in a container, too. Used by vagrant.py when it is root.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

from lab import network, paths, procs
from lab.run import LabError, attempt, run

PATIENCE_S = 20.0
# Where libvirtd looks → our folder for it.
_FOLDERS = {"/etc/libvirt": "etc", "/run/libvirt": "run", "/var/lib/libvirt": "lib", "/var/cache/libvirt": "cache"}
_NEEDED = ("lib/dnsmasq", "lib/images", "lib/qemu", "lib/boot", "log/qemu")
_DAEMON = """unix_sock_rw_perms = "0700"
auth_unix_rw = "none"
auth_unix_ro = "none"
log_filters = "3:*"
log_outputs = "3:stderr"
"""
_QEMU = """user = "root"
group = "root"
security_driver = "none"
cgroup_controllers = []
namespaces = []
stdio_handler = "file"
"""


def folder(lab: str) -> Path:
    return paths.lab_dir(lab) / "libvirt"


def start(lab: str) -> None:
    """Start the lab's libvirtd unless it runs, and wait until it answers. Raises: LabError."""
    if not network.namespace_path(lab).exists():
        run(["ip", "netns", "add", lab])
    run([*network.inside(lab), "ip", "link", "set", "lo", "up"])
    if not running(lab):
        _launch(lab)
    deadline = time.monotonic() + PATIENCE_S
    while not running(lab) or attempt([*inside(lab), *virsh("version")]).returncode:
        if time.monotonic() > deadline:
            raise LabError(f"the lab's libvirtd does not answer: see {folder(lab) / 'libvirtd.log'}")
        time.sleep(0.2)


def _launch(lab: str) -> None:
    home = folder(lab)
    for name in (*_FOLDERS.values(), *_NEEDED):
        (home / name).mkdir(parents=True, exist_ok=True)
    (home / "etc/libvirtd.conf").write_text(_DAEMON)
    (home / "etc/qemu.conf").write_text(_QEMU)
    with (home / "libvirtd.log").open("ab") as log:
        subprocess.Popen(  # noqa: S603  (argument list of our own making)
            [
                *network.inside(lab),
                "unshare",
                "--mount",
                "--propagation",
                "slave",
                sys.executable,
                "-m",
                "lab.libvirt",
                lab,
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
            env={**os.environ, "PYTHONPATH": str(paths.ANSIBLE)},
        )


def running(lab: str) -> list[int]:
    """The daemon's process, once it is more than a start in progress."""
    mark = str(folder(lab) / "etc/libvirtd.conf")
    return procs.by_arguments(lambda words: mark in words and Path(words[0]).name == "libvirtd")


def inside(lab: str) -> list[str]:
    """The start of a command that talks to the lab's libvirtd. Raises: LabError when it doesn't run."""
    found = running(lab)
    if not found:
        raise LabError(f"the virtual machines' libvirtd of lab {lab} doesn't run: `make up` starts it")
    return ["nsenter", f"--target={found[0]}", "--mount", "--net"]


def virsh(*words: str) -> list[str]:
    return ["virsh", "--quiet", "--connect", "qemu:///system", *words]


def stop(lab: str) -> None:
    """End everything in the lab's network namespace, and the namespace. Raises: LabError for what doesn't end."""
    for namespace in network.namespaces(lab):
        left = procs.kill(partial(procs.by_network, network.NETNS / namespace))
        if left:
            raise LabError(f"network namespace {namespace}: processes {left} don't end")
        run(["ip", "netns", "del", namespace])


def main(lab: str) -> None:
    """Mount the lab's folders over libvirtd's and become libvirtd; already in namespaces of its own."""
    home = folder(lab)
    for target, name in _FOLDERS.items():
        Path(target).mkdir(parents=True, exist_ok=True)
        run(["mount", "--bind", home / name, target])
    Path("/var/log/libvirt").mkdir(parents=True, exist_ok=True)
    run(["mount", "--bind", home / "log", "/var/log/libvirt"])
    # /sys as this network namespace sees it; without control groups in it, and without a system bus to ask for more.
    run(["mount", "-t", "sysfs", "sysfs", "/sys"])
    if Path("/run/dbus").is_dir():
        run(["mount", "-t", "tmpfs", "tmpfs", "/run/dbus"])
    daemon = "/usr/sbin/libvirtd"
    os.execv(daemon, [daemon, "--config", str(home / "etc/libvirtd.conf")])  # noqa: S606  (our own list)


if __name__ == "__main__":
    main(sys.argv[1])
