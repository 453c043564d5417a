"""Unmodified kubectl does what people do with it, on real containers."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.e2e.support import Lab, eventually, names, uids, web

PAIR = """
apiVersion: v1
kind: Pod
metadata: {name: pair, labels: {app: pair}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: talker
    image: busybox
    command: [sh, -c, 'i=0; while true; do i=$((i+1)); echo "line $i"; sleep 0.2; done']
  - {name: quiet, image: busybox, args: [sleep, "3600"], env: [{name: GREETING, value: hello}]}
"""


def test_run_logs_describe_delete(lab: Lab, namespace: str) -> None:
    lab.apply(PAIR, namespace)
    lab.kubectl("wait", "pod/pair", "-n", namespace, "--for=condition=Ready", "--timeout=60s")
    wide = lab.kubectl("get", "pods", "-n", namespace, "-o", "wide").splitlines()
    assert wide[0].split()[:5] == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert wide[1].split()[:3] == ["pair", "2/2", "Running"]
    eventually("two lines", lambda: "line 2" in lab.kubectl("logs", "pair", "-c", "talker", "-n", namespace))
    assert len(lab.kubectl("logs", "pair", "-c", "talker", "-n", namespace, "--tail=1").splitlines()) == 1
    assert "a container name must be specified" in lab.refused(
        "get", "--raw", f"/api/v1/namespaces/{namespace}/pods/pair/log"
    )
    said = lab.kubectl("describe", "pod", "pair", "-n", namespace)
    for word in ("Successfully assigned", "Started container talker", "GREETING", "hello"):
        assert word in said
    lab.kubectl("delete", "pod", "pair", "-n", namespace, "--timeout=60s")
    assert lab.pods(namespace) == []


def test_logs_follow_streams_lines_as_they_come(lab: Lab, namespace: str) -> None:
    lab.apply(PAIR, namespace)
    lab.kubectl("wait", "pod/pair", "-n", namespace, "--for=condition=Ready", "--timeout=60s")
    with lab.background("logs", "-f", "pair", "-c", "talker", "-n", namespace, "--tail=2") as lines:
        numbers = [int(lines.readline().split()[1]) for _ in range(6)]
    assert numbers == list(range(numbers[0], numbers[0] + 6))


def test_containers_of_a_pod_share_network_ipc_and_hostname(lab: Lab, namespace: str) -> None:
    lab.apply(PAIR, namespace)
    lab.kubectl("wait", "pod/pair", "-n", namespace, "--for=condition=Ready", "--timeout=60s")
    node = lab.get("pod", "pair", "-n", namespace)["spec"]["nodeName"]
    seen = []
    for container in ("talker", "quiet"):
        pod_id = lab.ssh(
            node,
            f"nerdctl ps -q --filter label=io.kubernetes.pod.namespace={namespace} "
            f"--filter label=io.kubernetes.container.name={container}",
        ).split()[0]
        what = "readlink /proc/self/ns/net /proc/self/ns/ipc /proc/self/ns/uts; hostname; stat -c %d /dev/shm"
        seen.append(lab.ssh(node, f"nerdctl exec {pod_id} sh -c '{what}'"))
    assert seen[0] == seen[1]
    assert "pair" in seen[0]


def test_crash_loop_backs_off_visibly_and_keeps_the_previous_log(lab: Lab, namespace: str) -> None:
    lab.kubectl("run", "crash", "-n", namespace, "--image=busybox", "--", "sh", "-c", "echo dying; exit 3")

    def looping() -> bool:
        status = lab.get("pod", "crash", "-n", namespace)["status"]["containerStatuses"][0]
        waiting: dict[str, str] = status["state"].get("waiting", {})
        return bool(status["restartCount"] >= 1 and waiting.get("reason") == "CrashLoopBackOff")

    eventually("CrashLoopBackOff after a restart", looping)
    status = lab.get("pod", "crash", "-n", namespace)["status"]["containerStatuses"][0]
    assert status["lastState"]["terminated"]["exitCode"] == 3
    assert "back-off" in status["state"]["waiting"]["message"]
    assert "dying" in lab.kubectl("logs", "crash", "-n", namespace, "--previous")
    assert "CrashLoopBackOff" in lab.kubectl("get", "pods", "-n", namespace)


@pytest.mark.parametrize(
    ("policy", "command", "phase"),
    [
        pytest.param("Never", "exit 0", "Succeeded", id="never, success"),
        pytest.param("Never", "exit 4", "Failed", id="never, failure"),
        pytest.param("OnFailure", "exit 0", "Succeeded", id="on failure, success"),
    ],
)
def test_restart_policies_end_in_the_right_phase(
    lab: Lab, namespace: str, policy: str, command: str, phase: str
) -> None:
    lab.kubectl(
        "run", "once", "-n", namespace, "--image=busybox", f"--restart={policy}", "--command", "--",
        "sh", "-c", command,
    )  # fmt: skip
    lab.kubectl("wait", "pod/once", "-n", namespace, f"--for=jsonpath={{.status.phase}}={phase}", "--timeout=60s")


def test_create_label_annotate_patch_edit(lab: Lab, namespace: str) -> None:
    n = ("-n", namespace)
    lab.kubectl("create", "configmap", "settings", *n, "--from-literal=color=blue")
    lab.kubectl("create", "secret", "generic", "key", *n, "--from-literal=password=s3cret")
    assert lab.get("secret", "key", *n)["data"]["password"] == "czNjcmV0"
    lab.kubectl("label", "configmap", "settings", *n, "tier=front")
    lab.kubectl("annotate", "configmap", "settings", *n, "note=kept")
    assert "settings" in lab.kubectl("get", "configmaps", *n, "-l", "tier=front")
    lab.kubectl("patch", "configmap", "settings", *n, "-p", '{"data":{"size":"10"}}')
    lab.kubectl("patch", "configmap", "settings", *n, "--type=json", "-p",
                '[{"op":"replace","path":"/data/color","value":"red"}]')  # fmt: skip
    assert lab.get("configmap", "settings", *n)["data"] == {"color": "red", "size": "10"}
    edited = subprocess.run(
        [lab.kubectl_binary, "edit", "configmap", "settings", *n],
        env={**lab.environment, "KUBE_EDITOR": "sed -i s/red/green/"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert edited.returncode == 0, edited.stderr
    assert lab.get("configmap", "settings", *n)["data"]["color"] == "green"


def test_apply_twice_scale_and_delete_with_children(lab: Lab, namespace: str) -> None:
    lab.apply(web("shop", 2), namespace)
    first = uids(lab.ready_pods(namespace, "app=shop", 2))
    assert "unchanged" in lab.kubectl("apply", "-n", namespace, "-f", "-", stdin=web("shop", 2))
    lab.kubectl("scale", "rc/shop", "-n", namespace, "--replicas=3")
    lab.ready_pods(namespace, "app=shop", 3)
    assert "configured" in lab.kubectl("apply", "-n", namespace, "-f", "-", stdin=web("shop", 1))
    left = uids(lab.ready_pods(namespace, "app=shop", 1))
    assert left <= first, "the newest go first"
    rows = lab.kubectl("get", "rc", "-n", namespace, "--sort-by=.metadata.name").splitlines()
    assert rows[0].split()[:5] == ["NAME", "DESIRED", "CURRENT", "READY", "AGE"]
    lab.kubectl("delete", "rc", "shop", "-n", namespace)
    eventually("no pods without their owner", lambda: lab.pods(namespace) == [])


def test_delete_by_label_all_and_at_once(lab: Lab, namespace: str) -> None:
    for name in ("one", "two", "three"):
        lab.kubectl("run", name, "-n", namespace, "--image=busybox", f"--labels=part={name}", "--", "sleep", "3600")
    for name in ("one", "two", "three"):
        lab.kubectl("wait", f"pod/{name}", "-n", namespace, "--for=condition=Ready", "--timeout=60s")
    lab.kubectl("delete", "pod", "-n", namespace, "-l", "part=one", "--grace-period=1")
    assert names(lab.pods(namespace)) == {"two", "three"}
    lab.kubectl("delete", "pod", "two", "-n", namespace, "--grace-period=0", "--force")
    lab.kubectl("delete", "pods", "--all", "-n", namespace, "--grace-period=1")
    assert lab.pods(namespace) == []


def test_watch_shows_every_step_of_a_pod(lab: Lab, namespace: str) -> None:
    with lab.background("get", "pods", "-n", namespace, "-w", "--output-watch-events", "-o", "json") as lines:
        lab.kubectl(
            "run", "brief", "-n", namespace, "--image=busybox", "--restart=Never", "--", "sh", "-c", "sleep 1"
        )
        lab.kubectl("wait", "pod/brief", "-n", namespace, "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s")
        lab.kubectl("delete", "pod", "brief", "-n", namespace)
        decoder, text = json.JSONDecoder(), ""
        steps: list[tuple[str, str | None]] = []
        while "DELETED" not in [kind for kind, _ in steps]:
            text += lines.readline()
            try:
                event, end = decoder.raw_decode(text.lstrip())
            except ValueError:
                continue
            text = text.lstrip()[end:]
            steps.append((event["type"], event["object"]["status"].get("phase")))
    phases = list(dict.fromkeys(phase for _, phase in steps))
    assert phases[:3] == ["Pending", "Running", "Succeeded"]
    assert steps[0][0] == "ADDED"
