"""What a person sees of long work: one line a step with its time, and the table of steps at the end."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Step:
    """One finished step."""

    text: str
    duration_s: float
    note: str = ""
    failed: bool = False


@dataclass
class Steps:
    """The steps of one command, in the order in which they ended. Threads may share it."""

    done: list[Step] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def step(self, text: str) -> Iterator[list[str]]:
        """Run a step: prints its line when it ends. Strings put into the list become the line's note."""
        begun = time.monotonic()
        note: list[str] = []
        failed = True
        try:
            yield note
            failed = False
        finally:
            self._finish(Step(text, time.monotonic() - begun, ", ".join(note), failed))

    def say(self, text: str) -> None:
        with self._lock:
            print(text, flush=True)

    def total_s(self) -> float:
        return time.monotonic() - self.started

    def _finish(self, step: Step) -> None:
        with self._lock:
            self.done.append(step)
            print(line(step), flush=True)


def line(step: Step) -> str:
    """The line of one step."""
    mark = "✗" if step.failed else "·"
    return f"  {mark} {step.text:<46} {step.duration_s:7.1f} s{'  ' + step.note if step.note else ''}"


def slowest(steps: list[Step], count: int) -> str:
    """The table of the slowest steps, slowest first."""
    ranked = sorted(steps, key=lambda s: -s.duration_s)[:count]
    return "\n".join(["slowest steps", *(f"  {s.duration_s:8.1f} s  {s.text}" for s in ranked)])


def fail(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
