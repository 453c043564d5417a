"""The host's door to the API: a forward from a loopback port into the lab's network (python3 -m lab.forward …).

Two socats with a unix socket between them: one listens in the host's network, the other connects from the lab's (for
local machines), so no address of the lab exists on the host. Both switch Nagle's algorithm off: a request in two
pieces would wait 40 ms for an acknowledgement, which systemd-socket-proxyd can't avoid.
"""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from lab import network, paths, procs
from lab.facts import Lab
from lab.run import LabError

SOCAT = "/usr/bin/socat"
_CLONE_NEWNET = 0x40000000


def title(lab: str) -> str:
    """How the process shows itself."""
    return f"{lab}-forward"


def ensure(lab: Lab, namespace: str) -> None:
    """Start the forward unless it runs; `namespace` is the network to connect from, "" the host's own.

    One that leads to another address (the inventory of a person's own machines changed) is replaced.
    """
    destination = f"{lab.master.address}:{lab.api_port}"
    if procs.by_arguments(lambda words: words[0] == title(lab.name) and _connect(destination) in words):
        return
    stop(lab.name)
    log = paths.lab_dir(lab.name) / "log" / "forward.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "lab.forward", lab.name, str(lab.forward_port), destination, namespace]
    with log.open("ab") as out:
        process = subprocess.Popen(  # noqa: S603  (argument list of our own making)
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            cwd="/",
            env={**os.environ, "PYTHONPATH": str(paths.ANSIBLE)},
        )
    with socket.socket() as probe:
        for _ in range(100):
            if between(lab.name).exists() and probe.connect_ex(("127.0.0.1", lab.forward_port)) == 0:
                return
            if process.poll() is not None:
                break
            time.sleep(0.05)
    raise LabError(f"the forward on 127.0.0.1:{lab.forward_port} does not start: see {log}")


def running(lab: str) -> list[int]:
    """The forward's processes (found by their title)."""
    return procs.by_arguments(lambda words: words[0] == title(lab) or words[1:4] == ["-m", "lab.forward", lab])


def stop(lab: str) -> None:
    procs.kill(lambda: running(lab))
    between(lab).unlink(missing_ok=True)


def between(lab: str) -> Path:
    """The unix socket between the two halves."""
    return Path(f"/run/{title(lab)}.sock")


def _connect(destination: str) -> str:
    return f"TCP:{destination},nodelay,connect-timeout=5"


def main(lab: str, port: int, destination: str, namespace: str) -> None:
    """Become both halves of the forward. Does not return."""
    door = between(lab)
    if os.fork() == 0:
        if namespace:
            with (network.NETNS / namespace).open() as entry:
                if ctypes.CDLL(None, use_errno=True).setns(entry.fileno(), _CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "setns")
        _become(lab, f"UNIX-LISTEN:{door},fork,unlink-early,mode=600,backlog=512", _connect(destination))
    _become(lab, f"TCP-LISTEN:{port},bind=127.0.0.1,fork,reuseaddr,nodelay,backlog=512", f"UNIX-CONNECT:{door}")


def _become(lab: str, listen: str, connect: str) -> None:
    os.execv(SOCAT, [title(lab), "-b", "65536", listen, connect])  # noqa: S606  (argument list of our own making)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4])
