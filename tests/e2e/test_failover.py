"""A worker loses its power or its network: its pods run elsewhere, nothing runs twice, nothing sticks."""

from __future__ import annotations

import pytest

from tests.e2e import records
from tests.e2e.support import Lab, eventually, names, nodes, uids, web
from tests.e2e.test_services import announcer, public_address, published

WORKERS = ["worker-1", "worker-2", "worker-3"]


def running_containers(lab: Lab, node: str, namespace: str) -> set[str]:
    """The uids of the pods of `namespace` that have a running container on the node, by the machine's own word."""
    command = (
        f"for c in $(nerdctl ps -q --filter label=io.kubernetes.pod.namespace={namespace}); do "
        "nerdctl inspect --format '{{index .Config.Labels \"io.kubernetes.pod.uid\"}}' $c; done"
    )
    return set(lab.ssh(node, command).split())


def nothing_runs_twice(lab: Lab, namespace: str) -> None:
    """Each running container belongs to a pod of the API that is bound to that very node."""

    def probe() -> bool:
        pods = {p["metadata"]["uid"]: p["spec"].get("nodeName") for p in lab.pods(namespace)}
        found = {(uid, node) for node in WORKERS for uid in running_containers(lab, node, namespace)}
        return found <= set(pods.items()) and {uid for uid, _ in found} == set(pods)

    eventually("every container where the API says, and no other", probe)


@pytest.mark.parametrize("how", ["off", "cut"])
def test_pods_of_a_lost_worker_run_elsewhere(whole_lab: Lab, namespace: str, how: str) -> None:
    lab = whole_lab
    published(lab, namespace, 4)
    public = public_address(lab, namespace)
    before = lab.pods(namespace)
    lost = next(iter(sorted(nodes(before))))
    doomed = {p["metadata"]["uid"] for p in before if p["spec"]["nodeName"] == lost}
    lab.make(how, NODE=lost)
    lab.await_node(lost, "Unknown")
    eventually("no pod on the lost worker", lambda: not doomed & uids(lab.pods(namespace)))
    after = lab.ready_pods(namespace, "app=shop", 4)
    assert lost not in nodes(after)
    assert len(uids(after) & uids(before)) == 4 - len(doomed), "the others were left alone"
    eventually("the Service answers from all", lambda: lab.answers(f"http://{public}/") == names(after))
    reasons = [reason for reason, _ in lab.events(namespace)]
    assert "TaintManagerEviction" in reasons
    assert "NodeNotReady" in [reason for reason, text in lab.events("default") if lost in text]

    lab.make("on" if how == "off" else "heal", NODE=lost)
    lab.await_node(lost, "True")
    nothing_runs_twice(lab, namespace)
    assert uids(lab.ready_pods(namespace, "app=shop", 4)) == uids(after), "the return moved nothing"


@pytest.mark.parametrize("lost", [["worker-1"], ["worker-1", "worker-2"]], ids=["one cut", "two cut"])
def test_old_copies_stop_before_new_ones_start(whole_lab: Lab, namespace: str, lost: list[str]) -> None:
    lab = whole_lab
    lab.apply(web("fenced", 4), namespace)
    before = lab.ready_pods(namespace, "app=fenced", 4)
    old = {c["containerID"].split("//")[1] for p in before if p["spec"]["nodeName"] in lost
           for c in p["status"]["containerStatuses"]}  # fmt: skip
    assert old
    records.start_recording(lab, WORKERS)
    lab.make("cut", NODE=",".join(lost))
    for node in lost:
        lab.await_node(node, "Unknown")
    after = lab.ready_pods(namespace, "app=fenced", 4)
    new = {c["containerID"].split("//")[1] for p in after for c in p["status"]["containerStatuses"]
           if p["metadata"]["uid"] not in uids(before)}  # fmt: skip
    lab.make("heal", NODE=",".join(lost))
    for node in lost:
        lab.await_node(node, "True")
    seen = records.stop_recording(lab, WORKERS)
    stopped = {r.container: r.at for r in seen if r.topic == "/tasks/exit" and r.container in old}
    started = {r.container: r.at for r in seen if r.topic == "/tasks/start" and r.container in new}
    assert set(stopped) == old, "every old copy stopped on its cut machine"
    assert set(started) == new
    assert max(stopped.values()) < min(started.values()), "the old copies had stopped before the new ones started"
    nothing_runs_twice(lab, namespace)


@pytest.mark.parametrize("how", ["off", "cut"])
def test_a_public_address_moves_when_its_announcer_is_lost(whole_lab: Lab, namespace: str, how: str) -> None:
    lab = whole_lab
    published(lab, namespace, 3)
    public = public_address(lab, namespace)
    first = eventually("an announcer", lambda: announcer(lab, namespace))
    eventually("an answer", lambda: lab.answers(f"http://{public}/", 3))
    lab.make(how, NODE=first)
    second = eventually("another announcer", lambda: announcer(lab, namespace) not in ("", first) and
                        announcer(lab, namespace))  # fmt: skip
    eventually("an answer again", lambda: lab.answers(f"http://{public}/", 3))
    lab.make("on" if how == "off" else "heal", NODE=first)
    lab.await_node(first, "True")
    holders = [node for node in WORKERS if f" {public}/" in lab.ssh(node, "ip -4 -o addr")]
    assert holders == [announcer(lab, namespace)], (
        f"one holder only, not {holders}; it moved from {first} to {second}"
    )


def test_pods_and_services_outlive_the_master(whole_lab: Lab, namespace: str) -> None:
    lab = whole_lab
    pods = published(lab, namespace, 3)
    public = public_address(lab, namespace)
    eventually("all answer", lambda: lab.answers(f"http://{public}/") == pods)
    before = {p["metadata"]["uid"]: restarts(p) for p in lab.pods(namespace)}
    lab.make("off", NODE="master")
    for _ in range(8):  # well past every deadline of the fence
        assert lab.answers(f"http://{public}/", 20) == pods
        lab.client("sleep 1")
    lab.make("on", NODE="master")
    eventually("the API is back", lambda: "ok" in lab.kubectl("get", "--raw", "/readyz", check=False), 120)
    lab.await_node("master", "True", 120)
    for node in WORKERS:
        lab.await_node(node, "True")
    assert {p["metadata"]["uid"]: restarts(p) for p in lab.ready_pods(namespace, "app=shop", 3)} == before
    assert lab.answers(f"http://{public}/") == pods
    assert not [text for reason, text in lab.events(namespace) if reason == "TaintManagerEviction"]


def restarts(pod: dict[str, object]) -> int:
    statuses = pod["status"]["containerStatuses"]  # type: ignore[index]  # an API object as kubectl prints it
    return sum(status["restartCount"] for status in statuses)
