"""Runs a command with the kernel's file systems mounted in a root file system (python3 -m lab.stage ROOT COMMAND …).

The mounts live in a mount namespace of their own and end with the command, however it ends. Called by base.py for
the package stage; also keeps Debian's packages from starting daemons in that root.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

POLICY = "usr/sbin/policy-rc.d"


def main(root: Path, command: list[str]) -> int:
    """Mount, run, and take the policy file away again; return the command's exit code."""
    (root / POLICY).write_text("#!/bin/sh\nexit 101\n")
    (root / POLICY).chmod(0o755)
    for source in ("proc", "sys", "dev"):
        subprocess.run(["mount", "--rbind", f"/{source}", str(root / source)], check=True)  # noqa: S603, S607
    try:
        return subprocess.run(command, check=False).returncode  # noqa: S603
    finally:
        (root / POLICY).unlink(missing_ok=True)


if __name__ == "__main__":
    if os.getuid() != 0:
        sys.exit("needs root")
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
