"""The Lua scripts, as package data, with the names under which Redis knows them.

A script is sent once per connection (SCRIPT LOAD) and then called by its hash. What each takes and returns stands
at its top.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Script:
    """One script: its text, its SHA-1 (Redis' name for it, no secret) and its KEYS."""

    text: str
    sha: str
    keys: tuple[str, ...]

    def call(self, *argv: str | bytes) -> tuple[str | bytes, ...]:
        """The command that runs it."""
        return ("EVALSHA", self.sha, str(len(self.keys)), *self.keys, *argv)


def _load(name: str, *keys: str) -> Script:
    text = (files(__name__) / f"{name}.lua").read_text(encoding="utf-8")
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest(), keys)


WRITE = _load("write", "meta", "objects", "changes", "claims", "held", "terms")
FOUND = _load("found", "meta")
RESTARTED = _load("restarted", "meta", "changes")
COMPACT = _load("compact", "meta", "changes")
ALL = (WRITE, FOUND, RESTARTED, COMPACT)
