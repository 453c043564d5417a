"""The API alone is away, the master's machine is not: pods and Services go on, and its return changes nothing."""

from __future__ import annotations

from tests.e2e.support import Lab, eventually, names
from tests.e2e.test_faults import started
from tests.e2e.test_services import public_address, published


def test_pods_and_services_outlive_the_api(whole_lab: Lab, namespace: str) -> None:
    """Fault 8: the agents find that none of them reaches it, so no one fences itself; nothing is evicted after it."""
    lab = whole_lab
    workers = [n["metadata"]["name"] for n in lab.get("nodes")["items"] if n["metadata"]["name"] != "master"]
    pods = published(lab, namespace, 3)
    public = public_address(lab, namespace)
    eventually("all answer", lambda: lab.answers(f"http://{public}/") == pods)
    before = started(lab, namespace)
    lab.ssh("master", "systemctl stop kubelab-apiserver")
    try:
        for _ in range(8):  # well past every deadline of the fence
            assert lab.answers(f"http://{public}/", 20) == pods
            lab.client("sleep 1")
    finally:
        lab.ssh("master", "systemctl start kubelab-apiserver")
    eventually("the API is back", lambda: "ok" in lab.kubectl("get", "--raw", "/readyz", check=False))
    for node in workers:
        lab.await_node(node, "True")
    assert names(lab.ready_pods(namespace, "app=shop", 3)) == pods
    assert started(lab, namespace) == before
    assert not [text for reason, text in lab.events(namespace) if reason == "TaintManagerEviction"]
