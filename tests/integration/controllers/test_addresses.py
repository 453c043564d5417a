"""A public address: given, announced, moved when its announcer falls silent, and the words while there is none."""

from __future__ import annotations

import time
from typing import Any

from controlplane.api.resources import SERVICES
from controlplane.api.types import Service
from tests.integration.controllers.lab import Lab
from tests.support.waiting import eventually

ANNOTATION = "kubelab.io/announced-by"


def service(lab: Lab, name: str, **spec: Any) -> None:
    body = {"selector": {"app": name}, "ports": [{"port": 80}], "type": "LoadBalancer", **spec}
    lab.create(
        "/api/v1/namespaces/default/services",
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": body},
    )


def get(lab: Lab, name: str) -> Service:
    return lab.client.get(SERVICES, name, "default")


def address(lab: Lab, name: str) -> str:
    return next((i.ip for i in get(lab, name).status.load_balancer.ingress or ()), "")


def announcer(lab: Lab, name: str) -> str:
    return (get(lab, name).metadata.annotations or {}).get(ANNOTATION, "")


def condition(lab: Lab, name: str) -> tuple[str, str]:
    found = [c for c in get(lab, name).status.conditions or () if c.type == "kubelab.io/Announced"]
    return (found[0].status, found[0].reason) if found else ("", "")


def test_the_life_of_a_public_address(lab: Lab) -> None:
    machines = lab.machines(2)
    manager = lab.manager(load_balancer_pool="10.77.0.200-10.77.0.201").wait_working()
    service(lab, "a")
    assert eventually("address", lambda: address(lab, "a")) == "10.77.0.200"
    by = eventually("announcer", lambda: announcer(lab, "a"))
    assert by == "worker-1"
    eventually("event", lambda: lab.events("Announced", "a") == ["worker-1 announces 10.77.0.200"])
    assert condition(lab, "a") == ("True", "Announced")

    service(lab, "b")
    service(lab, "c")
    eventually("spread", lambda: announcer(lab, "b") == "worker-2")
    eventually("the pool is used up", lambda: condition(lab, "c") == ("False", "PoolExhausted"))
    assert address(lab, "c") == ""

    machines["worker-1"].cut()
    off = time.monotonic()
    eventually("it moves", lambda: announcer(lab, "a") == "worker-2")
    print(f"\nthe address moved {time.monotonic() - off:.2f} s after the cut")
    assert address(lab, "a") == "10.77.0.200"
    eventually("event", lambda: "worker-2 announces 10.77.0.200" in lab.events("Announced", "a"))
    lab.client.delete(SERVICES, ("default", "a"))
    eventually("the next in line gets it", lambda: address(lab, "c") == "10.77.0.200")

    machines["worker-2"].cut()
    eventually("nobody is left", lambda: condition(lab, "b") == ("False", "NoHealthyWorker"))
    machines["worker-1"].heal()
    eventually("back", lambda: announcer(lab, "b") == "worker-1" and condition(lab, "b") == ("True", "Announced"))
    lab.server.kubectl("patch", "service", "b", "--type=merge", "-p", '{"spec":{"type":"ClusterIP"}}')
    eventually("released", lambda: address(lab, "b") == "" and announcer(lab, "b") == "")
    assert manager.said("Traceback") == 0


def test_an_announcer_that_lives_lets_go_first(lab: Lab) -> None:
    machines = lab.machines(2)
    lab.manager().wait_working()
    service(lab, "a")
    eventually("announcer", lambda: announcer(lab, "a") == "worker-1")
    machines["worker-1"].report(ready="False")
    eventually("let go", lambda: announcer(lab, "a") == "")
    eventually("the next", lambda: announcer(lab, "a") == "worker-2")
