"""A real redis-server for a test: on a unix socket in a folder of its own, with the settings of the lab's two."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import redis

PASSWORD = "not-a-secret"
START_LIMIT_S = 20.0


class RedisServer:
    """Starts, kills and starts again on the same data. `close` removes everything."""

    def __init__(self, durable: bool = True) -> None:
        self.durable = durable
        self.folder = Path(tempfile.mkdtemp(prefix="kubelab-redis-"))  # short: a socket's path has 107 characters
        self.data = self.folder / "data"
        self.socket = self.folder / "redis.sock"
        self.password = PASSWORD
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns once the server answers, its data loaded."""
        self.data.mkdir(exist_ok=True)
        self.socket.unlink(missing_ok=True)
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "requirepass": self.password,
            "dir": str(self.data),
            "appendonly": "yes",
            "appendfsync": "always" if self.durable else "no",
            "save": "",
            "maxmemory-policy": "noeviction",
            "logfile": str(self.folder / "redis.log"),
        }
        arguments = [word for name, value in options.items() for word in (f"--{name}", value)]
        self._process = subprocess.Popen(["redis-server", *arguments])
        limit = time.monotonic() + START_LIMIT_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > limit:
                raise RuntimeError(f"redis-server did not start: {(self.folder / 'redis.log').read_text()[-2000:]}")
            time.sleep(0.01)

    def client(self) -> redis.Redis:
        """A plain client, to look behind the store's back. Close it."""
        return redis.Redis(unix_socket_path=str(self.socket), password=self.password, protocol=2)

    def kill(self) -> None:
        """SIGKILL, as a crash."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def send(self, number: signal.Signals) -> None:
        """SIGSTOP and SIGCONT: a server that hangs."""
        assert self._process is not None
        self._process.send_signal(number)

    def forget(self) -> None:
        """Lose all data (of a server that is not running)."""
        shutil.rmtree(self.data)

    def save_copy(self) -> Path:
        """A copy of the data (of a server that is not running), for `put_back`."""
        copy = self.folder / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.data, copy)
        return copy

    def put_back(self, copy: Path) -> None:
        self.forget()
        shutil.copytree(copy, self.data)

    def close(self) -> None:
        if self._process is not None:
            self._end(signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait()
        self._process = None

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except (redis.ConnectionError, redis.BusyLoadingError):
            return False
