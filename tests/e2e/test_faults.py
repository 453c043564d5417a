"""Daemons are killed while they work: containers stay, nothing acknowledged is lost, nothing is done twice."""

from __future__ import annotations

import pytest

from tests.e2e.support import Lab, eventually, uids, web

UNITS = {
    "agent": ("worker-1", "kubelab-nodeagent"),
    "containerd": ("worker-1", "containerd"),
    "proxy": ("worker-1", "kubelab-proxy"),
    "api server": ("master", "kubelab-apiserver"),
    "manager": ("master", "kubelab-manager"),
    "redis": ("master", "kubelab-redis"),
    "lease redis": ("master", "kubelab-redis-leases"),
}


def started(lab: Lab, namespace: str) -> dict[str, tuple[int, str]]:
    """Of each pod: restarts, and when its container started."""
    found = {}
    for pod in lab.pods(namespace):
        status = pod["status"]["containerStatuses"][0]
        found[pod["metadata"]["uid"]] = (status["restartCount"], status["state"]["running"]["startedAt"])
    return found


@pytest.mark.parametrize("unit", UNITS)
def test_a_killed_daemon_comes_back_and_no_container_notices(whole_lab: Lab, namespace: str, unit: str) -> None:
    lab = whole_lab
    node, service = UNITS[unit]
    lab.apply(web("steady", 3), namespace)
    lab.ready_pods(namespace, "app=steady", 3)
    before = started(lab, namespace)
    old_pid = lab.ssh(node, f"systemctl show -P MainPID {service}").strip()
    lab.ssh(node, f"kill -9 {old_pid}")

    def back() -> bool:
        state = lab.ssh(node, f"systemctl show -P ActiveState -P MainPID {service}").split()
        return "active" in state and old_pid not in state

    eventually(f"{service} is back", back)
    eventually("the API answers", lambda: lab.kubectl("get", "--raw", "/readyz"))
    for machine in ("master", "worker-1", "worker-2", "worker-3"):
        lab.await_node(machine, "True")
    lab.kubectl("scale", "rc/steady", "-n", namespace, "--replicas=4")
    lab.ready_pods(namespace, "app=steady", 4)
    after = started(lab, namespace)
    assert {uid: after.get(uid) for uid in before} == before


def test_acknowledged_writes_survive_a_kill_of_server_and_store(whole_lab: Lab, namespace: str) -> None:
    lab = whole_lab
    written = []
    for number in range(30):
        if number in (10, 20):
            victim = "kubelab-apiserver" if number == 10 else "kubelab-redis"
            lab.ssh("master", f"systemctl kill -s KILL {victim}")
        name = f"note-{number}"
        done = lab.spawn("create", "configmap", name, "-n", namespace, f"--from-literal=n={number}")
        done.communicate(timeout=60)
        if done.returncode == 0:
            written.append(name)
    eventually("the API is back", lambda: "ok" in lab.kubectl("get", "--raw", "/readyz"))
    kept = {c["metadata"]["name"] for c in lab.get("configmaps", "-n", namespace)["items"]}
    assert set(written) <= kept
    assert len(written) >= 20


def test_a_power_cut_of_the_whole_lab_loses_nothing(whole_lab: Lab, namespace: str) -> None:
    lab = whole_lab
    lab.apply(web("kept", 3), namespace)
    before = uids(lab.ready_pods(namespace, "app=kept", 3))
    lab.kubectl("create", "configmap", "memo", "-n", namespace, "--from-literal=a=b")
    lab.make("off", NODE="master,worker-1,worker-2,worker-3")
    lab.make("up", timeout_s=600)
    assert lab.get("configmap", "memo", "-n", namespace)["data"] == {"a": "b"}
    assert uids(lab.ready_pods(namespace, "app=kept", 3, timeout_s=180)) == before, "the same pods, not new ones"
