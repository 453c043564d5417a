"""Termination messages of ended containers: from their file, or from the end of their log when they ask for that.

Follows pkg/kubelet/kuberuntime/kuberuntime_container.go (getTerminationMessage).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from nodeagent.logs import Query, files_of, shown, tail_start
from nodeagent.mounts import PodFiles
from nodeagent.pods import Pod
from nodeagent.runtime.base import Container, Runtime, RuntimeFailure, State

_LOG_LINES = 80
_LOG_BYTES = 2048


def termination(pod: Pod, containers: Iterable[Container], files: PodFiles, runtime: Runtime) -> dict[str, str]:
    """Messages by container id, for those that ended and left one."""
    found = {}
    for container in containers:
        spec = pod.container(container.container)
        if container.state is not State.EXITED or container.error or spec is None:
            continue
        text = files.termination_message(pod.uid, container.container, container.attempt)
        if not text and container.exit_code and spec.termination_message_policy == "FallbackToLogsOnError":
            text = _end_of_log(container, runtime)
        if text:
            found[container.id] = text
    return found


def _end_of_log(container: Container, runtime: Runtime) -> str:
    try:
        path = Path(container.log_path or runtime.log_path(container.id))
        file, offset = tail_start(files_of(path), _LOG_LINES)
        if file is None:
            return ""
        with file.open("rb") as lines:
            lines.seek(offset)
            text = b"".join(shown(line.rstrip(b"\n"), Query()) for line in lines)
    except (OSError, RuntimeFailure):
        return ""
    return text[-_LOG_BYTES:].decode(errors="replace")
