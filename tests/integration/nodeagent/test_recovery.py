"""Things die: the agent, containerd, the sandbox. Containers suffer no more than they must."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nodeagent import cutoff
from tests.integration.nodeagent import machine as machines
from tests.integration.nodeagent.node import Node

pytestmark = pytest.mark.root

SLEEP = {"name": "c", "command": ["sleep", "1000"]}


def test_a_killed_agent_comes_back_and_touches_nothing(node: Node) -> None:
    node.create("stays", SLEEP)
    node.create("goes", SLEEP)
    node.wait_running("stays")
    node.wait_running("goes")
    before = node.containers()
    node.kill()
    node.delete("goes")
    node.start()
    node.wait_gone("goes")
    stayed = {name: pid for name, pid in before.items() if "_stays_" in name}
    assert node.containers() == stayed
    assert node.status("stays")["restartCount"] == 0


def test_a_container_that_died_while_the_agent_was_away_is_restarted(node: Node) -> None:
    node.create("dies", SLEEP)
    node.wait_running("dies")
    node.kill()
    name = next(n for n in node.containers() if n.startswith("k8s_c_dies"))
    node.machine.ctl("kill", "--signal", "KILL", name)
    node.start()
    node.wait("it was restarted", lambda: node.status("dies").get("restartCount") == 1)
    node.wait_running("dies")
    assert node.status("dies")["lastState"]["terminated"]["exitCode"] == 137


def test_pods_that_the_api_forgot_are_removed(node: Node) -> None:
    node.create("forced", SLEEP)
    node.wait_running("forced")
    node.delete("forced", grace_s=0)
    node.wait("nothing runs", lambda: node.leftovers() == [])


def test_containerd_killed_is_adopted_again(node: Node) -> None:
    node.create("stays", SLEEP)
    node.wait_running("stays")
    before = node.containers()
    machines.restart_containerd(node.machine)
    assert node.containers() == before
    node.create("after", SLEEP)
    node.wait_running("after")
    node.delete("stays")
    node.wait_gone("stays")


def test_a_dead_sandbox_takes_its_containers_along_and_both_come_back(node: Node) -> None:
    node.create("box", SLEEP)
    node.wait_running("box")
    name, pid = next((n, p) for n, p in node.containers().items() if n.startswith("k8s_POD_box"))
    node.machine.ctl("kill", "--signal", "KILL", name)
    node.wait(
        "a new sandbox", lambda: any(n.startswith("k8s_POD_box") and p != pid for n, p in node.containers().items())
    )
    node.wait("restarted", lambda: node.status("box").get("restartCount") == 1)
    node.wait_running("box")


def test_term_is_honoured_and_then_comes_kill(node: Node) -> None:
    polite = "trap 'echo bye; exit 0' TERM; while :; do sleep 0.1; done"
    node.create("polite", {"name": "c", "command": ["sh", "-c", polite]}, terminationGracePeriodSeconds=30)
    node.create("deaf", {"name": "c", "command": ["sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"]})
    node.wait_running("polite")
    node.wait_running("deaf")
    node.delete("polite")
    node.delete("deaf", grace_s=1)
    node.wait_gone("polite")
    node.wait_gone("deaf")


def test_the_fence_stops_everything_and_the_agent_recovers(node: Node) -> None:
    """Carried out on the real machine: the mark, the public address, every process; then the way back."""
    node.create("fenced", SLEEP)
    node.wait_running("fenced")
    node.machine.run("ip", "addr", "add", "10.77.0.200/32", "dev", "kubelab0", "label", "kubelab0:lb")
    node.machine.run("ip", "addr", "add", "10.77.0.201/32", "dev", "kubelab0")
    pids = node.containers().values()
    done = cutoff.fence(node.folder / "run", node.machine.cgroup_parent, "a test")
    assert "10.77.0.200" in done
    assert "processes left: 0" in done
    assert all(_dead(pid) for pid in pids)
    addresses = node.machine.run("ip", "-o", "addr", "show", "dev", "kubelab0")
    assert "10.77.0.200" not in addresses
    assert "10.77.0.201" in addresses
    node.machine.run("ip", "addr", "del", "10.77.0.201/32", "dev", "kubelab0")
    node.wait("the mark is gone", lambda: not cutoff.is_marked(node.folder / "run"))
    node.wait("it runs again", lambda: node.status("fenced").get("restartCount") == 1)
    node.wait_running("fenced")


def _dead(pid: str) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state in ("Z", "X")


def test_the_watchdog_fences_when_the_agent_is_stopped(node: Node) -> None:
    """The agent is armed by a second worker in the node list, then stopped; the watchdog kills its pods."""
    config = node.folder / "agent.toml"
    watchdog = subprocess.Popen([sys.executable, "-m", "nodeagent.watchdog", "--config", str(config)])
    other = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "worker-2"}}
    try:
        assert node.api.post("/api/v1/nodes", json=other).status_code == 201
        node.create("fenced", SLEEP)
        node.wait_running("fenced")
        pids = list(node.containers().values())
        node.wait("the watchdog listens", (node.folder / "run/watchdog.sock").exists)
        node.wait("the agent has renewed since", lambda: _renewals(node) >= 2)
        assert node.process is not None
        node.process.send_signal(signal.SIGSTOP)
        node.wait("all is killed", lambda: all(_dead(pid) for pid in pids))
        assert cutoff.is_marked(node.folder / "run")
        node.process.send_signal(signal.SIGCONT)
        node.wait("the mark is gone", lambda: not cutoff.is_marked(node.folder / "run"))
        node.wait("it runs again", lambda: node.status("fenced").get("restartCount") == 1)
    finally:
        watchdog.terminate()
        watchdog.wait(10)
        node.api.delete("/api/v1/nodes/worker-2")


def _renewals(node: Node, seen: set[str] = set()) -> int:  # noqa: B006  # counts over the calls of one test
    lease = node.api.get("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/worker-1").json()
    seen.add(lease["spec"]["renewTime"])
    return len(seen)
