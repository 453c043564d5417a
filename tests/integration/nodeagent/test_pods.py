"""Pods on a real runtime under a real API server: what runs, what is shared, what is reported, what stays behind."""

from __future__ import annotations

import urllib.request
from pathlib import Path

import pytest

from tests.integration.nodeagent.node import Node

pytestmark = pytest.mark.root

SLEEP = {"name": "c", "command": ["sleep", "1000"]}
WEB = "mkdir -p /www; echo hi > /www/index.html; exec httpd -f -h /www -p 80"


def test_a_pod_lives_answers_and_leaves_nothing(node: Node) -> None:
    env = [
        {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "BOTH", "value": "$(NAME)/$(IP)"},
    ]
    probe = {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 1}
    node.create(
        "web", {"name": "c", "command": ["sh", "-c", f"echo $BOTH; {WEB}"], "env": env, "readinessProbe": probe}
    )
    pod = node.wait_running("web")
    address = pod["status"]["podIP"]
    with urllib.request.urlopen(f"http://{address}/", timeout=5) as answer:
        assert answer.read() == b"hi\n"
    assert node.logs("web") == f"web/{address}\n"
    status = node.status("web")
    assert status["containerID"].startswith("containerd://")
    assert status["imageID"].startswith("docker.io/library/busybox@sha256:")
    reasons = [reason for reason, _ in node.events("web")]
    assert {"Pulled", "Created", "Started"} <= set(reasons)
    node.delete("web")
    node.wait_gone("web")
    assert node.leftovers() == []


def test_containers_of_a_pod_share_what_they_must(node: Node) -> None:
    mounts = [{"name": "scratch", "mountPath": "/scratch"}, {"name": "memory", "mountPath": "/memory"}]
    both = [{**SLEEP, "name": name, "volumeMounts": mounts} for name in ("a", "b")]
    volumes = [
        {"name": "scratch", "emptyDir": {}},
        {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
    ]
    aliases = [{"ip": "10.1.2.3", "hostnames": ["elsewhere"]}]
    node.create(
        "pair", *both, volumes=volumes, hostname="together", shareProcessNamespace=True, hostAliases=aliases
    )  # fmt: skip
    node.wait_running("pair")
    look = ("sh", "-c", "hostname; for n in net ipc uts pid; do readlink /proc/self/ns/$n; done")
    seen = node.exec("pair", "a", *look)
    assert seen.startswith("together\nnet:")
    assert node.exec("pair", "b", *look) == seen
    node.exec("pair", "a", "sh", "-c", "for d in /dev/shm /scratch /memory; do echo from-a > $d/note; done")
    read = ("sh", "-c", "cat /dev/shm/note /scratch/note /memory/note; df -h /memory")
    assert node.exec("pair", "b", *read).startswith("from-a\n" * 3)
    assert "1.0M" in node.exec("pair", "b", *read)
    assert "10.1.2.3" in node.exec("pair", "b", "grep", "elsewhere", "/etc/hosts")


def test_limits_reach_the_cgroups_and_out_of_memory_is_reported(node: Node) -> None:
    resources = {"requests": {"cpu": "100m"}, "limits": {"cpu": "250m", "memory": "16Mi"}}
    hungry = "sleep 1; x=a; while :; do x=$x$x$x; done"
    node.create(
        "hungry", {"name": "c", "command": ["sh", "-c", hungry], "resources": resources}, restartPolicy="Never"
    )
    pod = node.wait_running("hungry")
    values = _cgroup_values(node, pod["metadata"]["uid"])
    assert {"16777216", "25000"} <= values
    node.wait("it was killed", lambda: node.status("hungry").get("state", {}).get("terminated"))
    ended = node.status("hungry")["state"]["terminated"]
    assert (ended["reason"], ended["exitCode"]) == ("OOMKilled", 137)


def _cgroup_values(node: Node, uid: str) -> set[str]:
    """Everything in the files of the container's cgroup that limit it, on v1 and v2."""
    words: set[str] = set()
    parent = node.machine.cgroup_parent.lstrip("/")
    for controller in (Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").iterdir()):
        for name in ("memory.limit_in_bytes", "memory.max", "cpu.cfs_quota_us", "cpu.max"):
            for file in (controller / parent / f"pod{uid}").glob(f"*/{name}"):
                words |= set(file.read_text().split())
    return words


def test_a_crash_loop_shows_its_wait_and_its_previous_log(node: Node) -> None:
    node.create("crash", {"name": "c", "command": ["sh", "-c", "echo run; echo why > /dev/termination-log; exit 3"]})
    node.wait("it waits", lambda: node.status("crash").get("state", {}).get("waiting", {}).get("message"))
    status = node.status("crash")
    assert status["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert "back-off 10s" in status["state"]["waiting"]["message"]
    assert "next try at" in status["state"]["waiting"]["message"]
    ended = status["lastState"]["terminated"]
    assert (ended["exitCode"], ended["reason"], ended["message"]) == (3, "Error", "why\n")
    assert status["restartCount"] == 1
    assert node.logs("crash", previous="true") == "run\n"
    assert any(reason == "BackOff" for reason, _ in node.events("crash"))


@pytest.mark.parametrize(("code", "phase"), [(0, "Succeeded"), (5, "Failed")])
def test_a_pod_that_never_restarts_ends(node: Node, code: int, phase: str) -> None:
    node.create("once", {"name": "c", "command": ["sh", "-c", f"echo done; exit {code}"]}, restartPolicy="Never")
    node.wait(f"it is {phase}", lambda: (node.get("once") or {}).get("status", {}).get("phase") == phase)
    assert node.logs("once") == "done\n"
    assert node.containers() == {}


def test_liveness_restarts_in_the_same_sandbox(node: Node) -> None:
    probe = {"exec": {"command": ["test", "-f", "/tmp/alive"]}, "periodSeconds": 1, "failureThreshold": 1}
    command = ["sh", "-c", "touch /tmp/alive; exec sleep 1000"]
    node.create("live", {"name": "c", "command": command, "livenessProbe": probe})
    address = node.wait_running("live")["status"]["podIP"]
    node.exec("live", "c", "rm", "/tmp/alive")
    node.wait("it was restarted", lambda: node.status("live").get("restartCount") == 1)
    assert node.wait_running("live")["status"]["podIP"] == address
    reasons = [reason for reason, _ in node.events("live")]
    assert {"Unhealthy", "Killing"} <= set(reasons)


def test_what_looks_like_an_option_or_a_shell_word_stays_literal(node: Node) -> None:
    words = ["--privileged", "$(id)", "`id`", "a\nb", "../x", 'q"q', "-v=/:/host"]
    env = [{"name": "E", "value": "x\ny; $(id) `id` --rm"}]
    command = ["sh", "-c", 'for w in "$@"; do echo "<$w>"; done; echo "<$E>"', "--"]
    node.create("literal", {"name": "c", "command": command, "args": words, "env": env}, restartPolicy="Never")
    node.wait("it ended", lambda: (node.get("literal") or {}).get("status", {}).get("phase") == "Succeeded")
    assert node.logs("literal") == "".join(f"<{w}>\n" for w in [*words, env[0]["value"]])


def test_a_terminal_is_there_when_asked_for(node: Node) -> None:
    node.create("tty", {"name": "c", "command": ["sh", "-c", "tty; exec sleep 1000"], "tty": True})
    node.wait_running("tty")
    node.wait("it has said which", lambda: "/dev/pts/" in node.logs("tty"))


def test_a_start_that_fails_is_explained(node: Node) -> None:
    node.create("nothing", {"name": "c", "command": ["/no/such/file"]})
    node.wait("it waits", lambda: node.status("nothing").get("state", {}).get("waiting", {}).get("message"))
    node.wait("it says why", lambda: node.status("nothing").get("lastState", {}).get("terminated"))
    ended = node.status("nothing")["lastState"]["terminated"]
    assert ended["reason"] == "StartError"
    assert "/no/such/file" in ended["message"]


def test_an_absent_image_and_a_refused_field_say_what_to_do(node: Node) -> None:
    node.create("absent", {"name": "c", "image": "no-such-image:1"})
    node.create("refused", SLEEP, hostPID=True)

    def waiting(name: str) -> str:
        why = node.status(name).get("state", {}).get("waiting", {})
        return f"{why.get('reason')}: {why.get('message')}"

    node.wait("the image is missed", lambda: waiting("absent").startswith("ImagePullBackOff"))
    assert "make push IMAGE=no-such-image:1" in waiting("absent")
    node.wait("the field is refused", lambda: waiting("refused").startswith("CreateContainerConfigError"))
    assert "spec.hostPID" in waiting("refused")


def test_a_log_is_followed_over_rotations(node: Node) -> None:
    """The log's files hold 20 KB each: 3,000 lines go through many of them while they are read."""
    loop = "i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); [ $((i % 20)) = 0 ] && sleep 0.02; done"
    node.create("talk", {"name": "c", "command": ["sh", "-c", f"sleep 1; {loop}"]}, restartPolicy="Never")
    node.wait_running("talk", ready=False)
    assert node.logs("talk", follow="true") == "".join(f"line {i}\n" for i in range(3000))
    tail = node.logs("talk", tailLines="3")
    assert tail == "line 2997\nline 2998\nline 2999\n"
