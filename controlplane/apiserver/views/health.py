"""/healthz, /livez, /readyz, /version and /metrics.

No anonymous access here either: the gate has asked for a user before. `?verbose` lists the checks as upstream does.
"""

from __future__ import annotations

import platform
import resource as process_resource

from flask import Flask, Response

from controlplane.apiserver.backend import Backend
from controlplane.apiserver.respond import answer, answer_object
from controlplane.apiserver.views import current_call

TEXT = "text/plain; charset=utf-8"
VERSION = {
    "major": "1",
    "minor": "37",
    "gitVersion": "v1.37.0+kubelab",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": f"python{platform.python_version()}",
    "compiler": platform.python_implementation(),
    "platform": "linux/amd64",
}


def register(app: Flask, backend: Backend) -> None:
    """Adds the routes."""

    def checks(kind: str) -> Response:
        results = backend.problems() if kind == "readyz" else {"ping": ""}
        failed = [name for name, why in results.items() if why]
        if "verbose" in current_call().query or failed:
            lines = [f"[-]{name} failed: {why}" if why else f"[+]{name} ok" for name, why in results.items()]
            lines.append(f"{kind} check {'failed' if failed else 'passed'}")
            return answer("\n".join(lines).encode() + b"\n", 500 if failed else 200, TEXT)
        return answer(b"ok", 200, TEXT)

    for kind in ("healthz", "livez", "readyz"):
        app.add_url_rule(f"/{kind}", kind, lambda kind=kind: checks(kind), methods=["GET"])

    @app.get("/version")
    def version() -> Response:
        return answer_object(VERSION)

    @app.get("/metrics")
    def metrics() -> Response:
        usage = process_resource.getrusage(process_resource.RUSAGE_SELF)
        gauges = {
            "process_cpu_seconds_total": usage.ru_utime + usage.ru_stime,
            "process_resident_memory_bytes": float(_resident_bytes()),
            "kubelab_durable_revision": float(backend.durable.cache.revision),
        }
        return answer(backend.metrics.text(gauges).encode(), 200, "text/plain; version=0.0.4")

    @app.get("/")
    def root() -> Response:
        rules = {rule.rule for rule in app.url_map.iter_rules() if "<" not in rule.rule}
        return answer_object({"paths": sorted(rules)})


def _resident_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * process_resource.getpagesize()
