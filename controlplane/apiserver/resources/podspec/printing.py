"""The columns of pods: what `kubectl get pods` says about each, in upstream's words.

After `printPod` in `pkg/printers/internalversion/printers.go`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from controlplane.api import times
from controlplane.apiserver.registry import Cell, Column, Obj
from controlplane.apiserver.resources.columns import AGE, NAME, NONE, at, text


@dataclass
class Summary:
    """What the columns say of one pod."""

    reason: str
    ready: int = 0
    total: int = 0
    restarts: int = 0
    last_restart: str = ""

    def add_restarts(self, status: Obj) -> None:
        """Counts a container's restarts and remembers when its last run ended."""
        self.restarts += status.get("restartCount", 0)
        ended = text(status, "lastState", "terminated", "finishedAt")
        self.last_restart = max(self.last_restart, ended)


def summary(pod: Obj) -> Summary:
    """Reads a pod's status as upstream's printer does."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    phase = status.get("phase", "")
    found = Summary(reason=status.get("reason") or phase, total=len(spec.get("containers") or ()))
    conditions = {item.get("type"): item for item in status.get("conditions") or ()}
    if conditions.get("PodScheduled", {}).get("reason") == "SchedulingGated":
        found.reason = "SchedulingGated"
    sidecars = {
        item.get("name") for item in spec.get("initContainers") or () if item.get("restartPolicy") == "Always"
    }
    found.total += len(sidecars)
    initializing = _init_containers(found, spec, status, sidecars)
    if not initializing or conditions.get("Initialized", {}).get("status") == "True":
        _containers(found, status, sidecars, conditions.get("Ready", {}).get("status") == "True")
    if pod["metadata"].get("deletionTimestamp"):
        if status.get("reason") == "NodeLost":
            found.reason = "Unknown"
        elif phase not in ("Succeeded", "Failed"):
            found.reason = "Terminating"
    return found


def _ended(state: Obj) -> str:
    """Why a terminated container ended."""
    if state.get("reason"):
        return str(state["reason"])
    if state.get("signal"):
        return f"Signal:{state['signal']}"
    return f"ExitCode:{state.get('exitCode', 0)}"


def _init_containers(found: Summary, spec: Obj, status: Obj, sidecars: set[Any]) -> bool:
    """Whether the pod still initialises; sets the reason if so."""
    for index, container in enumerate(status.get("initContainerStatuses") or ()):
        found.add_restarts(container)
        state = container.get("state") or {}
        ended, waiting = state.get("terminated"), text(state, "waiting", "reason")
        if ended is not None and ended.get("exitCode", 0) == 0:
            continue
        if container.get("name") in sidecars and container.get("started"):
            found.ready += bool(container.get("ready"))
            continue
        if ended is not None:
            found.reason = f"Init:{_ended(ended)}"
        elif waiting and waiting != "PodInitializing":
            found.reason = f"Init:{waiting}"
        else:
            found.reason = f"Init:{index}/{len(spec.get('initContainers') or ())}"
        return True
    return False


def _containers(found: Summary, status: Obj, sidecars: set[Any], pod_ready: bool) -> None:
    found.restarts, found.last_restart = 0, ""
    for container in status.get("initContainerStatuses") or ():
        if container.get("name") in sidecars:
            found.add_restarts(container)
    running = False
    for container in reversed(status.get("containerStatuses") or ()):
        found.add_restarts(container)
        state = container.get("state") or {}
        if text(state, "waiting", "reason"):
            found.reason = state["waiting"]["reason"]
        elif state.get("terminated") is not None:
            found.reason = _ended(state["terminated"])
        elif container.get("ready") and state.get("running") is not None:
            running = True
            found.ready += 1
    if found.reason == "Completed" and running:
        found.reason = "Running" if pod_ready else "NotReady"


def _ready(pod: Obj, _now: datetime) -> Cell:
    found = summary(pod)
    return f"{found.ready}/{found.total}"


def _status(pod: Obj, _now: datetime) -> Cell:
    return summary(pod).reason


def _restarts(pod: Obj, now: datetime) -> Cell:
    found = summary(pod)
    if found.restarts and found.last_restart:
        return f"{found.restarts} ({times.age(found.last_restart, now)} ago)"
    return str(found.restarts)


def _ip(pod: Obj, _now: datetime) -> Cell:
    addresses = at(pod, "status", "podIPs") or ()
    first = str(addresses[0].get("ip", "")) if addresses else text(pod, "status", "podIP")
    return first or NONE


def _gates(pod: Obj, _now: datetime) -> Cell:
    gates = at(pod, "spec", "readinessGates") or ()
    if not gates:
        return NONE
    conditions = {item.get("type"): item.get("status") for item in at(pod, "status", "conditions") or ()}
    true = sum(conditions.get(gate.get("conditionType")) == "True" for gate in gates)
    return f"{true}/{len(gates)}"


COLUMNS = (
    NAME,
    Column("Ready", _ready, description="The aggregate readiness state of this pod for accepting traffic."),
    Column("Status", _status, description="The aggregate status of the containers in this pod."),
    Column(
        "Restarts",
        _restarts,
        description="The number of times the containers in this pod have been restarted and when the last "
        "container in this pod has restarted.",
    ),
    AGE,
    Column("IP", _ip, priority=1, description="The pod's (first) address."),
    Column(
        "Node",
        lambda pod, _: text(pod, "spec", "nodeName", missing=NONE),
        priority=1,
        description="The node that the pod is bound to.",
    ),
    Column(
        "Nominated Node",
        lambda pod, _: text(pod, "status", "nominatedNodeName", missing=NONE),
        priority=1,
        description="The node that is being made free for the pod.",
    ),
    Column("Readiness Gates", _gates, priority=1, description="Conditions that the pod's readiness waits for."),
)
