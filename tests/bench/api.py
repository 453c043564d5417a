"""How fast the API is: the load tool `apiload` on loopback, one client and sixteen, beside Kubernetes' figures."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.bench.anchors import API
from tests.e2e.support import Lab

_COUNTS = {"create": 1000, "get": 1000, "patchstatus": 1000, "delete": 1000, "put": 1000, "list": 60, "watch": 300}


def build(cache: Path) -> Path:
    """The load tool, built with Go (the host's, or the one that the project's environment brings)."""
    binary = cache / "apiload"
    source = Path(__file__).parent / "apiload"
    subprocess.run(["go", "build", "-o", str(binary), "."], cwd=source, check=True)
    return binary


def measure(lab: Lab, cache: Path) -> Iterator[list[str]]:
    """Rows of: operation, clients, requests/s, p50, p99, errors, Kubernetes' rate, the ratio."""
    tool = build(cache)
    pki = lab.state / "pki"
    namespace = "bench-api"
    server = next(
        w for line in lab.kubectl("config", "view").splitlines() if "server:" in line for w in [line.split()[1]]
    )

    def load(op: str, clients: int, count: int) -> dict[str, Any]:
        argv = [str(tool), "-server", server, "-ca", str(pki / "ca.crt"), "-cert", str(pki / "admin.crt"),
                "-key", str(pki / "admin.key"), "-namespace", namespace, "-op", op, "-n", str(count),
                "-c", str(clients)]  # fmt: skip
        done = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=True, env={**os.environ})
        row: dict[str, Any] = json.loads(done.stdout)
        return row

    for clients in (1, 16):
        lab.kubectl("create", "namespace", namespace)
        try:
            for op in ("create", "get", "patchstatus", "list", "delete", "put", *(["watch"] if clients == 1 else [])):
                yield _row(load(op, clients, _COUNTS[op]), op, clients)
        finally:
            lab.kubectl("delete", "namespace", namespace, timeout_s=300)


def _row(seen: dict[str, Any], op: str, clients: int) -> list[str]:
    rate, p50, p99 = API.get((op, clients), (0, 0, 0))
    ratio = f"{seen['per_second'] / rate:.2f}" if rate else (f"{p50 / seen['p50_ms']:.2f}" if p50 else "–")
    return [op, str(clients), f"{seen['per_second']:.0f}", f"{seen['p50_ms']:.1f}", f"{seen['p99_ms']:.1f}",
            str(seen["errors"]), f"{rate or '–'}", f"{p50}/{p99}", ratio]  # fmt: skip
