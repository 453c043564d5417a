"""The store: one Redis, used as a log.

One global revision, one object a key, one script a write: compare the key's revision, count up, set the object,
append to the change stream. The number is the object's resourceVersion and the id of the stream's entry, so a watch
resumes from it, ordered and gapless. Objects are the JSON that clients get. Follows what etcd gives the upstream
API server (apiserver/pkg/storage/etcd3/store.go): guaranteed update by compare-and-set, one revision, compaction.

Used by the API server only, from any thread.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from contextlib import suppress

import msgspec
import redis

from controlplane.api.document import Document, Obj
from controlplane.api.errors import ApiError
from controlplane.store.guard import Frozen, Guard
from controlplane.store.link import Away, LinkPool, Reply
from controlplane.store.model import Claim, ClaimTaken, Health, Key, StoreConfig, Term, with_revision
from controlplane.store.writer import Outcome, WriteCall, Writer

_encode = msgspec.json.Encoder().encode


class Store:
    """Thread-safe. All methods raise ApiError; `unavailable` (503) while Redis is away, frozen, or the disk full."""

    def __init__(self, config: StoreConfig) -> None:
        self.config = config
        self.guard = Guard(config)
        self._writer = Writer(self.guard)
        self._links = LinkPool(self.guard.link)
        self._marker = f"revision-{uuid.uuid4().hex}"

    def create(self, key: Key, obj: Obj, claims: Iterable[Claim] = (), term: Term | None = None) -> Document:
        """Store a new object under its new revision.

        Raises: already_exists, ClaimTaken, stale_term, unavailable, timeout (it may have happened).
        """
        return self._put(key, obj, "0", tuple(claims), term)

    def update(
        self,
        key: Key,
        obj: Obj,
        expected_revision: int,
        claims: Iterable[Claim] | None = None,
        term: Term | None = None,
    ) -> Document:
        """Replace the object that has `expected_revision`; `claims` replace those held, None keeps them.

        Raises: not_found, conflict, ClaimTaken, stale_term, unavailable, timeout (it may have happened).
        """
        return self._put(key, obj, str(expected_revision), None if claims is None else tuple(claims), term)

    def delete(self, key: Key, expected_revision: int | None, term: Term | None = None) -> Document:
        """Remove the object (None: whatever its revision) and its claims; returns its last state with the delete's
        revision.

        Raises: not_found, conflict, stale_term, unavailable, timeout (it may have happened).
        """
        expected = "*" if expected_revision is None else str(expected_revision)
        outcome = self._write(key, WriteCall(key.text, expected, term=self._term(term)), term)
        return with_revision(Document(outcome.rest[1]), outcome.revision)

    def get(self, key: Key) -> Document | None:
        """The object as Redis has it now."""
        found = self._read("HGET", "objects", key.text)
        return None if found is None else Document(found.partition(b" ")[2])

    def revision(self) -> int:
        """The newest revision in Redis."""
        return int(self._read("HGET", "meta", "revision") or 0)

    def holder(self, claim: Claim) -> Key | None:
        """Which object holds a claim now."""
        found = self._read("HGET", "claims", claim.text)
        return None if found is None else Key.parse(found.decode())

    def next_term(self, name: str) -> int:
        """Begin a leader's term: from now on writes with an earlier one are refused."""
        self.guard.check_writable()
        return int(self._read("HINCRBY", "terms", name, "1"))

    @property
    def acknowledged(self) -> int:
        """The newest revision that this process acknowledged to a writer: what a consistent read must have seen."""
        return self._writer.acknowledged

    def health(self) -> Health:
        """Whether writes are accepted, and if not, why."""
        return self.guard.health()

    def unblock(self, client_id: int) -> None:
        """Wake a link of ours that waits for the stream."""
        with suppress(ApiError):
            self._read("CLIENT", "UNBLOCK", str(client_id))

    def close(self) -> None:
        self._writer.close()
        self._links.close()
        self.guard.mark.flush()

    def _put(
        self, key: Key, obj: Obj, expected: str, claims: tuple[Claim, ...] | None, term: Term | None
    ) -> Document:
        metadata = {**(obj.get("metadata") or {}), "resourceVersion": self._marker}
        prefix, _, suffix = _encode({**obj, "metadata": metadata}).partition(self._marker.encode())
        texts = None if claims is None else tuple(claim.text for claim in claims)
        call = WriteCall(key.text, expected, prefix, suffix, self._term(term), texts)
        outcome = self._write(key, call, term)
        return Document(prefix + outcome.rest[0] + suffix)

    def _write(self, key: Key, call: WriteCall, term: Term | None) -> Outcome:
        outcome = self._writer.write(call)
        if outcome.word != "ok":
            raise _refusal(key, outcome, term)
        return outcome

    def _term(self, term: Term | None) -> tuple[str, str]:
        """Terms are counted, and so checked, in the durable store only."""
        return (term.name, str(term.value)) if term is not None and self.config.durable else ("", "")

    def _read(self, *command: str) -> Reply:
        try:
            return self._links.call(*command)
        except (Away, Frozen, redis.ResponseError) as error:
            raise ApiError.unavailable(str(error)) from error


def _refusal(key: Key, outcome: Outcome, term: Term | None) -> ApiError:
    """The script's word as an API error."""
    match outcome.word:
        case "exists":
            return ApiError.already_exists(key.plural, key.name, key.group)
        case "missing":
            return ApiError.not_found(key.plural, key.name, key.group)
        case "conflict":
            return ApiError.conflict(key.plural, key.name, group=key.group)
        case "claimed":
            claim, holder = outcome.rest
            return ClaimTaken(Claim.parse(claim.decode()), Key.parse(holder.decode()))
        case "stale" if term is not None:
            return ApiError.stale_term(term.name, term.value, int(outcome.rest[0]))
        case word:
            return ApiError.internal(f"the write script answered {word}")
