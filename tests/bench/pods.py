"""How fast a pod runs, and how fast a lost worker's pods run elsewhere."""

from __future__ import annotations

import json
import statistics
import subprocess
import threading
import time
from dataclasses import dataclass
from itertools import pairwise

from tests.e2e.support import Lab, eventually, names, nodes, web

_POD = """
apiVersion: v1
kind: Pod
metadata: {name: NAME, labels: {app: bench}}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: busybox, args: [sleep, "3600"]}]
"""


def quantile(values: list[float], share: float) -> float:
    """The value below which `share` of them lie."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


class RunningWatch:
    """kubectl's own watch of a namespace's pods: when each was first seen Running, on this host's clock."""

    def __init__(self, lab: Lab, namespace: str) -> None:
        self.seen: dict[str, float] = {}
        self._changed = threading.Condition()
        self._process = lab.spawn("get", "pods", "-n", namespace, "-w", "-o", "json", "--output-watch-events")
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            event = json.loads(line)
            if event["object"]["status"].get("phase") == "Running":
                with self._changed:
                    self.seen.setdefault(event["object"]["metadata"]["name"], time.monotonic())
                    self._changed.notify_all()

    def wait(self, name: str, timeout_s: float = 60) -> float:
        with self._changed:
            if not self._changed.wait_for(lambda: name in self.seen, timeout_s):
                raise AssertionError(f"pod {name} never ran")
            return self.seen[name]

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


def start_times(lab: Lab, namespace: str, count: int = 30) -> list[float]:
    """Seconds from sending a pod to seeing it Running, one pod after the other."""
    watch = RunningWatch(lab, namespace)
    took = []
    try:
        for number in range(count):
            name = f"start-{number}"
            body = _POD.replace("NAME", name)
            creating = lab.spawn("create", "-n", namespace, "-f", "-", stdin=subprocess.PIPE)
            begin = time.monotonic()
            creating.communicate(body, timeout=60)
            took.append(watch.wait(name) - begin)
            lab.kubectl("delete", "pod", name, "-n", namespace, "--wait=false")
    finally:
        watch.close()
    return took


@dataclass(frozen=True)
class Failover:
    """One power cut: seconds until all replacements answered, and the longest silence of the Service."""

    recovered_s: float
    gap_s: float


def failovers(lab: Lab, namespace: str, tries: int = 10) -> list[Failover]:
    """Power cuts of a worker that runs pods of a Service, and how long until all its replacements answer."""
    url = _published(lab, namespace)
    return [_failover(lab, namespace, url) for _ in range(tries)]


def takeovers(lab: Lab, namespace: str, tries: int = 5) -> list[float]:
    """Seconds for which the public address is silent when the worker that announces it loses its power."""
    _published(lab, namespace)
    service = lab.get("service", "bench", "-n", namespace)
    url = f"http://{service['status']['loadBalancer']['ingress'][0]['ip']}/"
    silences = []
    for _ in range(tries):
        lab.ready_pods(namespace, "app=bench", 3)
        eventually("the public address answers", lambda: lab.answers(url, 3))
        lost = lab.get("service", "bench", "-n", namespace)["metadata"]["annotations"]["kubelab.io/announced-by"]
        cut, ok = _answers_around(lab, url, lost, 12)
        silences.append(_longest_gap(cut, ok))
        lab.make("on", NODE=lost)
        lab.await_node(lost, "True")
    return silences


def _published(lab: Lab, namespace: str) -> str:
    """Three pods behind a LoadBalancer Service; its node port's URL on the master."""
    if not lab.kubectl("get", "rc", "-n", namespace):
        lab.apply(web("bench", 3), namespace)
        lab.kubectl("expose", "rc", "bench", "-n", namespace, "--port=80", "--type=LoadBalancer")
    lab.ready_pods(namespace, "app=bench", 3)
    port = lab.get("service", "bench", "-n", namespace)["spec"]["ports"][0]["nodePort"]
    master = lab.get("node", "master")["status"]["addresses"][0]["address"]
    url = f"http://{master}:{port}/"
    eventually("the Service answers", lambda: lab.answers(url, 10))
    return url


def _answers_around(lab: Lab, url: str, lost: str, seconds: int) -> tuple[float, list[tuple[float, str]]]:
    """Ask without a pause while the worker's power is cut; when that was, and when which answer was asked for."""
    probe = (
        f"end=$(($(date +%s) + {seconds})); while [ $(date +%s) -lt $end ]; do s=$(date +%s.%N); "
        f'a=$(curl -s -m 0.3 {url}); echo "$s $a"; sleep 0.02; done'
    )
    answers: list[str] = []
    asking = threading.Thread(target=lambda: answers.extend(lab.client(probe).splitlines()))
    asking.start()
    time.sleep(2)
    cut = time.time()
    lab.make("off", NODE=lost)
    asking.join()
    return cut, [(float(line.split()[0]), line) for line in answers if "pod=" in line]


def _longest_gap(cut: float, ok: list[tuple[float, str]]) -> float:
    times = [cut, *(at for at, _ in ok if at > cut)]
    return max((b - a for a, b in pairwise(times)), default=float("inf"))


def _failover(lab: Lab, namespace: str, url: str) -> Failover:
    before = lab.ready_pods(namespace, "app=bench", 3)
    lost = sorted(nodes(before))[0]
    cut, ok = _answers_around(lab, url, lost, 14)
    fresh = names(lab.ready_pods(namespace, "app=bench", 3)) - names(before)
    firsts = [min((at for at, text in ok if f"pod={pod} " in f"{text} "), default=float("inf")) for pod in fresh]
    lab.make("on", NODE=lost)
    lab.await_node(lost, "True")
    return Failover(max(firsts, default=cut) - cut, _longest_gap(cut, ok))


def summary(values: list[float]) -> str:
    return (
        f"p50 {statistics.median(values):.2f} s, p99 {quantile(values, 0.99):.2f} s, "
        f"worst {max(values):.2f} s of {len(values)}"
    )
