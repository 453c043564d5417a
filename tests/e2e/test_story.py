"""What a person sees while a worker is lost: a watch shows every step of its pods, events tell the story in order."""

from __future__ import annotations

from typing import IO

from tests.e2e.support import Lab, eventually, names, nodes, web


def read_steps(lines: IO[str], until: dict[str, str]) -> dict[str, list[str]]:
    """Each pod's steps (`ADDED Pending 0/1`), read until each of the pods named in `until` took that last step."""
    steps: dict[str, list[str]] = {}
    while any(last not in steps.get(pod, []) for pod, last in until.items()):
        words = lines.readline().split()
        assert words, f"the watch ended at {steps}"
        if words[0] != "EVENT":  # the head of the table
            kind, pod, ready, status = words[:4]
            steps.setdefault(pod, []).append(f"{kind} {status} {ready}")
    return steps


def first_told(lab: Lab, namespace: str, reason: str, about: set[str]) -> str:
    """When that was first said of any of these objects (RFC 3339, comparable as text)."""
    events = lab.get("events", "-n", namespace)["items"]
    about_them = [e for e in events if e["reason"] == reason and e["involvedObject"]["name"] in about]
    return min(str(e["firstTimestamp"]) for e in about_them)


def test_a_watch_and_events_tell_the_story_of_a_lost_worker(whole_lab: Lab, namespace: str) -> None:
    lab = whole_lab
    lab.apply(web("story", 3), namespace)
    before = lab.ready_pods(namespace, "app=story", 3)
    lost = sorted(nodes(before))[0]
    doomed = {p["metadata"]["name"] for p in before if p["spec"]["nodeName"] == lost}
    with lab.background("get", "pods", "-n", namespace, "-w", "--output-watch-events") as lines:
        lab.make("off", NODE=lost)
        eventually("its pods are gone", lambda: not doomed & names(lab.pods(namespace)))
        fresh = names(lab.ready_pods(namespace, "app=story", 3)) - names(before)
        assert len(fresh) == len(doomed)
        steps = read_steps(lines, dict.fromkeys(fresh, "MODIFIED Running 1/1"))
    for pod in doomed:
        assert steps[pod][-1].startswith("DELETED")
    for pod in fresh:
        assert steps[pod][0] == "ADDED Pending 0/1"
        assert "MODIFIED Running 0/1" in steps[pod]  # until its probe speaks
    for pod in names(before) - doomed:
        assert steps[pod] == ["ADDED Running 1/1"], "the others notice nothing"
    story = [
        first_told(lab, "default", "NodeNotReady", {lost}),
        first_told(lab, namespace, "TaintManagerEviction", doomed),
        first_told(lab, namespace, "Scheduled", fresh),
        first_told(lab, namespace, "Started", fresh),
    ]
    assert story == sorted(story)
