"""Events about this node's pods, in upstream's words, and each state of waiting told once.

Called by everything in this package that has news for people; the recorder merges repetitions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from controlplane.api.types import ObjectReference
from controlplane.client import Recorder
from nodeagent.plan import Waiting
from nodeagent.pods import Pod

_TOLD = {
    "CrashLoopBackOff": ("BackOff", "Back-off restarting failed container"),
    "CreateContainerConfigError": ("Failed", "Error"),
    "InvalidImageName": ("InspectFailed", "Error"),
    "ErrImageNeverPull": ("ErrImageNeverPull", "Error"),
}


class PodEventRecorder:
    """Callable as `PodEvents`."""

    def __init__(self, recorder: Recorder, node_name: str) -> None:
        self._recorder = recorder
        self._node = ObjectReference(kind="Node", name=node_name, uid=node_name, api_version="v1")
        self._waiting: dict[str, dict[str, Waiting]] = {}

    def __call__(self, pod: Pod, type: Literal["Normal", "Warning"], reason: str, message: str) -> None:
        about = ObjectReference(kind="Pod", api_version="v1", namespace=pod.namespace, name=pod.name, uid=pod.uid)
        self._recorder.event(about, type, reason, message)

    def about_node(self, type: Literal["Normal", "Warning"], reason: str, message: str) -> None:
        self._recorder.event(self._node, type, reason, message)

    def waiting(self, pod: Pod, waiting: Mapping[str, Waiting]) -> None:
        """Tell what is new about containers that wait."""
        before = self._waiting.get(pod.uid, {})
        for container, why in waiting.items():
            known = _TOLD.get(why.reason)
            if known is not None and before.get(container) != why:
                reason, prefix = known
                self(pod, "Warning", reason, f"{prefix}: {why.message}")
        if waiting:
            self._waiting[pod.uid] = dict(waiting)
        else:
            self._waiting.pop(pod.uid, None)

    def forget(self, uid: str) -> None:
        self._waiting.pop(uid, None)
