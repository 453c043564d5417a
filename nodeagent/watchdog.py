"""The watchdog: fences this node when its agent neither renews nor decides in time. Standard library only.

A process of its own, so small that it can hardly fail: it knows one deadline. The agent pushes the deadline on by
datagrams `{"armed": bool, "deadline": CLOCK_MONOTONIC seconds}`; when it passes, because the agent was stopped, is
stuck or starved, the watchdog does what the agent would have done (`cutoff.py`). Before the first datagram, and when
disarmed, it does nothing. systemd restarts it; a new one starts unarmed and is armed within a second.

    python -m nodeagent.watchdog --config /etc/kubelab/nodeagent.toml
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import time
import tomllib
from pathlib import Path

SOCKET = "watchdog.sock"


class Watch:
    """The one deadline, and whether it counts; pure but for the clock that callers read."""

    def __init__(self) -> None:
        self.armed = False
        self.deadline = float("inf")

    def hear(self, datagram: bytes) -> None:
        """Take in a datagram; a broken one changes nothing, and no datagram pulls an armed deadline back."""
        try:
            said = json.loads(datagram)
            armed, deadline = bool(said["armed"]), float(said["deadline"])
        except (ValueError, KeyError, TypeError):
            return
        self.deadline = max(self.deadline, deadline) if armed and self.armed else deadline
        self.armed = armed

    def wait_s(self, now: float) -> float | None:
        """Seconds until the deadline; None while there is none."""
        return max(0.0, self.deadline - now) if self.armed and self.deadline != float("inf") else None

    def expired(self, now: float) -> bool:
        return self.armed and now >= self.deadline

    def fired(self) -> None:
        """The node is fenced; the next datagram with a later deadline arms again."""
        self.armed = False


def serve(run_dir: Path, cgroup_parent: str) -> None:
    """Listen until killed."""
    from nodeagent.cutoff import fence, sweep

    watch = Watch()
    path = run_dir / SOCKET
    run_dir.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(path))
        path.chmod(0o600)
        _notify_ready()
        while True:
            sock.settimeout(watch.wait_s(time.monotonic()))
            with contextlib.suppress(TimeoutError, BlockingIOError):
                watch.hear(sock.recv(4096))
            now = time.monotonic()
            if watch.expired(now) and not _newer(sock, watch):
                late_s = time.monotonic() - watch.deadline
                watch.fired()
                done = fence(
                    run_dir, cgroup_parent, f"fenced by the watchdog, {late_s:.3f}s past the agent's deadline"
                )
                sys.stderr.write(f"fence {done}\n")
                sweep(cgroup_parent)


def _newer(sock: socket.socket, watch: Watch) -> bool:
    """Read what waits in the socket before firing; whether it moved the deadline on."""
    sock.setblocking(False)
    while True:
        try:
            watch.hear(sock.recv(4096))
        except (BlockingIOError, TimeoutError):
            return not watch.expired(time.monotonic())


def _notify_ready() -> None:
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"READY=1", "\0" + address[1:] if address.startswith("@") else address)


def main() -> None:
    """The process; a bad configuration is one clear line and exit code 2."""
    try:
        if len(sys.argv) != 3 or sys.argv[1] != "--config":
            raise ValueError("usage: --config FILE")
        config = tomllib.loads(Path(sys.argv[2]).read_text())
        run_dir = Path(str(config.get("run_dir", "/run/kubelab")))
        cgroup_parent = str(config.get("cgroup_parent", "/kubelab"))
    except (OSError, ValueError) as error:
        sys.stderr.write(f"kubelab-watchdog: {error}\n")
        raise SystemExit(2) from None
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    serve(run_dir, cgroup_parent)


if __name__ == "__main__":
    main()
