"""The host's door to the API: a forward from a loopback port into the lab's network (python3 -m lab.forward …).

The listening socket is made in the host's network, then the process moves into the lab's (local machines) and becomes
systemd-socket-proxyd, whose outgoing connections start there. So no address of the lab exists on the host.
"""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import sys
import time

from lab import network, paths, procs
from lab.facts import Lab
from lab.run import LabError

PROXY = "/lib/systemd/systemd-socket-proxyd"
_CLONE_NEWNET = 0x40000000
_FIRST_FD = 3


def title(lab: str) -> str:
    """How the process shows itself."""
    return f"{lab}-forward"


def ensure(lab: Lab, namespace: str) -> None:
    """Start the forward unless it runs; `namespace` is the network to connect from, "" the host's own.

    One that leads to another address (the inventory of a person's own machines changed) is replaced.
    """
    destination = f"{lab.master.address}:{lab.api_port}"
    if procs.by_arguments(lambda words: words[0] == title(lab.name) and destination in words):
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
            if probe.connect_ex(("127.0.0.1", lab.forward_port)) == 0:
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


def main(lab: str, port: int, destination: str, namespace: str) -> None:
    """Listen, move into the lab's network, become the proxy. Does not return."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(512)
    if namespace:
        with (network.NETNS / namespace).open() as door:
            if ctypes.CDLL(None, use_errno=True).setns(door.fileno(), _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
    if listener.fileno() != _FIRST_FD:
        os.dup2(listener.fileno(), _FIRST_FD)
    os.set_inheritable(_FIRST_FD, True)
    environment = {**os.environ, "LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
    os.execve(PROXY, [title(lab), "--connections-max=4096", destination], environment)  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4])
