"""Kubernetes' own figures, and what we set out to reach.

Measured with Kubernetes 1.36.2 (API server, etcd 3.6 with fsync, controller manager, scheduler and the load tool on
the same two cores; TLS, JSON, RBAC on). Machines differ: read them beside the calibration row of the same run.
"""

from __future__ import annotations

API = {
    ("create", 1): (368, 2.4, 9.1),
    ("create", 16): (877, 16.9, 44),
    ("get", 1): (769, 1.1, 5.1),
    ("get", 16): (2367, 6.0, 22),
    ("patchstatus", 1): (267, 3.4, 11),
    ("patchstatus", 16): (616, 23.8, 63),
    ("delete", 1): (222, 4.3, 10.7),
    ("delete", 16): (525, 27.9, 67),
    ("put", 1): (442, 2.1, 6.1),
    ("put", 16): (1344, 10.7, 31),
    ("list", 1): (29, 32, 66),
    ("list", 16): (60, 210, 419),
    ("watch", 1): (0, 2.3, 4.7),
}
"""(operation, clients) → (requests a second, p50 ms, p99 ms); 0 where there is no figure."""

GOALS = {
    "failover p50": "≤ 5 s",
    "failover worst": "≤ 8 s",
    "longest gap of the Service": "≤ 4 s",
    "public address": "≤ 4 s",
    "create → Running p50": "≤ 0.7 s",
    "create → Running p99": "≤ 1.5 s",
    "control plane memory": "≤ 220 MiB",
    "worker memory": "≤ 90 MiB",
    "cpu of a daemon": "≤ 2 %",
}
KUBERNETES = {
    "failover p50": "347.6 s to eviction (defaults)",
    "control plane memory": "494 MiB idle",
}
