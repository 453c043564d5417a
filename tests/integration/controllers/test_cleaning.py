"""What is deleted because something else is: namespaces, owners, nodes; and what every namespace has."""

from __future__ import annotations

from typing import Any

import pytest

from controlplane.api.errors import ApiError
from controlplane.api.resources import (
    CONFIG_MAPS,
    NAMESPACES,
    NODES,
    PODS,
    REPLICATION_CONTROLLERS,
    SERVICE_ACCOUNTS,
    ResourceType,
)
from tests.integration.controllers.lab import Lab
from tests.support.waiting import eventually


def gone(lab: Lab, resource: ResourceType[Any], name: str, namespace: str = "") -> bool:
    try:
        lab.client.get(resource, name, namespace)
    except ApiError as error:
        if error.code == 404:
            return True
        raise
    return False


def config_map(lab: Lab, name: str, *owners: Any) -> Any:
    kind = {"apiVersion": "v1", "kind": "ConfigMap", "blockOwnerDeletion": True}
    refs = [{**kind, "name": owner.metadata.name, "uid": owner.metadata.uid} for owner in owners]
    return lab.client.create(CONFIG_MAPS, {"metadata": {"name": name, "ownerReferences": refs}}, "default")


def test_a_namespace_has_its_basics_and_goes_with_all_that_is_in_it(lab: Lab) -> None:
    machines = lab.machines(1)
    manager = lab.manager().wait_working()
    lab.server.kubectl("create", "namespace", "team")
    eventually("account", lambda: not gone(lab, SERVICE_ACCOUNTS, "default", "team"))
    eventually("CA", lambda: not gone(lab, CONFIG_MAPS, "kube-root-ca.crt", "team"))
    data = lab.client.get(CONFIG_MAPS, "kube-root-ca.crt", "team").data
    assert data == {"ca.crt": lab.server.ca.read_text()}
    lab.client.delete(CONFIG_MAPS, ("team", "kube-root-ca.crt"))
    eventually("the CA comes back", lambda: not gone(lab, CONFIG_MAPS, "kube-root-ca.crt", "team"))

    lab.server.kubectl("-n", "team", "run", "one", "--image=web")
    lab.server.kubectl("-n", "team", "create", "configmap", "mine")
    eventually("runs", lambda: lab.client.get(PODS, "one", "team").ready)
    machines["worker-1"].cut()
    lab.server.kubectl("delete", "namespace", "team", "--wait=false")

    def told() -> bool:
        conditions = lab.client.get(NAMESPACES, "team").status.conditions or []
        return any("pods has 1 resource instances" in c.message for c in conditions)

    eventually("it says what is left", told)
    machines["worker-1"].heal()
    eventually("gone", lambda: gone(lab, NAMESPACES, "team"))
    assert manager.said("Traceback") == 0


def test_deleting_an_owner_deletes_what_it_owns(lab: Lab) -> None:
    lab.machines(1)
    lab.manager().wait_working()
    lab.rc("web", 2)
    lab.ready(2, app="web")
    lab.server.kubectl("delete", "rc", "web")
    eventually("pods gone", lambda: lab.pods(app="web") == [])


def test_orphans_stay_and_are_adopted_by_the_next_owner(lab: Lab) -> None:
    lab.machines(1)
    lab.manager().wait_working()
    lab.rc("web", 2)
    before = {p.metadata.uid for p in lab.ready(2, app="web")}
    lab.server.kubectl("delete", "rc", "web", "--cascade=orphan")
    eventually("let go", lambda: all(not p.metadata.owner_references for p in lab.pods(app="web")))
    lab.rc("web", 2)
    eventually("adopted", lambda: all(p.metadata.owner_references for p in lab.pods(app="web")))
    assert {p.metadata.uid for p in lab.ready(2, app="web")} == before


def test_in_the_foreground_the_owner_goes_last(lab: Lab) -> None:
    machines = lab.machines(1)
    lab.manager().wait_working()
    lab.rc("web", 1)
    lab.ready(1, app="web")
    machines["worker-1"].cut()
    lab.client.delete(REPLICATION_CONTROLLERS, ("default", "web"), propagation="Foreground")
    eventually("its pod is terminating", lambda: all(p.terminating for p in lab.pods(app="web")))
    assert not gone(lab, REPLICATION_CONTROLLERS, "web", "default")
    machines["worker-1"].heal()
    eventually("gone", lambda: gone(lab, REPLICATION_CONTROLLERS, "web", "default"))
    assert lab.pods(app="web") == []


def test_owners_of_any_kind(lab: Lab) -> None:
    lab.manager().wait_working()
    a, b = config_map(lab, "a"), config_map(lab, "b")
    config_map(lab, "of-both", a, b)
    grandchild = config_map(lab, "of-a", a)
    config_map(lab, "of-of-a", grandchild)
    lab.client.delete(CONFIG_MAPS, ("default", "a"))
    eventually("family gone", lambda: gone(lab, CONFIG_MAPS, "of-of-a", "default"))
    assert gone(lab, CONFIG_MAPS, "of-a", "default")
    refs = eventually("detached", lambda: _refs(lab, "of-both", 1))
    assert [r.name for r in refs] == ["b"]
    ghost = config_map(lab, "ghost")
    lab.client.delete(CONFIG_MAPS, ("default", "ghost"))
    config_map(lab, "born-an-orphan", ghost)
    eventually("collected", lambda: gone(lab, CONFIG_MAPS, "born-an-orphan", "default"))


def _refs(lab: Lab, name: str, count: int) -> Any:
    refs = lab.client.get(CONFIG_MAPS, name, "default").metadata.owner_references or []
    return refs if len(refs) == count else None


def test_pods_of_a_node_that_does_not_exist_are_collected(lab: Lab) -> None:
    machines = lab.machines(2)
    lab.manager().wait_working()
    lab.rc("web", 2)
    lost = next(p for p in lab.ready(2, app="web") if p.spec.node_name == "worker-1")
    machines["worker-1"].stop()
    lab.client.delete(NODES, ("", "worker-1"))
    eventually("replaced", lambda: lost.metadata.uid not in {p.metadata.uid for p in lab.pods()})
    assert {p.spec.node_name for p in lab.ready(2, app="web")} == {"worker-2"}
    pod = {
        "metadata": {"name": "lost"},
        "spec": {"nodeName": "nowhere", "containers": [{"name": "c", "image": "web"}]},
    }
    lab.client.create(PODS, pod, "default")
    eventually("collected", lambda: gone(lab, PODS, "lost", "default"))


@pytest.mark.parametrize("kept", [20])
def test_the_newest_events_stay(lab: Lab, kept: int) -> None:
    from controlplane.api.profile import LAB
    from controlplane.api.resources import EVENTS
    from controlplane.client import SystemClock
    from controlplane.controllers.environment import Environment, Informers
    from controlplane.controllers.eventcap import EventCap

    for i in range(30):
        body = {"metadata": {"name": f"e{i}"}, "involvedObject": {"kind": "Pod", "name": "x", "namespace": "default"}}
        lab.client.create(EVENTS, {**body, "reason": "Test", "message": str(i), "type": "Normal"}, "default")
    env = Environment(lab.client, Informers(lab.client), SystemClock(), LAB, on_stale=lambda: None)
    EventCap(env, kept).reconcile(("", "events"))
    left = {e.metadata.name for e in lab.client.list(EVENTS, "default").items}
    assert left == {f"e{i}" for i in range(10, 30)}
