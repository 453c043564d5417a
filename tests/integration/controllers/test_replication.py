"""A ReplicationController's life against the real API."""

from __future__ import annotations

from controlplane.api.resources import PODS, REPLICATION_CONTROLLERS
from tests.integration.controllers.lab import Lab
from tests.support.waiting import eventually


def test_the_life_of_a_replication_controller(lab: Lab) -> None:
    lab.machines(2)
    manager = lab.manager().wait_working()
    lab.rc("web", 3)
    pods = lab.ready(3, app="web")
    assert {p.spec.node_name for p in pods} == {"worker-1", "worker-2"}
    assert all(p.metadata.annotations and "kubelab.io/placement" in p.metadata.annotations for p in pods)

    def status(name: str) -> int:
        return int(getattr(lab.client.get(REPLICATION_CONTROLLERS, "web", "default").status, name))

    eventually("status", lambda: status("ready_replicas") == 3 and status("available_replicas") == 3)
    assert sorted(lab.events("SuccessfulCreate", "web")) == sorted(f"Created pod: {p.metadata.name}" for p in pods)
    one = pods[0].metadata.name
    eventually("event", lambda: lab.events("Scheduled", one))
    assert lab.events("Scheduled", one) == [f"Successfully assigned default/{one} to {pods[0].spec.node_name}"]

    lab.server.kubectl("label", "pod", one, "app=other", "--overwrite")
    replaced = lab.ready(3, app="web")
    assert one not in {p.metadata.name for p in replaced}
    eventually("released", lambda: not lab.client.get(PODS, one, "default").metadata.owner_references)

    lab.server.kubectl("label", "pod", one, "app=web", "--overwrite")
    eventually(
        "adopted, and one too many goes", lambda: len([p for p in lab.pods(app="web") if not p.terminating]) == 3
    )
    lab.server.kubectl("scale", "rc", "web", "--replicas=1")
    lab.ready(1, app="web")
    assert manager.said("Traceback") == 0


def test_a_controller_that_restarts_creates_and_deletes_nothing(lab: Lab) -> None:
    lab.machines(2)
    manager = lab.manager().wait_working()
    lab.rc("web", 4)
    before = {p.metadata.uid for p in lab.ready(4, app="web")}
    for times in (2, 3):
        assert manager.process is not None
        manager.process.kill()
        manager.process.wait()
        manager.start().wait_working(times)
        assert {p.metadata.uid for p in lab.ready(4, app="web")} == before
    assert manager.said("create-pod") == 4
    assert manager.said("delete-pod") == 0
    assert manager.said("evict ") == 0
