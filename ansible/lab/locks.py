"""`make lock`: renews requirements/*.lock from pyproject.toml, every package pinned with the hashes of its files."""

from __future__ import annotations

import sys
from pathlib import Path

from lab import artifacts, paths
from lab.console import Steps
from lab.run import logged

TOOL = "pip-tools==7.6.2"
LOCKS = {"node.lock": (), "host.lock": ("--extra", "host")}


def renew(steps: Steps) -> None:
    """Resolve both locks anew; the versions in the present ones are not kept."""
    tool = paths.cache() / "lock-tool"
    log = paths.cache() / "log" / "lock.log"
    if not (tool / "bin" / "pip-compile").exists():
        with steps.step(TOOL):
            artifacts.remove(tool)
            logged([sys.executable, "-m", "venv", tool], log)
            logged([tool / "bin" / "pip", "install", "-q", TOOL], log)
    options = ["--quiet", "--upgrade", "--generate-hashes", "--strip-extras", "--no-header", "--no-annotate"]
    options += ["--no-emit-index-url", "--no-emit-trusted-host", "--no-emit-find-links", "--allow-unsafe"]
    for name, extra in LOCKS.items():
        target = paths.REPO / "requirements" / name
        with steps.step(f"requirements/{name}"):
            command: list[str | Path] = [
                tool / "bin" / "pip-compile",
                *options,
                *extra,
                "-o",
                target,
                paths.REPO / "pyproject.toml",
            ]
            logged(command, log, cwd=paths.REPO)
