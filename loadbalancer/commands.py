"""Starts the system's network tools, always with an argument list, never through a shell.

The one place of this package that starts processes; everything else takes a `Run`, so that a test can stand in for
the system.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from typing import Protocol


class CommandError(Exception):
    """A tool failed: what it was, how it ended, and what it said."""

    def __init__(self, args: Sequence[str], exit_code: int, stderr: str) -> None:
        super().__init__(f"{args[0]} ended with {exit_code}: {stderr.strip() or 'no message'}")
        self.exit_code = exit_code
        self.stderr = stderr


class Run(Protocol):
    def __call__(self, args: Sequence[str], stdin: str = "", timeout_s: float = 30.0) -> str:
        """Runs a tool and returns what it printed.

        Raises: CommandError when it fails, is missing, or takes longer than `timeout_s`.
        """


def run(args: Sequence[str], stdin: str = "", timeout_s: float = 30.0) -> str:
    """Runs a tool of the system (see `Run`)."""
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
    try:
        done = subprocess.run(  # noqa: S603 - an argument list from our own code, no shell
            list(args), input=stdin, capture_output=True, text=True, timeout=timeout_s, env=env, check=False
        )
    except FileNotFoundError as e:
        raise CommandError(args, os.EX_UNAVAILABLE, f"{args[0]} is not installed") from e
    except subprocess.TimeoutExpired as e:
        raise CommandError(args, os.EX_TEMPFAIL, f"no end after {timeout_s:.0f} s") from e
    if done.returncode != 0:
        raise CommandError(args, done.returncode, done.stderr)
    return done.stdout
