"""A pod's folders and tmpfs mounts on the machine: shared memory, emptyDir volumes, termination messages.

Everything of a pod lies below `<root_dir>/pods/<uid>` and `<run_dir>/pods/<uid>`, so that removing a pod is removing
two trees, mounts first. tmpfs is mounted by the system call itself: only the runtime adapter starts processes.
Called by `apply.py`. Needs the machine's own mount namespace, so the unit must not have a private one.

Follows pkg/kubelet/kubelet_getters.go (the folders) and pkg/volume/emptydir.
"""

from __future__ import annotations

import ctypes
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from controlplane.api import quantity
from nodeagent.pods import Container, Pod, Volume
from nodeagent.runtime.base import Mount

_SHM_BYTES = 64 * 1024 * 1024
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 2, 4, 8
_MNT_DETACH = 2
_MESSAGE_MAX = 4096

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class PodFiles:
    """Where the files of pods are."""

    root_dir: Path
    run_dir: Path

    def folder(self, uid: str) -> Path:
        return self.root_dir / "pods" / _safe(uid)

    def memory_folder(self, uid: str) -> Path:
        return self.run_dir / "pods" / _safe(uid)

    def exist(self, uid: str) -> bool:
        return self.folder(uid).exists() or self.memory_folder(uid).exists()

    def uids(self) -> set[str]:
        """All pods that have files here."""
        return {
            entry.name
            for parent in (self.root_dir / "pods", self.run_dir / "pods")
            if parent.is_dir()
            for entry in parent.iterdir()
        }

    def mounts_for(self, pod: Pod, container: Container, attempt: int) -> tuple[Mount, ...]:
        """Make what the container mounts, if it isn't there yet, and say what to mount where."""
        shm = self.memory_folder(pod.uid) / "shm"
        _tmpfs(shm, _SHM_BYTES, noexec=True)
        mounts = [Mount(str(shm), "/dev/shm")]  # noqa: S108  # a path inside the container
        volumes = {v.name: v for v in pod.spec.volumes or ()}
        for mount in container.volume_mounts or ():
            source = self._volume(pod.uid, volumes[mount.name])
            mounts.append(Mount(str(source), mount.mount_path, mount.read_only))
        message = self._message_file(pod.uid, container.name, attempt)
        message.parent.mkdir(parents=True, exist_ok=True)
        message.touch()
        message.chmod(0o666)
        mounts.append(Mount(str(message), container.termination_message_path))
        return tuple(mounts)

    def _message_file(self, uid: str, container: str, attempt: int) -> Path:
        return self.folder(uid) / "containers" / _safe(container) / str(attempt)

    def termination_message(self, uid: str, container: str, attempt: int) -> str:
        """What the container wrote to its termination message file, at most 4 KiB."""
        try:
            with self._message_file(uid, container, attempt).open("rb") as file:
                return file.read(_MESSAGE_MAX).decode(errors="replace")
        except OSError:
            return ""

    def _volume(self, uid: str, volume: Volume) -> Path:
        if volume.empty_dir is not None and volume.empty_dir.medium == "Memory":
            path = self.memory_folder(uid) / "volumes" / _safe(volume.name)
            limit = volume.empty_dir.size_limit
            _tmpfs(path, quantity.to_bytes(limit) if limit else None)
            return path
        path = self.folder(uid) / "volumes" / _safe(volume.name)
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o777)
        return path

    def remove(self, uid: str) -> None:
        """Unmount and remove everything of the pod; safe to repeat.

        Raises: OSError when something can't be removed; links are removed, never followed.
        """
        for tree in (self.memory_folder(uid), self.folder(uid)):
            for target in _mounts_below(tree):
                _libc.umount2(os.fsencode(target), _MNT_DETACH)
            if tree.exists():
                shutil.rmtree(tree)


def _safe(name: str) -> str:
    """A name that is one path component; names in the API are, by validation, but files are removed by this path."""
    if not name or name in (".", "..") or "/" in name or "\0" in name:
        raise ValueError(f"{name!r} can't be a file name")
    return name


def _tmpfs(path: Path, size_bytes: int | None, noexec: bool = False) -> None:
    path.mkdir(parents=True, exist_ok=True)
    if os.path.ismount(path):
        return
    options = "mode=1777" + (f",size={size_bytes}" if size_bytes is not None else "")
    flags = _MS_NOSUID | _MS_NODEV | (_MS_NOEXEC if noexec else 0)
    if _libc.mount(b"tmpfs", os.fsencode(path), b"tmpfs", flags, options.encode()):
        number = ctypes.get_errno()
        raise OSError(number, f"mount of tmpfs on {path}: {os.strerror(number)}")


def _mounts_below(tree: Path) -> list[str]:
    """Mount points at or below `tree`, deepest first."""
    prefix = f"{tree}/"
    found = []
    with open("/proc/self/mounts", encoding="utf-8", errors="surrogateescape") as mounts:
        for line in mounts:
            target = line.split()[1].replace("\\040", " ")
            if target == str(tree) or target.startswith(prefix):
                found.append(target)
    return sorted(found, key=len, reverse=True)
