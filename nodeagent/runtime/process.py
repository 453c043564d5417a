"""The only place of the agent that starts processes: always an argument list, never a shell, always a time limit.

Called by `nerdctl.py` alone.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from nodeagent.runtime.base import RuntimeFailure


@dataclass(frozen=True)
class Finished:
    """A process that ended."""

    exit_code: int
    stdout: str
    stderr: str


def run(argv: Sequence[str], timeout_s: float) -> Finished:
    """Run to the end and collect both streams.

    Raises: RuntimeFailure when it can't be started or doesn't end in time (it is killed then).
    """
    try:
        done = subprocess.run(  # noqa: S603  # an argument list; callers refuse operands that look like options
            list(argv), stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise RuntimeFailure(f"no end after {timeout_s:g} s") from error
    except (OSError, ValueError) as error:
        raise RuntimeFailure(str(error)) from error
    return Finished(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


def stream(argv: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start a process whose standard output is read while it runs; its errors join the output.

    Raises: RuntimeFailure when it can't be started.
    """
    try:
        return subprocess.Popen(  # noqa: S603  # an argument list; callers refuse operands that look like options
            list(argv), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
    except (OSError, ValueError) as error:
        raise RuntimeFailure(str(error)) from error
