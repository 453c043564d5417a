"""A plain Debian root file system, cached by its inputs: what the base image of local machines is made from.

The host's own apt sources, `Acquire` options and CA bundle are used as they are and passed on into the image.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from lab import artifacts, paths
from lab.facts import Facts
from lab.run import LabError, logged, run

PACKAGES = (
    "systemd,systemd-sysv,dbus,udev,openssh-server,python3,python3-apt,python3-venv,sudo,iptables,nftables,iproute2,"
    "iputils-ping,iputils-arping,conntrack,ca-certificates,kmod,netbase,procps,less,curl,gpgv"
)
_DPKG_OPTIONS = (
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
)
# nspawn mounts cgroup v1 controllers read-only: make them writable before systemd looks, then become systemd.
_INIT = """#!/bin/sh
for m in /sys/fs/cgroup/*/; do mount -o remount,rw,bind "$m"; done
exec /lib/systemd/systemd
"""
INIT_PATH = "usr/local/lib/kubelab/lab-init"
_MASKED = ("apt-daily.timer", "apt-daily-upgrade.timer", "e2scrub_all.timer", "fstrim.timer", "dpkg-db-backup.timer")


def debian_sources(folder: Path, suite: str) -> str:
    """The host's apt entries for Debian's suite, as they stand: stanzas where it has any, else lines."""
    files = [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*"))]
    lines, stanzas = [], []
    for file in files:
        if file.suffix == ".list" and file.is_file():
            lines += [row for row in file.read_text().splitlines() if _line_fits(row, suite)]
        if file.suffix == ".sources" and file.is_file():
            stanzas += [s for s in file.read_text().split("\n\n") if _stanza_fits(s, suite)]
    return "\n\n".join(s.strip() for s in stanzas) + "\n" if stanzas else "\n".join(lines) + "\n"


def _line_fits(row: str, suite: str) -> bool:
    words = row.rsplit("]", maxsplit=1)[-1].split() if "]" in row else row.split()[1:]
    foreign = "signed-by=" in row and "debian-archive" not in row
    return row.startswith("deb ") and len(words) > 1 and words[1].startswith(suite) and not foreign


def _stanza_fits(stanza: str, suite: str) -> bool:
    fields = dict(row.split(":", 1) for row in stanza.splitlines() if ":" in row and not row.startswith(("#", " ")))
    suites = fields.get("Suites", "").split()
    foreign = "Signed-By" in fields and "debian-archive" not in fields["Signed-By"]
    return "deb" in fields.get("Types", "").split() and any(s.startswith(suite) for s in suites) and not foreign


def acquire_options() -> str:
    """The host's own `Acquire::` options (proxy, time-outs, checks), as lines of an apt configuration file."""
    default = ("Acquire::IndexTargets", "Acquire::Changelogs", "Acquire::CompressionTypes", "Acquire::cdrom")
    dump = run(["apt-config", "dump", "Acquire"]).splitlines()
    kept = [row for row in dump if row.startswith("Acquire::") and not row.startswith(default)]
    return "\n".join([*kept, 'APT::Install-Recommends "false";', ""])


def root_file_system(facts: Facts) -> tuple[Path, bool]:
    """Return the plain Debian root file system, made if need be (about 45 s), and whether it was made."""
    suite = facts.word("versions", "debian")
    sources = debian_sources(Path("/etc/apt"), suite)
    options = acquire_options()
    if suite not in sources:
        raise LabError(
            f"no apt source for Debian {suite} on this host: the machines' base image is made from the host's own"
        )
    key = paths.digest([Path(__file__)], suite, sources, options)
    return artifacts.cached("rootfs", key, lambda part: _debootstrap(part, suite, sources, options))


def _debootstrap(part: Path, suite: str, sources: str, options: str) -> None:
    part.mkdir()
    root = part / "root"
    (part / "apt.sources" if "Types:" in sources else part / "apt.list").write_text(sources)
    source_file = next(part.glob("apt.*"))
    (part / "options").write_text(options)
    args = ["unshare", "--mount", "mmdebstrap", "--mode=root", "--variant=minbase", f"--include={PACKAGES}"]
    args.append("--skip=cleanup/apt/lists")
    args += [f"--aptopt={part / 'options'}", *(f"--dpkgopt={option}" for option in _DPKG_OPTIONS)]
    logged([*args, suite, str(root), str(source_file)], paths.cache() / "log" / "rootfs.log")
    _finish(root, source_file)


def _finish(root: Path, source_file: Path) -> None:
    apt = root / "etc/apt"
    for old in [apt / "sources.list", *(apt / "sources.list.d").glob("*")]:
        old.unlink(missing_ok=True)
    suffix = "sources" if source_file.suffix == ".sources" else "list"
    shutil.copy(source_file, apt / "sources.list.d" / f"debian.{suffix}")
    bundle = Path("/etc/ssl/certs/ca-certificates.crt")
    if bundle.exists():
        shutil.copy(bundle, root / "etc/ssl/certs/ca-certificates.crt")
    init = root / INIT_PATH
    init.parent.mkdir(parents=True, exist_ok=True)
    init.write_text(_INIT)
    init.chmod(0o755)
    wants = root / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(parents=True, exist_ok=True)
    (wants / "systemd-networkd.service").symlink_to("/lib/systemd/system/systemd-networkd.service")
    for unit in _MASKED:
        (root / "etc/systemd/system" / unit).symlink_to("/dev/null")
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    (root / "etc/machine-id").write_text("")
    (root / "etc/resolv.conf").unlink(missing_ok=True)
    (root / "etc/resolv.conf").write_text("")
    (root / "etc/hostname").write_text("node\n")
