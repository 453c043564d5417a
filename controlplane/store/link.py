"""One connection to Redis that never does anything by itself.

redis-py's clients reconnect and send again on their own; a write that was sent twice is worse than one that failed.
So the store talks over bare connections: a command is sent once, a broken connection is `Away`, and who holds the
link decides. Called by the writer, the reader pool and the watch cache; a link belongs to one thread at a time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from controlplane.store import scripts
from controlplane.store.model import StoreConfig

Command = Sequence[str | bytes]
Reply = Any
"""What Redis answers: bytes, int, None, a list of those, or (inside a batch) the ResponseError of one command."""

CONNECT_TIMEOUT_S = 2.0


class Away(Exception):
    """Redis can't be reached, or the connection broke: what was sent may or may not have happened."""


class _Connection(Protocol):
    """The part of redis-py's connection that we use."""

    def connect(self) -> None: ...
    def disconnect(self) -> None: ...
    def pack_commands(self, commands: Iterable[Command]) -> list[bytes]: ...
    def send_packed_command(self, command: list[bytes], check_health: bool = ...) -> None: ...
    def read_response(self) -> Reply: ...
    def can_read(self, timeout: float = ...) -> bool: ...


def _connect(config: StoreConfig) -> _Connection:
    make = cast("Callable[..., _Connection]", redis.UnixDomainSocketConnection)
    return make(
        path=str(config.socket),
        password=config.password or None,
        socket_timeout=config.reply_timeout_s,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
        driver_info=None,
    )


class Link:
    """A connection with our scripts loaded.

    Raises: Away from every method, after which the link is of no more use.
    """

    def __init__(self, config: StoreConfig) -> None:
        self._name = f"{config.name} Redis"
        self._connection = _connect(config)
        try:
            self._connection.connect()
        except (redis.RedisError, OSError) as error:
            self.close()
            raise Away(f"the {self._name} does not answer: {error}") from error
        first = [("CLIENT", "ID"), ("INFO", "server"), *(("SCRIPT", "LOAD", s.text) for s in scripts.ALL)]
        replies = self.pipeline(first)
        for reply in replies:
            if isinstance(reply, redis.ResponseError):
                self.close()
                raise Away(f"the {self._name} is not ready: {reply}")
        self.client_id = int(replies[0])
        self.run_id = _run_id(replies[1])

    def alive(self) -> bool:
        """Whether an idle link is still good: the server has not closed it. Nothing was sent if not."""
        try:
            alive = not self._connection.can_read(timeout=0)  # idle, so anything to read is the end
        except (redis.RedisError, OSError):
            alive = False
        if not alive:
            self.close()
        return alive

    def call(self, *command: str | bytes) -> Reply:
        """Run one command.

        Raises: redis.ResponseError when Redis refuses it.
        """
        reply = self.pipeline([command])[0]
        if isinstance(reply, redis.ResponseError):
            raise reply
        return reply

    def pipeline(self, commands: Sequence[Command]) -> list[Reply]:
        """Run commands one after the other; an error stands in the place of its command's reply."""
        connection = self._connection
        replies: list[Reply] = []
        try:
            connection.send_packed_command(connection.pack_commands(commands), check_health=False)
            for _ in commands:
                try:
                    replies.append(connection.read_response())
                except redis.ResponseError as error:
                    replies.append(error)
        except (redis.ConnectionError, redis.TimeoutError, OSError) as error:
            self.close()
            raise Away(f"the connection to the {self._name} broke: {error}") from error
        return replies

    def at_once(self, commands: Sequence[Command]) -> list[Reply]:
        """Run commands in one turn of Redis' loop, so that all share one fsync (Redis reads 16 KiB a turn
        otherwise)."""
        if len(commands) == 1:
            return self.pipeline(commands)
        replies = self.pipeline([("MULTI",), *commands, ("EXEC",)])
        together = replies[-1]
        if isinstance(together, redis.ResponseError):
            return [together] * len(commands)
        return list(together)

    def close(self) -> None:
        self._connection.disconnect()


def _run_id(info: bytes) -> str:
    for line in info.split(b"\r\n"):
        if line.startswith(b"run_id:"):
            return line[7:].decode()
    raise Away("the server's INFO has no run_id")


class LinkPool:
    """Idle links for short calls from any thread."""

    def __init__(self, connect: Callable[[], Link]) -> None:
        self._connect = connect
        self._idle: list[Link] = []
        self._lock = threading.Lock()
        self._closed = False

    def call(self, *command: str | bytes) -> Reply:
        """Run one command. A link that had broken while it was idle is replaced once: only for commands that may be
        repeated.

        Raises: Away, redis.ResponseError.
        """
        with self._lock:
            link = self._idle.pop() if self._idle else None
        if link is not None:
            try:
                reply = link.call(*command)
            except Away:
                self.clear()
                link = None
            else:
                self._keep(link)
                return reply
        link = self._connect()
        reply = link.call(*command)
        self._keep(link)
        return reply

    def _keep(self, link: Link) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(link)
                return
        link.close()

    def clear(self) -> None:
        """Close what is idle: Redis has gone, or is not to be trusted."""
        with self._lock:
            idle, self._idle = self._idle, []
        for link in idle:
            link.close()

    def close(self) -> None:
        self._closed = True
        self.clear()
