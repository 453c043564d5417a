"""Pods come and go and leave nothing behind on their machine."""

from __future__ import annotations

from functools import partial

from tests.e2e.support import Lab, eventually, web

_COUNT = """
nerdctl ps -aq | wc -l
ls -d /sys/fs/cgroup/kubelab/pod* /sys/fs/cgroup/*/kubelab/pod* 2>/dev/null | wc -l
ip -o link | grep -c veth
mount | grep -c /var/lib/kubelet
ls /run/cni/networks/kubelab 2>/dev/null | grep -c '^10'
ls /var/lib/kubelet/pods 2>/dev/null | wc -l
"""


def leftovers(lab: Lab, node: str) -> list[int]:
    """Containers, pod cgroups, veths, mounts, address leases and pod folders on the node."""
    return [int(word) for word in lab.ssh(node, _COUNT.replace("\n", ";").strip(";") + "; true").split()]


def settled(lab: Lab, node: str) -> bool:
    """Whether all containers and pod folders on the node are of pods that the API has: earlier tests left nothing."""
    pods = {p["metadata"]["uid"] for p in lab.get("pods", "-A")["items"]}
    label = '{{index .Config.Labels "io.kubernetes.pod.uid"}}'
    found = lab.ssh(
        node, f"ls /var/lib/kubelet/pods; for c in $(nerdctl ps -aq); do nerdctl inspect -f '{label}' $c; done"
    )
    return set(found.split()) <= pods


def same(lab: Lab, node: str, counts: list[int]) -> bool:
    return leftovers(lab, node) == counts


def test_pods_leave_nothing_behind(lab: Lab, namespace: str) -> None:
    workers = ("worker-1", "worker-2", "worker-3")
    for node in workers:
        eventually(f"{node} without what earlier tests left", partial(settled, lab, node))
    before = {node: leftovers(lab, node) for node in workers}
    lab.apply(web("wave", 9), namespace)
    lab.ready_pods(namespace, "app=wave", 9)
    lab.kubectl("delete", "rc", "wave", "-n", namespace)
    eventually("no pods", lambda: lab.pods(namespace) == [])
    for node, counts in before.items():
        eventually(f"{node} as before: {counts}", partial(same, lab, node, counts))
