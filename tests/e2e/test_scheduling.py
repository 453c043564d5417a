"""What can't be placed says why, node by node, waits without a storm, and starts by itself when it can."""

from __future__ import annotations

from string import Template
from typing import Any

from tests.e2e.support import Lab, eventually, names, nodes, web

SIZED = Template("""
apiVersion: v1
kind: Pod
metadata: {name: $name}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: main, image: busybox, args: [sleep, "3600"], resources: {requests: {cpu: "$cpu"}}}
""")


def refusal(lab: Lab, namespace: str, pod: str) -> str:
    """The message of the pod's PodScheduled condition while it is refused."""

    def probe() -> str:
        conditions = lab.get("pod", pod, "-n", namespace)["status"].get("conditions", [])
        refused = [c for c in conditions if c["type"] == "PodScheduled" and c["status"] == "False"]
        return str(refused[0]["message"]) if refused else ""

    return eventually(f"why {pod} isn't placed", probe)


def cpu_milli(node: dict[str, Any]) -> int:
    """The node's allocatable cpu in thousandths of a core."""
    cpu = str(node["status"]["allocatable"]["cpu"])
    return int(cpu[:-1]) if cpu.endswith("m") else int(cpu) * 1000


def test_replicas_spread_over_the_workers(lab: Lab, namespace: str) -> None:
    lab.apply(web("spread", 3), namespace)
    assert nodes(lab.ready_pods(namespace, "app=spread", 3)) == {"worker-1", "worker-2", "worker-3"}


def test_no_room_is_explained_and_ends_when_room_appears(lab: Lab, namespace: str) -> None:
    workers = [n for n in lab.get("nodes")["items"] if n["metadata"]["name"].startswith("worker")]
    big = f"{max(cpu_milli(w) for w in workers) * 3 // 4}m"
    for number in range(len(workers)):
        lab.apply(SIZED.substitute(name=f"big-{number}", cpu=big), namespace)
    for number in range(len(workers)):
        lab.kubectl("wait", f"pod/big-{number}", "-n", namespace, "--for=condition=Ready", "--timeout=60s")
    lab.apply(SIZED.substitute(name="late", cpu=big), namespace)
    message = refusal(lab, namespace, "late")
    for worker in workers:
        assert f"{worker['metadata']['name']}: cpu: needs {big}" in message
    said = lab.kubectl("describe", "pod", "late", "-n", namespace)
    assert "FailedScheduling" in said
    assert "free" in said

    lab.apply(SIZED.substitute(name="small", cpu="10m"), namespace)
    lab.kubectl("wait", "pod/small", "-n", namespace, "--for=condition=Ready", "--timeout=60s")
    lab.kubectl("delete", "pod", "big-0", "-n", namespace)
    lab.kubectl("wait", "pod/late", "-n", namespace, "--for=condition=Ready", "--timeout=60s")


def test_impossible_requests_wait_and_harm_nobody(lab: Lab, namespace: str) -> None:
    lab.apply(SIZED.substitute(name="huge", cpu="1000"), namespace)
    assert "worker-1: cpu: needs 1000" in refusal(lab, namespace, "huge")
    lab.apply(SIZED.substitute(name="fine", cpu="10m"), namespace)
    lab.kubectl("wait", "pod/fine", "-n", namespace, "--for=condition=Ready", "--timeout=60s")
    assert lab.get("pod", "huge", "-n", namespace)["status"]["phase"] == "Pending"


def test_a_cordoned_node_gets_no_new_pods(whole_lab: Lab, namespace: str) -> None:
    whole_lab.kubectl("patch", "node", "worker-1", "-p", '{"spec":{"unschedulable":true}}')
    try:
        whole_lab.apply(web("elsewhere", 3), namespace)
        assert "worker-1" not in nodes(whole_lab.ready_pods(namespace, "app=elsewhere", 3))
        assert "SchedulingDisabled" in whole_lab.kubectl("get", "nodes")
    finally:
        whole_lab.kubectl("patch", "node", "worker-1", "-p", '{"spec":{"unschedulable":false}}')


def test_a_pod_pinned_to_a_node_that_is_off_waits_without_a_storm(whole_lab: Lab, namespace: str) -> None:
    pinned = web("pinned", 2).replace(
        "terminationGracePeriodSeconds: 2",
        "terminationGracePeriodSeconds: 2\n      nodeSelector: {kubernetes.io/hostname: worker-2}",
    )
    whole_lab.apply(pinned, namespace)
    assert nodes(whole_lab.ready_pods(namespace, "app=pinned", 2)) == {"worker-2"}
    whole_lab.make("off", NODE="worker-2")
    whole_lab.await_node("worker-2", "Unknown")

    def replaced() -> bool:
        live = [p for p in whole_lab.pods(namespace) if "deletionTimestamp" not in p["metadata"]]
        return len(live) == 2 and all(p["status"]["phase"] == "Pending" for p in live)

    eventually("two pending replacements", replaced)
    waiting = names(whole_lab.pods(namespace))
    assert "worker-2" in refusal(whole_lab, namespace, sorted(waiting)[0])
    for _ in range(5):
        whole_lab.kubectl("get", "--raw", "/readyz")
        assert names(whole_lab.pods(namespace)) == waiting, "no storm of replacements"
    whole_lab.make("on", NODE="worker-2")
    assert names(whole_lab.ready_pods(namespace, "app=pinned", 2)) == waiting
