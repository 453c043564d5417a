"""The libvirt box: the base image of local machines, plus a kernel and a boot loader, cached by its inputs.

So virtual machines and local machines carry the same software, and neither needs a way out. The box's disk has one
partition with ext4 and extlinux. Its key lets the host in until the lab's own key takes its place (Vagrantfile).
Called by vagrant.py; needs root, for the loop device that the boot loader is installed through.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tarfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab import artifacts, paths
from lab.run import LabError, attempt, logged, run

PACKAGES = ("linux-image-cloud-amd64", "initramfs-tools", "lz4", "e2fsprogs")
_PARTITION_START = 1 << 20
_MBR = Path("/usr/lib/EXTLINUX/mbr.bin")
_BOOT_CODE_BYTES = 440
_BOOT = """DEFAULT kubelab
PROMPT 0
TIMEOUT 1
SERIAL 0 115200
LABEL kubelab
  LINUX /boot/{kernel}
  INITRD /boot/{initrd}
  APPEND root=LABEL=kubelab rw console=ttyS0 net.ifnames=0 quiet
"""
# The first interface is Vagrant's own; the second, the lab's, is configured by Vagrant. Neither is waited for.
_MANAGEMENT = """[Match]
Name=eth0
[Link]
RequiredForOnline=no
[Network]
DHCP=ipv4
LinkLocalAddressing=no
IPv6AcceptRA=no
"""
# A cable that is pulled and put back costs the lab's interface no address and no route.
_LAB = """[Link]
RequiredForOnline=no
[Network]
LinkLocalAddressing=no
IPv6AcceptRA=no
ConfigureWithoutCarrier=yes
IgnoreCarrierLoss=yes
"""
# Every machine has host keys of its own, made at its first boot.
_SSH = """[Service]
Environment=KEY=/etc/ssh/ssh_host_ed25519_key
ExecStartPre=
ExecStartPre=/bin/sh -c 'test -s $$KEY || ssh-keygen -q -t ed25519 -N "" -f $$KEY'
ExecStartPre=/usr/sbin/sshd -t
"""
_FSTAB = "LABEL=kubelab / ext4 noatime,errors=remount-ro 0 1\n"


@dataclass(frozen=True)
class Box:
    """A box as Vagrant takes it, and the private key of its user `vagrant`."""

    file: Path
    key: Path


def box(base: Path, disk_bytes: int) -> tuple[Box, bool]:
    """Return the box whose machines have the base image's software, and whether it was made (about a minute)."""
    key = paths.digest([Path(__file__)], base.name, str(disk_bytes))
    folder, made = artifacts.cached("box", key, lambda part: _build(part, base, disk_bytes))
    return Box(folder / "kubelab.box", folder / "key"), made


def _build(part: Path, base: Path, disk_bytes: int) -> None:
    part.mkdir(mode=0o700)
    root = part / "root"
    run(["cp", "-a", "--reflink=auto", base / "root", root])
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "kubelab-box", "-f", part / "key"])
    _configure(root)
    _install_kernel(root)
    _personalise(root, (part / "key.pub").read_text())
    _disk(part, root, disk_bytes)
    run(
        [
            "qemu-img",
            "convert",
            "-O",
            "qcow2",
            "-c",
            "-o",
            "compression_type=zstd",
            part / "disk.raw",
            part / "box.img",
        ]
    )
    meta = {"provider": "libvirt", "format": "qcow2", "virtual_size": -(-disk_bytes // (1 << 30))}
    (part / "metadata.json").write_text(json.dumps(meta))
    with tarfile.open(part / "kubelab.box", "w") as archive:
        for name in ("metadata.json", "box.img"):
            archive.add(part / name, name)
    for name in ("root", "disk.raw", "box.img", "metadata.json"):
        artifacts.remove(part / name)


def _configure(root: Path) -> None:
    """What must be there before the kernel's package makes its initial RAM disk: small, and quick to unpack."""
    files = {
        "etc/initramfs-tools/conf.d/kubelab": "MODULES=list\nCOMPRESS=lz4\nRESUME=none\n",
        "etc/initramfs-tools/modules": "virtio_pci\nvirtio_blk\next4\n",
        "etc/fstab": _FSTAB,
        "etc/systemd/network/50-management.network": _MANAGEMENT,
        "etc/systemd/network/50-vagrant-eth1.network.d/kubelab.conf": _LAB,
        "etc/systemd/system/ssh.service.d/keys.conf": _SSH,
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "etc/systemd/system/e2scrub_reap.service").symlink_to("/dev/null")


def _install_kernel(root: Path) -> None:
    """Install the kernel's packages through the host's own network, starting nothing."""
    if Path("/etc/resolv.conf").exists():
        shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    apt = ["chroot", str(root), "apt-get", "-q", "-y", "-o", "Dpkg::Options::=--force-confold"]
    for step in (["update"], ["install", "--no-install-recommends", *PACKAGES], ["clean"]):
        stage = [sys.executable, "-m", "lab.stage", str(root), *apt, *step]
        log = paths.cache() / "log" / f"box-{step[0]}.log"
        env = {"PYTHONPATH": str(paths.ANSIBLE), "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
        logged(["unshare", "--mount", "--propagation", "private", *stage], log, env=env)
    for index in (root / "var/lib/apt/lists").glob("*_*"):
        index.unlink()
    (root / "etc/resolv.conf").write_text("")


def _personalise(root: Path, public_key: str) -> None:
    run(["useradd", "--root", root, "--create-home", "--shell", "/bin/bash", "vagrant"])
    (root / "etc/sudoers.d/vagrant").write_text("vagrant ALL=(ALL) NOPASSWD: ALL\n")
    (root / "etc/sudoers.d/vagrant").chmod(0o440)
    home = root / "home/vagrant"
    owner = home.stat()
    (home / ".ssh").mkdir(mode=0o700)
    (home / ".ssh/authorized_keys").write_text(public_key)
    (home / ".ssh/authorized_keys").chmod(0o600)
    for path in (home / ".ssh", home / ".ssh/authorized_keys"):
        os.chown(path, owner.st_uid, owner.st_gid)
    (root / "etc/machine-id").write_text("")


def _disk(part: Path, root: Path, disk_bytes: int) -> None:
    """One bootable partition with everything of `root` in it."""
    disk = part / "disk.raw"
    (root / "boot/extlinux").mkdir()
    kernel, initrd = (max((root / "boot").glob(f"{kind}-*")).name for kind in ("vmlinuz", "initrd.img"))
    (root / "boot/extlinux/extlinux.conf").write_text(_BOOT.format(kernel=kernel, initrd=initrd))
    with disk.open("wb") as file:
        file.truncate(disk_bytes)
    run(["sfdisk", "--quiet", disk], stdin="start=2048, type=83, bootable\n")
    with disk.open("r+b") as file:
        file.write(_MBR.read_bytes()[:_BOOT_CODE_BYTES])
    with _loop(disk) as device:
        # The boot loader can't read 64bit and metadata_csum.
        options = ["-q", "-F", "-t", "ext4", "-O", "^64bit,^metadata_csum", "-m", "0", "-L", "kubelab"]
        run(["mke2fs", *options, "-U", str(uuid.uuid4()), "-d", root, device])
        mount = part / "mount"
        mount.mkdir()
        run(["mount", device, mount])
        try:
            run(["extlinux", "--install", mount / "boot/extlinux"])
        finally:
            run(["umount", mount])
        mount.rmdir()


@contextmanager
def _loop(disk: Path) -> Iterator[str]:
    """The disk's partition as a block device, for the time of the block."""
    done = attempt(["losetup", "--find", "--show", f"--offset={_PARTITION_START}", disk])
    device = done.stdout.strip()
    if not device:
        raise LabError(f"no loop device for the box's disk: {done.stderr.strip()}")
    try:
        yield device
    finally:
        run(["losetup", "--detach", device])
