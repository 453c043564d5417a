"""The base image of local machines: the Debian root file system plus the roles' package stage, cached by its inputs.

Machines are overlays over the result and need no network of their own. The package stage is
`site.yml --tags packages`, run on the root file system itself through Ansible's chroot connection.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

from lab import artifacts, paths
from lab.run import logged, run


def stage_inputs() -> list[Path]:
    """The files that decide what the package stage puts into the image: roles' package tasks, defaults, locks."""
    roles = paths.ANSIBLE / "roles"
    patterns = ("*/tasks/packages.yml", "*/tasks/venv.yml", "*/defaults/*.yml", "*/vars/*.yml")
    named = [path for pattern in patterns for path in roles.glob(pattern)]
    shared = [paths.ANSIBLE / name for name in ("site.yml", "collections", "group_vars")]
    return [*shared, paths.REPO / "requirements/node.lock", *named]


def base_image(rootfs: Path, variables: dict[str, str]) -> tuple[Path, bool]:
    """Return the base image: the root file system plus the roles' package stage, and whether it was made."""
    site = paths.ANSIBLE / "site.yml"
    if not site.exists():
        return rootfs, False
    key = paths.digest([Path(__file__), *stage_inputs()], rootfs.name, *map(str, sorted(variables.items())))
    return artifacts.cached("base", key, lambda part: _package_stage(part, rootfs, variables))


def _package_stage(part: Path, rootfs: Path, variables: dict[str, str]) -> None:
    run(["cp", "-a", "--reflink=auto", rootfs, part])
    root = part / "root"
    host = {
        "ansible_connection": "community.general.chroot",
        "ansible_host": str(root),
        "ansible_python_interpreter": "/usr/bin/python3",
        **variables,
    }
    groups = {name: {"hosts": {"base": None}} for name in ("masters", "workers", "cluster")}
    inventory = {"all": {"hosts": {"base": host}, "children": groups}}
    (part / "inventory.yml").write_text(json.dumps(inventory, indent=1))
    if Path("/etc/resolv.conf").exists():
        shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    playbook = [
        paths.venv_bin("ansible-playbook"),
        "-i",
        str(part / "inventory.yml"),
        "site.yml",
        "--tags",
        "packages",
    ]
    stage = [sys.executable, "-m", "lab.stage", str(root), *playbook]
    log = paths.cache() / "log" / "packages.log"
    logged(
        ["unshare", "--mount", "--propagation", "private", *stage], log, env=ansible_environment(), cwd=paths.ANSIBLE
    )
    (root / "etc/resolv.conf").write_text("")
    for folder in ("var/cache/apt/archives", "var/lib/apt/lists"):
        for file in (root / folder).glob("*.deb" if "cache" in folder else "*_*"):
            file.unlink()
    (root / "etc/machine-id").write_text("")


def ansible_environment() -> dict[str, str]:
    """What every run of Ansible gets."""
    return {
        "ANSIBLE_CONFIG": str(paths.ANSIBLE / "ansible.cfg"),
        "PYTHONPATH": str(paths.ANSIBLE),
        "LC_ALL": "C.UTF-8",
        "PATH": f"{paths.venv() / 'bin'}:{_path()}",
    }


def _path() -> str:
    return os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
