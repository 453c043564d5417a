"""Brings the host what the lab needs: Debian packages (without starting their daemons) and a virtual environment.

A Debian package of a daemon starts it on installation on an ordinary host. A policy file forbids that while apt
runs, and is put back as it was found. Only what is missing is installed.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from lab import artifacts, paths
from lab.run import attempt, logged

# program that must be there → Debian package that brings it
PACKAGES = {
    "systemd-nspawn": "systemd-container",
    "mmdebstrap": "mmdebstrap",
    "ip": "iproute2",
    "nft": "nftables",
    "nsenter": "util-linux",
    "losetup": "mount",
    "mkfs.ext4": "e2fsprogs",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "socat": "socat",
    "skopeo": "skopeo",
    "curl": "curl",
    "openssl": "openssl",
}
# What the tests need on the host beside that.
TEST_PACKAGES = {
    "redis-server": "redis-server",
    "iptables-restore": "iptables",
    "conntrack": "conntrack",
    "containerd": "containerd",
    "runc": "runc",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
}
# And what virtual machines need.
VM_PACKAGES = {
    "vagrant": "vagrant",
    "/usr/share/vagrant-plugins/plugins.d/vagrant-libvirt.json": "vagrant-libvirt",
    "libvirtd": "libvirt-daemon-system",
    "virsh": "libvirt-clients",
    "dnsmasq": "dnsmasq-base",
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "extlinux": "extlinux",
    "/usr/lib/EXTLINUX/mbr.bin": "extlinux",
    "sfdisk": "fdisk",
}
POLICY = Path("/usr/sbin/policy-rc.d")


def missing_packages(programs: Mapping[str, str]) -> list[str]:
    """The Debian packages whose programs aren't here."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    there = (program for program in programs if Path(program).is_file() or shutil.which(program, path=path))
    return sorted({*programs.values()} - {programs[program] for program in there})


def python_packages() -> list[str]:
    """Debian keeps part of Python's own library apart."""
    done = attempt([sys.executable, "-c", "import ensurepip, venv"])
    return ["python3-venv"] if done.returncode else []


def install(packages: list[str]) -> None:
    """Install Debian packages from the host's own sources, starting nothing. Raises: LabError."""
    log = paths.cache() / "log" / "apt.log"
    env = {"DEBIAN_FRONTEND": "noninteractive"}
    kept = POLICY.read_bytes() if POLICY.exists() else None
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        command = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *packages]
        if attempt([*command, "--download-only"], env=env).returncode:
            logged(["apt-get", "update", "-q"], log, env=env)
        logged(command, log, env=env)
    finally:
        if kept is None:
            POLICY.unlink(missing_ok=True)
        else:
            POLICY.write_bytes(kept)


def venv() -> tuple[Path, bool]:
    """Return the host's virtual environment with everything of host.lock, hash-checked, and whether it was made."""
    wanted = paths.venv()
    if (wanted / "complete").exists():
        return wanted, False
    paths.cache().mkdir(parents=True, exist_ok=True)
    with artifacts.locked(paths.cache() / ".venv.lock"):
        if (wanted / "complete").exists():
            return wanted, False
        # Not built beside and renamed: the programs of an environment have its path inside.
        artifacts.remove(wanted)
        log = paths.cache() / "log" / "venv.log"
        logged([sys.executable, "-m", "venv", wanted], log)
        lock = paths.REPO / "requirements/host.lock"
        logged([wanted / "bin/pip", "install", "-q", "--no-deps", "--require-hashes", "-r", lock], log)
        (wanted / "complete").touch()
        artifacts.prune("venv")
    return wanted, True
