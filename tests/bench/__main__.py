"""`python -m tests.bench [api] [pods] [footprint] [failover]`: all of them when none is named.

Needs a running lab (`LAB`, default kubelab). Prints tables and keeps them in `.lab/NAME/bench.txt`.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.bench import api, footprint, pods
from tests.bench.anchors import GOALS, KUBERNETES
from tests.e2e.support import Lab, eventually

_ALL = ("footprint", "api", "pods", "failover")


def main(argv: list[str]) -> int:
    wanted = argv or list(_ALL)
    if unknown := set(wanted) - set(_ALL):
        sys.stderr.write(f"bench: no such part: {', '.join(sorted(unknown))}; there are {', '.join(_ALL)}\n")
        return 2
    lab = Lab(os.environ.get("LAB", "kubelab"))
    if not (lab.state / "kubeconfig").exists():
        sys.stderr.write(f"bench: lab {lab.name} isn't up: run `make up` first\n")
        return 2
    out = Report(lab.state / "bench.txt")
    calibration(out)
    if "footprint" in wanted:
        footprint_rows(lab, out)
    if "api" in wanted:
        out.table("API, beside Kubernetes 1.36 on such a machine",
                  ["operation", "clients", "req/s", "p50 ms", "p99 ms", "errors", "k8s/s", "k8s p50/p99", "ratio"],
                  api.measure(lab, lab.state))  # fmt: skip
    if "pods" in wanted:
        in_namespace(lab, "bench-pods", lambda ns: pod_rows(lab, ns, out))
    if "failover" in wanted:
        in_namespace(lab, "bench-failover", lambda ns: failover_rows(lab, ns, out))
    return 0


class Report:
    """Prints rows as they come, and keeps them in a file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        file.write_text("")

    def line(self, text: str) -> None:
        print(text, flush=True)
        with self._file.open("a") as out:
            out.write(text + "\n")

    def table(self, title: str, head: list[str], rows: Iterable[list[str]]) -> None:
        self.line(f"\n{title}")
        widths = [max(len(word), 9) for word in head]
        widths[0] = max(widths[0], 30)
        for row in itertools.chain([head], rows):
            self.line("  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip())


def calibration(out: Report) -> None:
    """This machine, now: a fixed pure-Python loop, and fsyncs of 4 KiB."""
    begin = time.perf_counter()
    digest = b""
    for number in range(200_000):
        digest = hashlib.sha256(digest + number.to_bytes(4, "big")).digest()
    loop_s = time.perf_counter() - begin
    file = Path(".lab/fsync-probe")
    with file.open("wb") as probe:
        begin, count = time.perf_counter(), 0
        while time.perf_counter() - begin < 1:
            probe.write(b"x" * 4096)
            probe.flush()
            os.fsync(probe.fileno())
            count += 1
    file.unlink()
    out.line(f"calibration: 200,000 sha256 in {loop_s:.2f} s, {count} fsyncs/s")


def footprint_rows(lab: Lab, out: Report) -> None:
    for node, units in (("master", footprint.MASTER), ("worker-1", footprint.WORKER)):
        costs = footprint.measure(lab, node, units)
        rows = [[c.unit, f"{c.pss_mib:.1f}", f"{c.cpu_percent:.2f}"] for c in costs]
        counted = footprint.CONTROL_PLANE if node == "master" else footprint.WORKER
        total = sum(c.pss_mib for c in costs if c.unit in counted)
        name = "control plane memory" if node == "master" else "worker memory"
        rows.append([f"{name} ({GOALS[name]})", f"{total:.1f}", ""])
        out.table(f"Idle on {node} (cpu of a daemon {GOALS['cpu of a daemon']} of a core)",
                  ["daemon", "PSS MiB", "cpu %"], rows)  # fmt: skip
    out.line(f"Kubernetes: {KUBERNETES['control plane memory']}")


def pod_rows(lab: Lab, namespace: str, out: Report) -> None:
    took = pods.start_times(lab, namespace)
    out.line(f"\nkubectl create → Running: {pods.summary(took)} "
             f"(goal p50 {GOALS['create → Running p50']}, p99 {GOALS['create → Running p99']})")  # fmt: skip


def failover_rows(lab: Lab, namespace: str, out: Report) -> None:
    seen = pods.failovers(lab, namespace)
    out.line(f"\npower cut → all replacements answer: {pods.summary([f.recovered_s for f in seen])} "
             f"(goal p50 {GOALS['failover p50']}, worst {GOALS['failover worst']}; "
             f"Kubernetes {KUBERNETES['failover p50']})")  # fmt: skip
    silences = pods.takeovers(lab, namespace)
    out.line(f"power cut of the announcer → the public address answers again: {pods.summary(silences)} "
             f"(goal {GOALS['public address']})")  # fmt: skip
    out.line(f"longest gap of the Service: {pods.summary([f.gap_s for f in seen])} "
             f"(goal {GOALS['longest gap of the Service']})")  # fmt: skip


def in_namespace(lab: Lab, name: str, work: Callable[[str], None]) -> None:
    lab.kubectl("create", "namespace", name)
    try:
        eventually("default service account", lambda: lab.get("serviceaccount", "default", "-n", name))
        work(name)
    finally:
        lab.kubectl("delete", "namespace", name, timeout_s=300)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
