"""When containers really started and stopped, on every machine: containerd's own events, recorded beside the agents.

The machines of a lab share their host's clock, so the records of different machines can be compared.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from tests.e2e.support import Lab

_UNIT = "kubelab-test-records"
_FILE = f"/var/log/{_UNIT}"


@dataclass(frozen=True)
class Record:
    """One start or exit of a container on a node, at `at` (RFC 3339, comparable as text)."""

    node: str
    container: str
    topic: str
    at: str


def start_recording(lab: Lab, nodes: list[str]) -> None:
    """Let each node write down the starts and exits of its containers, cut off or not."""
    for node in nodes:
        lab.ssh(node, f"systemctl stop {_UNIT}; systemctl reset-failed {_UNIT}; rm -f {_FILE}", check=False)
        recorder = "nerdctl events --format '{{json .}}'"
        output = f"--property=StandardOutput=append:{_FILE}"
        lab.ssh(node, f"systemd-run --quiet --unit={_UNIT} {output} {recorder}")


def stop_recording(lab: Lab, nodes: list[str]) -> list[Record]:
    """Stop writing, and read what was written."""
    records = []
    for node in nodes:
        lab.ssh(node, f"systemctl stop {_UNIT}", check=False)
        for line in filter(None, lab.ssh(node, f"cat {_FILE}").splitlines()):
            event = json.loads(line)
            if event["Topic"] not in ("/tasks/start", "/tasks/exit"):
                continue
            about = json.loads(event["Event"])
            if about.get("id", about["container_id"]) == about["container_id"]:  # else: an exec of a probe
                records.append(Record(node, about["container_id"], event["Topic"], _comparable(event["Timestamp"])))
    return records


def _comparable(timestamp: str) -> str:
    """RFC 3339 with all nine digits, which Go leaves out when they are zero."""
    second, _, fraction = timestamp.removesuffix("Z").partition(".")
    return f"{second}.{fraction:0<9}"
