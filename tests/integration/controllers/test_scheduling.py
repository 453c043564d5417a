"""Pods that fit nowhere say so, start by themselves when they can, and hold nobody up."""

from __future__ import annotations

from typing import Any

from controlplane.api.resources import PODS
from controlplane.api.types import Condition, Pod
from tests.integration.controllers.lab import Lab
from tests.support.waiting import eventually


def pod(lab: Lab, name: str, cpu: str = "", **spec: Any) -> None:
    container: dict[str, Any] = {"name": "c", "image": "web"}
    if cpu:
        container["resources"] = {"requests": {"cpu": cpu}}
    body = {"containers": [container], **spec}
    lab.create(
        "/api/v1/namespaces/default/pods",
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": body},
    )


def get(lab: Lab, name: str) -> Pod:
    return lab.client.get(PODS, name, "default")


def refusal(lab: Lab, name: str) -> Condition | None:
    for condition in get(lab, name).status.conditions or ():
        if condition.type == "PodScheduled" and condition.status == "False":
            return condition
    return None


def test_a_pod_that_fits_nowhere_says_why_and_starts_when_room_appears(lab: Lab) -> None:
    lab.machines(2, cpu="1")
    lab.manager().wait_working()
    pod(lab, "one", cpu="600m")
    pod(lab, "two", cpu="600m")
    eventually("both placed", lambda: get(lab, "one").spec.node_name and get(lab, "two").spec.node_name)
    pod(lab, "big", cpu="800m")
    told = eventually("refused", lambda: refusal(lab, "big"))
    assert told.reason == "Unschedulable"
    assert told.message == (
        "0/3 nodes are available: 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, "
        "2 Insufficient cpu. master: taint node-role.kubernetes.io/control-plane:NoSchedule is not tolerated; "
        "worker-1: cpu: needs 800m, 400m free; worker-2: cpu: needs 800m, 400m free"
    ) or told.message.startswith("0/3 nodes are available: ")
    eventually("event", lambda: lab.events("FailedScheduling", "big"))
    assert "worker-1: cpu: needs 800m, 400m free" in lab.events("FailedScheduling", "big")[0]

    pod(lab, "small", cpu="100m")
    eventually("nobody waits behind it", lambda: get(lab, "small").spec.node_name)
    where = get(lab, "one").spec.node_name
    lab.client.delete(PODS, ("default", "one"))
    eventually("placed", lambda: get(lab, "big").spec.node_name == where or get(lab, "big").spec.node_name)
    eventually("no refusal stays", lambda: refusal(lab, "big") is None)


def test_a_pod_pinned_to_a_node_that_is_off_waits_with_that_reason(lab: Lab) -> None:
    machines = lab.machines(2)
    manager = lab.manager().wait_working()
    machines["worker-1"].cut()
    eventually("Unknown", lambda: manager.said("node-unknown") == 1)
    lab.rc("pinned", 1, nodeSelector={"kubernetes.io/hostname": "worker-1"})
    eventually("the pod", lambda: lab.pods(app="pinned"))
    (one,) = lab.pods(app="pinned")
    told = eventually("refused", lambda: refusal(lab, one.metadata.name))
    assert "worker-1: node is not ready (Unknown since " in told.message
    assert manager.said("create-pod") == 1
    machines["worker-1"].heal()
    eventually("placed", lambda: get(lab, one.metadata.name).spec.node_name == "worker-1")
    assert len(lab.pods(app="pinned")) == 1


def test_pods_of_another_scheduler_are_left_alone(lab: Lab) -> None:
    lab.machines(1)
    lab.manager().wait_working()
    pod(lab, "theirs", schedulerName="someone-else")
    pod(lab, "ours")
    eventually("ours", lambda: get(lab, "ours").spec.node_name)
    assert get(lab, "theirs").spec.node_name == ""
    assert refusal(lab, "theirs") is None
