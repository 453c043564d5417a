"""Runs other programs, always with an argument list. The only module of the lab that starts processes and waits."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

Arguments = Sequence[str | Path]


class LabError(Exception):
    """Something that a person has to know; the message says what, and what to do. No traceback is shown."""


def run(args: Arguments, *, stdin: str | None = None, env: Mapping[str, str] | None = None) -> str:
    """Run a program to its end and return what it wrote. Raises: LabError with its last words."""
    done = attempt(args, stdin=stdin, env=env)
    if done.returncode:
        raise LabError(f"{words(args)}: exit {done.returncode}\n{tail(done.stdout + done.stderr)}")
    return done.stdout


def attempt(
    args: Arguments, *, stdin: str | None = None, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, whatever its exit code. Raises: LabError when there is no such program."""
    try:
        return subprocess.run(  # noqa: S603  (argument lists of our own making)
            [str(a) for a in args],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            env=merged(env),
            check=False,
        )
    except FileNotFoundError as error:
        raise LabError(f"{args[0]}: no such program (`make up` installs what it needs)") from error


def logged(args: Arguments, log: Path, *, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> None:
    """Run a long program with its words in a log file. Raises: LabError with the end of the log and its path."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as out:
        done = subprocess.run(  # noqa: S603  (argument lists of our own making)
            [str(a) for a in args],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=merged(env),
            cwd=cwd,
            check=False,
        )
    if done.returncode:
        raise LabError(
            f"{words(args)}: exit {done.returncode}\n{tail(log.read_text(errors='replace'))}\nall of it: {log}"
        )


def shown(args: Arguments, *, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> int:
    """Run a program on the person's terminal and return its exit code."""
    return subprocess.run([str(a) for a in args], env=merged(env), cwd=cwd, check=False).returncode  # noqa: S603


def merged(env: Mapping[str, str] | None) -> dict[str, str] | None:
    return None if env is None else {**os.environ, **env}


def words(args: Arguments) -> str:
    text = " ".join(str(a) for a in args)
    return text if len(text) < 160 else text[:157] + "…"


def tail(text: str, lines: int = 25) -> str:
    return "\n".join(row[:400] for row in text.strip().splitlines()[-lines:])
