"""Brings to the disk what containerd and nerdctl wrote, a moment after they did.

Neither syncs the files of an image or a container: after a power cut a machine has an image that was unpacked in the
last half minute by name, with empty files in it, and no pod of it ever starts again. So the whole file system is
synced after a pull or a start, in the background (nobody waits for it), once for all that happened meanwhile.

Called by `nerdctl.py`. containerd itself has this since 2.0 (`image_pull_with_sync_fs` of its CRI plugin).
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Sequence


def sync_file_system(path: str) -> None:
    """Write everything of the file system that has `path` to its disk. A path that isn't there is left out."""
    try:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return
    try:
        ctypes.CDLL(None).syncfs(folder)
    finally:
        os.close(folder)


class Settler:
    """Syncs `paths` after each `soon`, in a thread of its own that starts with the first one."""

    def __init__(self, paths: Sequence[str], sync: Callable[[str], None] = sync_file_system) -> None:
        self._paths = tuple(paths)
        self._sync = sync
        self._wanted = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def soon(self) -> None:
        """Something was written."""
        if not self._paths:
            return
        self._wanted.set()
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="settle", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while self._wanted.wait():
            self._wanted.clear()
            for path in self._paths:
                self._sync(path)
