"""A node falls silent: Unknown, endpoints out, pods replaced, and what happens when it returns."""

from __future__ import annotations

import time
from typing import Any

from controlplane.api.resources import ENDPOINT_SLICES, NODES, PODS
from tests.integration.controllers.lab import Lab
from tests.support.waiting import eventually


def service(lab: Lab, name: str, **spec: Any) -> None:
    body = {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080}], **spec}
    lab.create(
        "/api/v1/namespaces/default/services",
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": body},
    )


def ready_nodes(lab: Lab, name: str) -> set[str]:
    """The nodes of the Service's ready endpoints."""
    slices = lab.client.list(ENDPOINT_SLICES, "default", label_selector=f"kubernetes.io/service-name={name}").items
    return {e.node_name or "" for s in slices for e in s.endpoints if e.conditions.ready}


def node_ready(lab: Lab, name: str) -> str:
    conditions = lab.client.get(NODES, name).status.conditions or []
    return next(c.status for c in conditions if c.type == "Ready")


def taints(lab: Lab, name: str) -> list[tuple[str, str]]:
    return [(t.key.rpartition("/")[2], t.effect) for t in lab.client.get(NODES, name).spec.taints or ()]


def test_a_lost_node_is_found_emptied_and_welcomed_back(lab: Lab) -> None:
    machines = lab.machines(3)
    manager = lab.manager().wait_working()
    lab.rc("web", 3)
    service(lab, "web")
    pods = {p.spec.node_name: p for p in lab.ready(3, app="web")}
    assert set(pods) == {"worker-1", "worker-2", "worker-3"}
    eventually("all stand behind the service", lambda: ready_nodes(lab, "web") == set(pods))

    machines["worker-1"].cut()
    off = time.monotonic()
    eventually("its endpoint is out", lambda: ready_nodes(lab, "web") == {"worker-2", "worker-3"})
    out_s = time.monotonic() - off
    eventually("Unknown", lambda: node_ready(lab, "worker-1") == "Unknown")
    eventually("replaced", lambda: pods["worker-1"].metadata.uid not in {p.metadata.uid for p in lab.pods(app="web")})
    gone_s = time.monotonic() - off
    replaced = lab.ready(3, app="web")
    back_s = time.monotonic() - off
    print(f"\nendpoint out {out_s:.2f} s, pod evicted {gone_s:.2f} s, replacement ready {back_s:.2f} s after the cut")
    assert {p.spec.node_name for p in replaced} == {"worker-2", "worker-3"}
    eventually("it answers from all three", lambda: len(addresses(lab, "web")) == 3)
    assert taints(lab, "worker-1") == [("unreachable", "NoSchedule"), ("unreachable", "NoExecute")]
    lost = pods["worker-1"].metadata.name
    eventually("events", lambda: lab.events("TaintManagerEviction") and lab.events("NodeNotReady", "worker-1"))
    assert lab.events("TaintManagerEviction") == [f"Marking for deletion Pod default/{lost}"]
    assert lab.events("NodeNotReady", "worker-1")[0].startswith("Node worker-1 status is now: NodeNotReady (no lease")
    assert lab.events("NodeNotReady", lost) == ["Node is not ready"]

    machines["worker-1"].heal()
    eventually("its taints go", lambda: taints(lab, "worker-1") == [])
    lab.rc("late", 3)
    assert "worker-1" in {p.spec.node_name for p in lab.ready(3, app="late")}
    assert {p.metadata.uid for p in lab.ready(3, app="web")} == {p.metadata.uid for p in replaced}
    assert manager.said("Traceback") == 0


def addresses(lab: Lab, name: str) -> set[str]:
    slices = lab.client.list(ENDPOINT_SLICES, "default", label_selector=f"kubernetes.io/service-name={name}").items
    return {e.addresses[0] for s in slices for e in s.endpoints if e.conditions.ready}


def test_when_the_agents_cannot_reach_the_api_nothing_is_evicted(lab: Lab) -> None:
    machines = lab.machines(2)
    manager = lab.manager().wait_working()
    lab.rc("web", 2)
    before = {p.metadata.uid for p in lab.ready(2, app="web")}
    for machine in machines.values():
        machine.cut()
    time.sleep(5.0)
    for machine in machines.values():
        machine.heal()
    eventually("all timers start again", lambda: manager.said("node-timers-restart") == 1)
    assert manager.said("node-unknown") == 0
    assert {p.metadata.uid for p in lab.ready(2, app="web")} == before


def test_when_the_api_is_away_nothing_is_evicted(lab: Lab) -> None:
    machines = lab.machines(2)
    manager = lab.manager().wait_working()
    lab.rc("web", 2)
    before = {p.metadata.uid for p in lab.ready(2, app="web")}
    lab.server.kill()
    eventually("a leader without its lease ends", lambda: manager.process and manager.process.poll() == 3)
    manager.start()
    time.sleep(3.0)
    lab.server.start()
    manager.wait_working(2)
    time.sleep(5.0)
    assert manager.said("node-unknown") == 0
    assert {p.metadata.uid for p in lab.ready(2, app="web")} == before
    machines["worker-1"].cut()
    eventually("but a node alone is still found", lambda: node_ready(lab, "worker-1") == "Unknown")


def test_when_most_workers_are_lost_at_once_evictions_stop(lab: Lab) -> None:
    machines = lab.machines(3)
    manager = lab.manager().wait_working()
    lab.rc("web", 3)
    before = {p.metadata.uid: p.spec.node_name for p in lab.ready(3, app="web")}
    for name in ("worker-1", "worker-2", "worker-3"):
        machines[name].cut()
    eventually("all are lost", lambda: manager.said("node-unknown") == 3)
    time.sleep(3.0)
    assert {p.metadata.uid for p in lab.pods(app="web")} == set(before)
    assert manager.said("evictions action=stop") == 1
    eventually("it says so", lambda: lab.events("EvictionsStopped", "worker-1"))

    machines["worker-1"].heal()
    eventually("they go on", lambda: manager.said("evictions action=resume") == 1)
    assert {p.metadata.uid for p in lab.pods(app="web")} == set(before)
    pods = lab.ready(3, app="web")
    assert {p.spec.node_name for p in pods} == {"worker-1"}
    assert {uid for uid, node in before.items() if node == "worker-1"} <= {p.metadata.uid for p in pods}


def test_a_terminating_pod_of_a_lost_node_does_not_stick(lab: Lab) -> None:
    machines = lab.machines(2)
    lab.manager().wait_working()
    lab.rc("web", 2)
    lost = next(p for p in lab.ready(2, app="web") if p.spec.node_name == "worker-1")
    machines["worker-1"].cut()
    lab.client.delete(PODS, lost.key)
    eventually("gone", lambda: lost.metadata.uid not in {p.metadata.uid for p in lab.pods()}, timeout_s=10)


def test_in_the_upstream_profile_a_lost_pod_waits_for_its_agent(lab: Lab) -> None:
    """Its timers are long, so a person's taint stands in for the time-out."""
    machines = lab.machines(2)
    lab.manager(profile="kubernetes").wait_working()
    lab.rc("web", 2)
    lost = next(p for p in lab.ready(2, app="web") if p.spec.node_name == "worker-1")
    machines["worker-1"].cut()
    lab.server.kubectl("taint", "node", "worker-1", "power=off:NoExecute")
    eventually("terminating", lambda: lab.client.get(PODS, lost.metadata.name, "default").terminating)
    eventually("replaced beside it", lambda: sum(p.ready and not p.terminating for p in lab.pods(app="web")) == 2)
    assert lab.client.get(PODS, lost.metadata.name, "default").metadata.uid == lost.metadata.uid
    machines["worker-1"].heal()
    eventually("gone", lambda: lost.metadata.uid not in {p.metadata.uid for p in lab.pods()})
