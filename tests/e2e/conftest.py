"""Fixtures of the end-to-end tests: the lab that `LAB` names, and a namespace for each test."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import pytest

from tests.e2e.support import Lab, eventually


@pytest.fixture(scope="session")
def lab() -> Lab:
    """The running lab. Fails (never skips) where there is none: `make up`, or `make test`, which builds its own."""
    lab = Lab(os.environ.get("LAB", "kubelab"))
    assert (lab.state / "kubeconfig").exists(), f"lab {lab.name} isn't up: run `make up LAB={lab.name}` first"
    return lab


@pytest.fixture
def namespace(lab: Lab, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of the test's own, gone with all that is in it when the test ends."""
    name = "t-" + re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:50].rstrip("-")
    lab.kubectl("create", "namespace", name)
    eventually("default service account", lambda: lab.get("serviceaccount", "default", "-n", name))
    yield name
    lab.kubectl("delete", "namespace", name, "--wait=true", timeout_s=120)


@pytest.fixture
def whole_lab(lab: Lab) -> Iterator[Lab]:
    """A lab that the test may break: every machine is on, joined and Ready before it and is made so after it."""
    machines = [n["metadata"]["name"] for n in lab.get("nodes")["items"]]
    for machine in machines:
        lab.await_node(machine, "True")
    yield lab
    everyone = ",".join(machines)
    lab.make("heal", NODE=everyone)
    lab.make("on", NODE=everyone)
    for machine in machines:
        lab.await_node(machine, "True", timeout_s=120)
