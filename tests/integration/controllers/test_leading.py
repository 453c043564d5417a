"""One leader at a time: managers that are killed, stopped and continued, and what the store refuses."""

from __future__ import annotations

import signal
import time

import pytest

from controlplane.api.errors import ApiError
from controlplane.api.quantity import milli
from controlplane.api.resources import CONFIG_MAPS, PODS
from controlplane.api.types import Pod
from controlplane.client import Informer
from tests.integration.controllers.lab import Lab, client_of
from tests.support.waiting import eventually


def test_a_stale_leader_ends_and_its_writes_are_refused(lab: Lab) -> None:
    lab.machines(2)
    first = lab.manager("one").wait_working()
    lab.rc("web", 2)
    before = {p.metadata.uid for p in lab.ready(2, app="web")}
    second = lab.manager("two")
    time.sleep(1.0)
    assert second.said("working ") == 0

    first.signal(signal.SIGSTOP)
    second.wait_working()
    lab.rc("more", 2)
    lab.ready(2, app="more")
    first.signal(signal.SIGCONT)
    assert first.process is not None
    assert first.process.wait(timeout=10) == 3
    assert first.said("create-pod key=default/more") == 0
    assert {p.metadata.uid for p in lab.ready(2, app="web")} == before

    stale = client_of(lab.server, "controllers")
    stale.lead("manager", 1)
    with pytest.raises(ApiError) as refused:
        stale.create(CONFIG_MAPS, {"metadata": {"name": "late"}}, "default")
    assert (refused.value.code, refused.value.reason) == (409, "StaleTerm")


def test_a_standby_takes_over_at_once_from_a_leader_that_ends_in_order(lab: Lab) -> None:
    first = lab.manager("one", lease_duration_s=20.0).wait_working()
    second = lab.manager("two", lease_duration_s=20.0)
    assert first.stop() == 0
    eventually("it leads", lambda: second.said("working "), timeout_s=15)


def test_a_scheduler_killed_between_choosing_and_binding_binds_nothing_twice(lab: Lab) -> None:
    lab.machines(2, cpu="1")
    bound: dict[str, list[str]] = {}

    def watch(_old: Pod | None, new: Pod | None) -> None:
        if new is not None and new.spec.node_name:
            seen = bound.setdefault(new.metadata.name, [])
            if seen[-1:] != [new.spec.node_name]:
                seen.append(new.spec.node_name)

    watcher = Informer(client_of(lab.server, "admin"), PODS, "default")
    watcher.add_handler(watch)
    watcher.start()
    manager = lab.manager().wait_working()
    for attempt in range(4):
        for number in range(5):
            container = {"name": "c", "image": "web", "resources": {"requests": {"cpu": "150m"}}}
            meta = {"name": f"p{attempt}-{number}"}
            pod = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"containers": [container]}}
            lab.create("/api/v1/namespaces/default/pods", pod)
        time.sleep(0.004 * attempt)
        assert manager.process is not None
        manager.process.kill()
        manager.process.wait()
        manager.start().wait_working(attempt + 2)
    eventually("as many placed as fit", lambda: len(bound) == 12)
    time.sleep(1.5)
    watcher.stop()
    assert all(len(nodes) == 1 for nodes in bound.values())
    assert len(bound) == 12
    for node in ("worker-1", "worker-2"):
        there = [p for p in lab.pods() if p.spec.node_name == node]
        requests = [p.spec.containers[0].resources.requests or {} for p in there]
        assert sum(milli(asked["cpu"]) for asked in requests) <= 1000


def test_a_bad_configuration_is_one_line_and_exit_code_2(lab: Lab) -> None:
    manager = lab.manager(load_balancer_pool="10.0.0.9-10.0.0.1")
    assert manager.process is not None
    assert manager.process.wait(timeout=10) == 2
    assert manager.log.read_text() == (
        f"kubelab-manager: {manager.config}: pool of public addresses: "
        "'10.0.0.9-10.0.0.1' is no range from a lower to a higher one\n"
    )
