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


def same(lab: Lab, node: str, counts: list[int]) -> bool:
    return leftovers(lab, node) == counts


def test_pods_leave_nothing_behind(lab: Lab, namespace: str) -> None:
    before = {node: leftovers(lab, node) for node in ("worker-1", "worker-2", "worker-3")}
    lab.apply(web("wave", 9), namespace)
    lab.ready_pods(namespace, "app=wave", 9)
    lab.kubectl("delete", "rc", "wave", "-n", namespace)
    eventually("no pods", lambda: lab.pods(namespace) == [])
    for node, counts in before.items():
        eventually(f"{node} as before: {counts}", partial(same, lab, node, counts))
