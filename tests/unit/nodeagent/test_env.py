"""Environment variables: order, references, fields of the pod."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nodeagent.env import Place, environment, expand, field_value
from tests.unit.nodeagent.builders import UID, make_pod

PLACE = Place("worker-1", "10.77.0.11", "10.244.1.5")


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$(A)", "1"),
        ("x$(A)y$(A)", "x1y1"),
        ("$(MISSING)", "$(MISSING)"),
        ("$$(A)", "$(A)"),
        ("$$$$(A)", "$$(A)"),
        ("$A ${A} $", "$A ${A} $"),
        ("$(A", "$(A"),
        ("$(`id`)", "$(`id`)"),
    ],
)
def test_references(text: str, expanded: str) -> None:
    assert expand(text, {"A": "1"}) == expanded


def test_a_variable_sees_those_before_it() -> None:
    env = [{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)$(C)"}, {"name": "C", "value": "3"}]
    pod = make_pod(container={"env": env})
    assert environment(pod, pod.spec.containers[0], PLACE) == {"A": "1", "B": "1$(C)", "C": "3"}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "web"),
        ("metadata.namespace", "default"),
        ("metadata.uid", UID),
        ("metadata.labels['app']", "shop"),
        ("metadata.annotations['missing']", ""),
        ("spec.nodeName", "worker-1"),
        ("status.podIP", "10.244.1.5"),
        ("status.hostIP", "10.77.0.11"),
    ],
)
def test_fields(path: str, value: str) -> None:
    assert field_value(replace(make_pod(), labels={"app": "shop"}), path, PLACE) == value
