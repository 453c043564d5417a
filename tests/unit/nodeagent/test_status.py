"""What the API hears: phases, container states, conditions, and patches only for what changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from controlplane.api.types import PodStatus
from nodeagent.plan import Waiting
from nodeagent.pods import Pod
from nodeagent.report import status_patch
from nodeagent.runtime.base import Container, State
from nodeagent.status import Facts, Health, pod_status
from tests.unit.nodeagent.builders import WALL, make_container, make_pod, make_sandbox

EXIT_0 = make_container(state=State.EXITED, exit_code=0)
EXIT_1 = make_container(state=State.EXITED, exit_code=1)
BACK_OFF = {"c": Waiting("CrashLoopBackOff", "wait")}


def status(pod: Pod, *containers: Container, **fields: Any) -> PodStatus:
    facts = Facts(containers=containers, **{"waiting": {}, "health": {}, "host_ip": "10.77.0.11", **fields})
    return pod_status(pod, facts, WALL)


def after(pod: Pod, new: PodStatus) -> Pod:
    """The pod as the API has it once the status was written and read back."""
    return replace(pod, status=msgspec.json.decode(msgspec.json.encode(new), type=PodStatus))


@pytest.mark.parametrize(
    ("policy", "containers", "waiting", "phase"),
    [
        pytest.param("Always", (), {}, "Pending", id="nothing yet"),
        pytest.param("Always", (make_sandbox(),), {}, "Pending", id="only the sandbox"),
        pytest.param("Always", (make_sandbox(), make_container()), {}, "Running", id="running"),
        pytest.param("Always", (make_sandbox(), EXIT_1), BACK_OFF, "Running", id="crash loop"),
        pytest.param("OnFailure", (make_sandbox(), EXIT_1), BACK_OFF, "Running", id="crash loop, OnFailure"),
        pytest.param("OnFailure", (EXIT_0,), {}, "Succeeded", id="OnFailure, success"),
        pytest.param("Never", (EXIT_0,), {}, "Succeeded", id="Never, success"),
        pytest.param("Never", (EXIT_1,), {}, "Failed", id="Never, failure"),
    ],
)
def test_phase(policy: str, containers: tuple[Container, ...], waiting: dict[str, Waiting], phase: str) -> None:
    assert status(make_pod(policy=policy), *containers, waiting=waiting).phase == phase


def test_one_container_that_never_ran_keeps_the_pod_pending() -> None:
    assert status(make_pod("c", "d"), make_sandbox(), make_container("c")).phase == "Pending"


def test_a_finished_pod_keeps_its_phase() -> None:
    assert status(make_pod(status={"phase": "Failed"}), EXIT_0).phase == "Failed"


@pytest.mark.parametrize(
    ("container", "reason", "code"),
    [
        (EXIT_0, "Completed", 0),
        (EXIT_1, "Error", 1),
        (replace(EXIT_1, exit_code=137, oom_killed=True), "OOMKilled", 137),
        (replace(EXIT_1, exit_code=255, finished_at=None), "Unknown", 255),
        (replace(EXIT_1, exit_code=128, error="no such file"), "StartError", 128),
    ],
    ids=["success", "failure", "out of memory", "power cut", "start failed"],
)
def test_terminated(container: Container, reason: str, code: int) -> None:
    ended = status(make_pod(policy="Never"), container).container_statuses[0].state.terminated  # type: ignore[index]
    assert ended is not None
    assert (ended.reason, ended.exit_code) == (reason, code)


def test_a_crash_loop_waits_and_shows_its_last_end() -> None:
    shown = status(make_pod(), make_sandbox(), replace(EXIT_1, attempt=3), waiting=BACK_OFF).container_statuses
    assert shown is not None
    assert shown[0].state.waiting is not None
    assert shown[0].state.waiting.reason == "CrashLoopBackOff"
    assert shown[0].last_state.terminated is not None
    assert shown[0].restart_count == 3


def test_a_restarted_container_shows_the_run_before() -> None:
    shown = status(make_pod(), make_sandbox(), EXIT_1, make_container(attempt=1)).container_statuses
    assert shown is not None
    assert shown[0].state.running is not None
    assert shown[0].last_state.terminated is not None
    assert shown[0].last_state.terminated.container_id == "containerd://c-0"


@pytest.mark.parametrize(
    ("health", "ready", "started"),
    [
        ({}, "True", True),
        ({"c-0": Health(True, False)}, "False", True),
        ({"c-0": Health(False, True)}, "False", False),
    ],
    ids=["no probes", "not ready", "not started"],
)
def test_probes_decide_about_readiness(health: dict[str, Health], ready: str, started: bool) -> None:
    new = status(make_pod(), make_sandbox(), make_container(), health=health)
    conditions = {c.type: c for c in new.conditions or ()}
    assert conditions["Ready"].status == conditions["ContainersReady"].status == ready
    assert new.container_statuses is not None
    assert new.container_statuses[0].started is started
    if ready == "False":
        assert conditions["Ready"].message == "containers with unready status: [c]"


def test_a_transition_time_moves_only_with_the_status() -> None:
    pod = make_pod()
    first = after(pod, status(pod, make_sandbox(), make_container()))
    later = WALL.replace(hour=13)
    facts = Facts((make_sandbox(), make_container()), {}, {"c-0": Health(True, False)}, "10.77.0.11")
    times = {c.type: c.last_transition_time for c in pod_status(first, facts, later).conditions or ()}
    assert times["Ready"] == later
    assert times["Initialized"] == WALL


def test_what_the_runtime_forgot_is_remembered_from_the_api() -> None:
    pod = make_pod()
    oom = replace(EXIT_1, oom_killed=True, exit_code=137)
    told = after(pod, status(pod, make_sandbox(), oom, waiting=BACK_OFF))
    again = status(told, make_sandbox(), replace(oom, oom_killed=False), waiting=BACK_OFF)
    assert again.container_statuses == told.status.container_statuses


def test_a_running_container_started_when_the_api_was_told_so() -> None:
    pod = make_pod()
    told = after(pod, status(pod, make_sandbox(), make_container()))
    younger = make_container(started_at=WALL + timedelta(seconds=1))
    assert status(told, make_sandbox(), younger).container_statuses == told.status.container_statuses
    again = make_container(attempt=1, started_at=WALL + timedelta(seconds=9))
    fresh = (status(told, make_sandbox(), again).container_statuses or [])[0].state.running
    assert fresh is not None
    assert fresh.started_at == WALL + timedelta(seconds=9)


def test_a_container_that_vanished_is_shown_as_unknown() -> None:
    reported = {"containerStatuses": [{"name": "c", "containerID": "containerd://x", "state": {"running": {}}}]}
    shown = status(make_pod(policy="Never", status=reported)).container_statuses
    assert shown is not None
    assert shown[0].state.terminated is not None
    assert shown[0].state.terminated.reason == "ContainerStatusUnknown"


def test_a_status_that_the_api_has_is_not_sent_again() -> None:
    pod = make_pod()
    new = status(pod, make_sandbox(), EXIT_1, make_container(attempt=1))
    assert status_patch(pod, new) is not None
    known = after(pod, new)
    assert status_patch(known, status(known, make_sandbox(), EXIT_1, make_container(attempt=1))) is None


def test_a_patch_names_the_pod_and_what_clients_require() -> None:
    pod = make_pod()
    patch = status_patch(pod, status(pod))
    assert patch is not None
    assert patch["metadata"] == {"uid": pod.uid}
    sent = patch["status"]["containerStatuses"][0]
    assert {k: sent[k] for k in ("ready", "restartCount", "image", "imageID", "lastState")} == {
        "ready": False, "restartCount": 0, "image": "busybox", "imageID": "", "lastState": {},
    }  # fmt: skip


def test_a_new_address_replaces_the_old_one() -> None:
    pod = make_pod()
    known = after(pod, status(pod, make_sandbox(), make_container()))
    patch = status_patch(known, status(known, make_sandbox(ip="10.244.1.9"), make_container()))
    assert patch is not None
    assert patch["status"]["podIP"] == "10.244.1.9"
    assert patch["status"]["podIPs"] == [{"ip": "10.244.1.9"}, {"$patch": "delete", "ip": "10.244.1.5"}]
