"""Whether a lab is well, as `kubectl` sees it from outside."""

from __future__ import annotations

import json
import time
from pathlib import Path

from lab import paths
from lab.facts import Lab
from lab.run import LabError, attempt

READY_WITHIN_S = 90.0


def link_kubectl(lab: str) -> Path:
    """Put kubectl alone into a folder that a person's PATH can start with."""
    link = paths.lab_dir(lab) / "bin" / "kubectl"
    link.parent.mkdir(exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(paths.venv_bin("kubectl"))
    return link


def node_states(lab: str) -> dict[str, str]:
    """Each registered node's Ready condition; empty, with the reason, where the API doesn't answer.

    Raises: LabError with kubectl's words.
    """
    done = attempt([*kubectl(lab), "get", "nodes", "-o", "json", "--request-timeout=5s"])
    if done.returncode:
        raise LabError(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "kubectl failed")
    return ready_conditions(json.loads(done.stdout))


def ready_conditions(answer: dict[str, list[dict[str, dict[str, object]]]]) -> dict[str, str]:
    """Node name → status of its Ready condition, from a NodeList."""
    states = {}
    for item in answer["items"]:
        conditions = item.get("status", {}).get("conditions", [])
        ready = [c["status"] for c in conditions if c["type"] == "Ready"] if isinstance(conditions, list) else []
        states[str(item["metadata"]["name"])] = str(ready[0]) if ready else "no Ready condition"
    return states


def lease_times(lab: str) -> dict[str, str]:
    """Each node's last renewal as its lease says; empty where the API doesn't answer."""
    words = ["get", "leases", "-n", "kube-node-lease", "-o", "json", "--request-timeout=5s"]
    done = attempt([*kubectl(lab), *words])
    items = json.loads(done.stdout)["items"] if done.returncode == 0 else []
    return {str(item["metadata"]["name"]): str(item["spec"].get("renewTime")) for item in items}


def wait_ready(lab: Lab, within_s: float = READY_WITHIN_S) -> None:
    """Wait until every machine is a Ready node and has renewed its lease since (a node is not Unknown at once).

    Raises: LabError that says which isn't and what its state is.
    """
    deadline = time.monotonic() + within_s
    before: dict[str, str] = {}
    while True:
        before = before or lease_times(lab.name)
        problem = _problem(lab, before)
        if not problem:
            return
        if time.monotonic() > deadline:
            raise LabError(f"not healthy after {within_s:.0f} s: {problem}")
        time.sleep(0.3)


def _problem(lab: Lab, before: dict[str, str]) -> str:
    try:
        states = node_states(lab.name)
    except LabError as error:
        return f"the API does not answer: {error}"
    now = lease_times(lab.name)
    silent = {n.name: "silent" for n in lab.nodes if now.get(n.name) == before.get(n.name)}
    wrong = {n.name: states.get(n.name, "not registered") for n in lab.nodes if states.get(n.name) != "True"}
    return ", ".join(f"{name} is {_words(state)}" for name, state in {**silent, **wrong}.items())


def _words(state: str) -> str:
    return {"False": "not Ready", "Unknown": "Unknown (its agent is silent)"}.get(state, state)


def kubectl(lab: str) -> list[str]:
    return [paths.venv_bin("kubectl"), f"--kubeconfig={paths.lab_dir(lab) / 'kubeconfig'}"]
