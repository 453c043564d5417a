"""What `kubectl get pods` shows, for each state that a pod can be seen in."""

from __future__ import annotations

from typing import Any

import pytest

from controlplane.apiserver.resources import pods
from tests.unit.resources.build import row

CREATED = "2026-11-24T10:59:18Z"


def shown(spec: dict[str, Any] | None = None, deleted: bool = False, **status: Any) -> list[Any]:
    metadata = {"name": "web", "creationTimestamp": CREATED}
    if deleted:
        metadata["deletionTimestamp"] = "2026-11-24T11:00:30Z"
    obj = {
        "metadata": metadata,
        "spec": {"containers": [{"name": "a"}, {"name": "b"}], **(spec or {})},
        "status": status,
    }
    cells = row(pods.RESOURCE, obj)
    return [cells["Ready"], cells["Status"], cells["Restarts"]]


def running(ready: bool = True, restarts: int = 0, **more: Any) -> dict[str, Any]:
    return {"ready": ready, "restartCount": restarts, "state": {"running": {"startedAt": CREATED}}, **more}


def waiting(reason: str, restarts: int = 0, **more: Any) -> dict[str, Any]:
    return {"ready": False, "restartCount": restarts, "state": {"waiting": {"reason": reason}}, **more}


def ended(code: int, reason: str = "", signal: int = 0) -> dict[str, Any]:
    return {"restartCount": 0, "state": {"terminated": {"exitCode": code, "reason": reason, "signal": signal}}}


LAST: dict[str, Any] = {"lastState": {"terminated": {"finishedAt": "2026-11-24T10:59:55Z"}}}
READY = [{"type": "Ready", "status": "True"}]


@pytest.mark.parametrize(
    ("status", "cells"),
    [
        pytest.param({"phase": "Pending"}, ["0/2", "Pending", "0"], id="pending"),
        pytest.param(
            {"phase": "Pending", "containerStatuses": [waiting("ContainerCreating"), waiting("ContainerCreating")]},
            ["0/2", "ContainerCreating", "0"],
            id="being created",
        ),
        pytest.param(
            {"phase": "Running", "containerStatuses": [running(), running()]}, ["2/2", "Running", "0"], id="running"
        ),
        pytest.param(
            {"phase": "Running", "containerStatuses": [running(), running(ready=False)]},
            ["1/2", "Running", "0"],
            id="not ready",
        ),
        pytest.param(
            {"phase": "Running", "containerStatuses": [running(), waiting("CrashLoopBackOff", 3, **LAST)]},
            ["1/2", "CrashLoopBackOff", "3 (5s ago)"],
            id="crash loop",
        ),
        pytest.param(
            {"phase": "Running", "containerStatuses": [running(restarts=2, **LAST), running(restarts=1)]},
            ["2/2", "Running", "3 (5s ago)"],
            id="restarted",
        ),
        pytest.param(
            {"phase": "Pending", "containerStatuses": [waiting("ImagePullBackOff"), running()]},
            ["1/2", "ImagePullBackOff", "0"],
            id="no image",
        ),
        pytest.param(
            {"phase": "Succeeded", "containerStatuses": [ended(0, "Completed")] * 2},
            ["0/2", "Completed", "0"],
            id="done",
        ),
        pytest.param(
            {"phase": "Failed", "containerStatuses": [ended(1, "Error")] * 2}, ["0/2", "Error", "0"], id="failed"
        ),
        pytest.param(
            {"phase": "Failed", "containerStatuses": [ended(137, "OOMKilled")] * 2},
            ["0/2", "OOMKilled", "0"],
            id="oom",
        ),
        pytest.param(
            {"phase": "Failed", "containerStatuses": [ended(2)]}, ["0/2", "ExitCode:2", "0"], id="bare code"
        ),
        pytest.param(
            {"phase": "Failed", "containerStatuses": [ended(0, signal=9)]}, ["0/2", "Signal:9", "0"], id="bare signal"
        ),
        pytest.param({"phase": "Failed", "reason": "Evicted"}, ["0/2", "Evicted", "0"], id="reason of the pod"),
        pytest.param(
            {"phase": "Running", "conditions": READY, "containerStatuses": [ended(0, "Completed"), running()]},
            ["1/2", "Running", "0"],
            id="one completed, ready",
        ),
        pytest.param(
            {"phase": "Running", "containerStatuses": [ended(0, "Completed"), running()]},
            ["1/2", "NotReady", "0"],
            id="one completed, not ready",
        ),
        pytest.param(
            {
                "phase": "Pending",
                "conditions": [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}],
            },
            ["0/2", "SchedulingGated", "0"],
            id="gated",
        ),
    ],
)
def test_status(status: dict[str, Any], cells: list[Any]) -> None:
    assert shown(**status) == cells


@pytest.mark.parametrize(
    ("statuses", "reason"),
    [
        ([waiting("PodInitializing")], "Init:0/2"),
        ([ended(0), waiting("PodInitializing")], "Init:1/2"),
        ([waiting("CrashLoopBackOff")], "Init:CrashLoopBackOff"),
        ([ended(1, "Error")], "Init:Error"),
        ([ended(3)], "Init:ExitCode:3"),
        ([ended(1, signal=9)], "Init:Signal:9"),
    ],
)
def test_init_containers(statuses: list[dict[str, Any]], reason: str) -> None:
    spec = {"initContainers": [{"name": "x"}, {"name": "y"}]}
    assert shown(spec, phase="Pending", initContainerStatuses=statuses)[1] == reason


def test_sidecars_count() -> None:
    spec = {"initContainers": [{"name": "s", "restartPolicy": "Always"}]}
    sidecar = {"name": "s", "started": True, **running()}
    assert shown(
        spec, phase="Running", initContainerStatuses=[sidecar], containerStatuses=[running(), running()]
    ) == [
        "3/3",
        "Running",
        "0",
    ]


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ({"phase": "Running"}, "Terminating"),
        ({"phase": "Running", "reason": "NodeLost"}, "Unknown"),
        ({"phase": "Succeeded"}, "Succeeded"),
    ],
)
def test_deletion(status: dict[str, Any], reason: str) -> None:
    assert shown(deleted=True, **status)[1] == reason


def test_wide() -> None:
    obj = {
        "metadata": {"name": "web", "creationTimestamp": CREATED},
        "spec": {"nodeName": "worker-1", "readinessGates": [{"conditionType": "x/y"}]},
        "status": {"podIPs": [{"ip": "10.244.1.2"}], "conditions": [{"type": "x/y", "status": "True"}]},
    }
    cells = row(pods.RESOURCE, obj, wide=True)
    assert list(cells)[5:] == ["IP", "Node", "Nominated Node", "Readiness Gates"]
    assert list(cells.values())[4:] == ["42s", "10.244.1.2", "worker-1", "<none>", "1/1"]
    empty = row(pods.RESOURCE, {"metadata": {"name": "web"}}, wide=True)
    assert list(empty.values())[4:] == ["<unknown>", "<none>", "<none>", "<none>", "<none>"]
