"""Who may talk to which Redis: every new connection passes here before it is used.

The guard compares what the store says of itself (cluster id, revision, run id) with the high-water mark. A durable
store that came back empty, older or as another one is *frozen*: nothing is written, and the reason is told to
everybody who asks; it thaws by itself when the right store is back. A store of leases that restarted goes on above
every revision that was handed out.

The judgement itself is a pure function, `judge`.
"""

from __future__ import annotations

import logging
import os
import threading
import uuid
from dataclasses import dataclass
from pathlib import Path

import redis

from controlplane.api.errors import ApiError
from controlplane.daemon import event
from controlplane.store import scripts
from controlplane.store.link import Away, Link
from controlplane.store.mark import BLOCK, Mark
from controlplane.store.model import MIB, Health, StoreConfig

log = logging.getLogger(__name__)


class Frozen(Exception):
    """The store is not the one that it should be; the message says what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a Redis says of itself on a new connection. No cluster id: it isn't a store (yet)."""

    cluster_id: str
    revision: int
    compacted: int
    run_id: str
    """Of the server now; `store_run_id` is the one under which the store was last opened."""
    store_run_id: str
    keys: int


def judge(facts: Facts, cluster_id: str, seen: int) -> str | None:
    """Why this durable store can't be the one with `cluster_id` that had reached revision `seen`; None if it can."""
    way_out = "put the right data back, or remove the mark in the API server's state_dir to accept what is there"
    if not facts.cluster_id:
        if facts.keys:
            return "Redis holds data that is no store of ours; give kubelab a Redis of its own"
        if cluster_id:
            return f"the store came back empty, and cluster {cluster_id} had reached revision {seen}: {way_out}"
        return None
    if cluster_id and facts.cluster_id != cluster_id:
        return f"the store belongs to cluster {facts.cluster_id}, not to {cluster_id}: {way_out}"
    if cluster_id and facts.revision < seen:
        return f"the store came back at revision {facts.revision}, but had reached {seen}: {way_out}"
    return None


class Guard:
    """Admits links and remembers the state of the store. Thread-safe."""

    def __init__(self, config: StoreConfig) -> None:
        self.config = config
        self.mark = Mark(config.state_dir, config.name)
        self._lock = threading.Lock()
        self._frozen = ""
        self._away = ""
        self._data_dir: Path | None = None

    def connect(self) -> tuple[Link, Facts]:
        """A new link to the right store.

        Raises: Away, Frozen.
        """
        try:
            link = Link(self.config)
        except Away as error:
            self.lost(str(error))
            raise
        try:
            facts = self._admit(link)
        except Frozen:
            link.close()
            raise
        except (Away, redis.ResponseError, OSError) as error:
            link.close()
            self.lost(str(error))
            raise Away(str(error)) from error
        self._away = ""
        return link, facts

    def link(self) -> Link:
        """A new link, for who doesn't need the facts."""
        return self.connect()[0]

    def lost(self, why: str) -> None:
        """Redis could not be reached; until a link is admitted again, `health` says so."""
        if not self._away:
            event(log, "store-away", level=logging.WARNING, store=self.config.name, error=why)
        self._away = why

    def freeze(self, why: str) -> None:
        """No more writes until the right store is back."""
        if self._frozen != why:
            event(log, "store-frozen", level=logging.ERROR, store=self.config.name, error=why)
        self._frozen = why

    @property
    def frozen(self) -> str:
        """Why the store is frozen, or ""."""
        return self._frozen

    def health(self) -> Health:
        """Whether a write may be tried now."""
        if self._frozen:
            return Health(False, f"the store is read-only: {self._frozen}")
        if self._away:
            return Health(False, self._away)
        free = self._free_bytes()
        if free < self.config.min_free_bytes:
            least = self.config.min_free_bytes // MIB
            return Health(
                False, f"disk full: {free // MIB} MiB are free where the store is kept, writes need {least}"
            )
        return Health(True)

    def check_writable(self) -> None:
        """Raises: ApiError unavailable if the store is frozen or its disk full (being away is left to the writer to
        find out)."""
        if self._frozen or not self._away:
            health = self.health()
            if not health.writable:
                raise ApiError.unavailable(health.reason)

    def _free_bytes(self) -> int:
        free = []
        for folder in (self.config.state_dir, self._data_dir):
            try:
                if folder is not None:
                    stat = os.statvfs(folder)
                    free.append(stat.f_bavail * stat.f_frsize)
            except OSError:
                continue  # not ours to look into: the other folder decides
        return min(free, default=self.config.min_free_bytes)

    def _admit(self, link: Link) -> Facts:
        with self._lock:
            seen = self.mark.seen  # before the facts: writes go on meanwhile on links that were admitted earlier
            facts = self._facts(link)
            admit = self._judge_durable if self.config.durable else self._continue_leases
            facts = admit(link, facts, seen)
            if self._frozen:
                event(log, "store-thawed", level=logging.WARNING, store=self.config.name, revision=facts.revision)
                self._frozen = ""
            return facts

    def _facts(self, link: Link) -> Facts:
        meta, keys, folder = link.pipeline(
            [
                ("HMGET", "meta", "cluster_id", "revision", "compacted", "run_id"),
                ("DBSIZE",),
                ("CONFIG", "GET", "dir"),
            ]
        )
        for reply in (meta, keys):
            if isinstance(reply, redis.ResponseError):
                raise Away(f"the {self.config.name} Redis is not ready: {reply}")
        if isinstance(folder, list) and len(folder) == 2:
            self._data_dir = Path(folder[1].decode())
        cluster_id, revision, compacted, run_id = meta
        return Facts(
            cluster_id=(cluster_id or b"").decode(),
            revision=int(revision or 0),
            compacted=int(compacted or 0),
            run_id=link.run_id,
            store_run_id=(run_id or b"").decode(),
            keys=int(keys),
        )

    def _judge_durable(self, link: Link, facts: Facts, seen: int) -> Facts:
        why = judge(facts, self.mark.cluster_id, seen)
        if why is not None:
            self.freeze(why)
            raise Frozen(why)
        if not facts.cluster_id:
            link.call(*scripts.FOUND.call(str(uuid.uuid4()), link.run_id, "0"))
            facts = self._facts(link)
        if not self.mark.cluster_id:
            self.mark.adopt(facts.cluster_id, facts.revision)
        return facts

    def _continue_leases(self, link: Link, facts: Facts, seen: int) -> Facts:
        cluster_id = self.mark.cluster_id or facts.cluster_id or str(uuid.uuid4())
        known = facts.store_run_id == link.run_id and facts.cluster_id == cluster_id
        if not known or facts.revision < seen:
            floor = max(self.mark.reserved, facts.revision + BLOCK)
            if not facts.cluster_id and not facts.keys:
                link.call(*scripts.FOUND.call(cluster_id, link.run_id, str(floor)))
            else:
                link.call(*scripts.RESTARTED.call(link.run_id, str(floor), cluster_id))
            facts = self._facts(link)
        if self.mark.cluster_id != cluster_id:
            self.mark.adopt(cluster_id, facts.revision)
        return facts
