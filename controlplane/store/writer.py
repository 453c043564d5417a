"""Group commit: one thread sends all writes that wait at the same moment, so that they share one fsync.

A writer enqueues its script call and waits. While Redis syncs one batch, the next one gathers. A batch whose
connection broke has an unknown outcome; it is made known before anybody is answered: over a new connection the old
one is killed (so that nothing of it can still happen) and the change stream is searched for the ids of the writes.
What did not happen is sent again. If Redis stays away, the answer is an honest 504.

What always holds: a write is answered with success only when it is in the log, and is applied at most once.
"""

from __future__ import annotations

import itertools
import logging
import queue
import threading
import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import redis

from controlplane.api.errors import ApiError
from controlplane.store import scripts
from controlplane.store.guard import Frozen, Guard
from controlplane.store.link import Away, Link, Reply

log = logging.getLogger(__name__)

MAX_BATCH = 128
RETRY_S = 0.05
PATIENCE_S = 10.0
"""How long a write whose outcome is unknown waits for Redis to come back and tell."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The script's answer: its word ("ok", "exists"…) and what follows it."""

    word: str
    rest: tuple[bytes, ...] = ()

    @property
    def revision(self) -> int:
        return int(self.rest[0])


@dataclass(slots=True, eq=False)
class _Ticket:
    """A write on its way."""

    write_id: str
    argv: tuple[str | bytes, ...]
    deadline: float
    answered: threading.Lock = field(default_factory=threading.Lock)
    outcome: Outcome | None = None
    error: ApiError | None = None

    def answer(self, outcome: Outcome | None = None, error: ApiError | None = None) -> None:
        self.outcome, self.error = outcome, error
        self.answered.release()


@dataclass(frozen=True, slots=True)
class WriteCall:
    """The arguments of write.lua, but for the cluster id and the write id, which the writer knows."""

    key: str
    expected: str
    prefix: bytes = b""
    suffix: bytes = b""
    term: tuple[str, str] = ("", "")
    claims: tuple[str, ...] | None = None

    def argv(self, cluster_id: str, write_id: str) -> tuple[str | bytes, ...]:
        mode = ("keep",) if self.claims is None else ("set", *self.claims)
        return (cluster_id, self.key, self.expected, self.prefix, self.suffix, write_id, *self.term, *mode)


class Writer:
    """The commit thread and its queue."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._waiting: queue.SimpleQueue[_Ticket | None] = queue.SimpleQueue()
        self._link: Link | None = None
        self._opened_at = 0
        self._closed = False
        self._sender = uuid.uuid4().hex[:12]
        self._numbers = itertools.count(1)
        self.acknowledged = 0
        """The newest revision that a writer of this process was told."""
        self._thread = threading.Thread(target=self._run, name=f"store-{guard.config.name}-commit", daemon=True)
        self._thread.start()

    def write(self, call: WriteCall) -> Outcome:
        """Run one write; returns once it is in the log, or refused by the script.

        Raises: ApiError unavailable (it did not happen), timeout (it may have happened).
        """
        if self._closed:
            raise ApiError.unavailable("the store is closed")
        self._guard.check_writable()
        write_id = f"{self._sender}-{next(self._numbers)}"
        limit_s = self._guard.config.reply_timeout_s + PATIENCE_S
        ticket = _Ticket(write_id, call.argv(self._guard.mark.cluster_id, write_id), time.monotonic() + limit_s)
        ticket.answered.acquire()
        self._waiting.put(ticket)
        if not ticket.answered.acquire(timeout=limit_s + 5.0):
            raise ApiError.timeout("the store did not answer in time; the write may have happened")
        if ticket.error is not None:
            raise ticket.error
        assert ticket.outcome is not None  # noqa: S101 - answered without an error
        return ticket.outcome

    def close(self) -> None:
        """End the thread; what still waits is answered."""
        self._closed = True
        self._waiting.put(None)
        self._thread.join()
        if self._link is not None:
            self._link.close()

    def _run(self) -> None:
        while True:
            ticket = self._waiting.get()
            if ticket is None:
                break
            batch = [ticket]
            stop = self._gather(batch)
            try:
                self._commit(batch)
            except Exception:
                log.exception("commit")
                _answer_all(batch, ApiError.internal("the commit thread failed; the write may have happened"))
            if stop:
                break
        self._reject_waiting("the store is closed")

    def _gather(self, batch: list[_Ticket]) -> bool:
        """Add what waits; says whether the thread shall end."""
        while len(batch) < MAX_BATCH:
            try:
                ticket = self._waiting.get_nowait()
            except queue.Empty:
                return False
            if ticket is None:
                return True
            batch.append(ticket)
        return False

    def _commit(self, batch: list[_Ticket]) -> None:
        """Send a batch until each of its writes is answered. Nothing of it has been sent before."""
        while batch:
            try:
                link = self._link if self._link is not None and self._link.alive() else self._connect()
            except (Away, Frozen) as error:
                self._link = None
                return _answer_all(batch, ApiError.unavailable(f"nothing was written: {error}"))
            calls = [scripts.WRITE.call(*ticket.argv) for ticket in batch]
            before = max(self.acknowledged, self._opened_at)
            try:
                replies = link.at_once(calls)
            except Away as error:
                self._link = None
                self._guard.lost(str(error))
                batch = self._find_out(batch, link, before)
                continue
            batch = self._answer(batch, replies, link)
        return None

    def _connect(self) -> Link:
        self._link, facts = self._guard.connect()
        self._opened_at = facts.revision
        return self._link

    def _answer(self, batch: Sequence[_Ticket], replies: Sequence[Reply], link: Link) -> list[_Ticket]:
        """Hand out replies; returns the writes to send again."""
        again: list[_Ticket] = []
        done: list[tuple[_Ticket, Outcome]] = []
        for ticket, reply in zip(batch, replies, strict=True):
            if isinstance(reply, redis.exceptions.NoScriptError):
                link.pipeline([("SCRIPT", "LOAD", script.text) for script in scripts.ALL])
                again.append(ticket)
            elif isinstance(reply, redis.ResponseError):
                ticket.answer(error=ApiError.unavailable(f"Redis refused the write: {reply}"))
            else:
                done.append((ticket, Outcome(reply[0].decode(), tuple(reply[1:]))))
        self._tell(done)
        return again

    def _tell(self, done: Sequence[tuple[_Ticket, Outcome]]) -> None:
        """Answer the writers, after the high-water mark covers what they are told."""
        newest = max((outcome.revision for _, outcome in done if outcome.word == "ok"), default=0)
        try:
            self._guard.mark.observe(newest)
        except OSError as error:
            problem = ApiError.unavailable(f"written, but not safe: the high-water mark can't be kept: {error}")
            return _answer_all((ticket for ticket, _ in done), problem)
        self.acknowledged = max(self.acknowledged, newest)
        for ticket, outcome in done:
            if outcome.word == "stranger":
                why = (
                    f"the store was replaced while it ran (it is now of cluster {outcome.rest[0].decode() or 'none'})"
                )
                self._guard.freeze(why)
                self._drop_link()
                ticket.answer(error=ApiError.unavailable(f"nothing was written: {why}"))
            else:
                ticket.answer(outcome)
        return None

    def _find_out(self, batch: Sequence[_Ticket], broken: Link, since: int) -> list[_Ticket]:
        """What became of a batch whose connection broke. Answers what happened, returns what did not."""
        patience = time.monotonic() + PATIENCE_S
        while True:
            try:
                happened = self._search(broken, since)
                break
            except (Away, Frozen, redis.ResponseError) as error:
                self._drop_link()
                self._reject_waiting(f"nothing was written: {error}")
                if self._closed or isinstance(error, Frozen) or time.monotonic() > patience:
                    _answer_all(batch, ApiError.timeout(f"the write may have happened: {error}"))
                    return []
                time.sleep(RETRY_S)
        if happened is None:
            _answer_all(batch, ApiError.timeout("the write may have happened: the log was compacted meanwhile"))
            return []
        self._tell([(ticket, happened[ticket.write_id]) for ticket in batch if ticket.write_id in happened])
        again = [ticket for ticket in batch if ticket.write_id not in happened]
        late = [ticket for ticket in again if time.monotonic() > ticket.deadline]
        _answer_all(late, ApiError.unavailable("nothing was written: Redis went away and came back too late"))
        return [ticket for ticket in again if ticket not in late]

    def _search(self, broken: Link, since: int) -> dict[str, Outcome] | None:
        """The writes of this process in the log after `since`; None when that part was compacted."""
        link, facts = self._guard.connect()
        self._link = link
        self._opened_at = facts.revision
        if facts.run_id == broken.run_id:
            link.pipeline([("CLIENT", "KILL", "ID", str(broken.client_id))])  # an error means: it is gone already
        if facts.compacted > since:
            return None
        found: dict[str, Outcome] = {}
        for entry_id, values in link.call("XRANGE", "changes", f"({since}-0", "+"):
            fields: dict[bytes, Any] = dict(zip(values[::2], values[1::2], strict=True))
            revision = entry_id.partition(b"-")[0]
            rest = (revision, fields[b"before"]) if not fields[b"after"] else (revision,)
            found[fields[b"write"].decode()] = Outcome("ok", rest)
        return found

    def _reject_waiting(self, why: str) -> None:
        waiting: list[_Ticket] = []
        stop = self._gather(waiting)
        if stop:
            self._waiting.put(None)
        _answer_all(waiting, ApiError.unavailable(why))

    def _drop_link(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None


def _answer_all(tickets: Iterable[_Ticket], error: ApiError) -> None:
    for ticket in tickets:
        if ticket.outcome is None and ticket.error is None:
            ticket.answer(error=error)
