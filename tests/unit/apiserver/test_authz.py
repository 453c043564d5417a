"""Who may do what."""

from __future__ import annotations

import pytest

from controlplane.apiserver.authz import can, refusal
from controlplane.apiserver.identity import User, service_account
from controlplane.apiserver.requestinfo import parse

ADMIN = User("kubernetes-admin", frozenset({"system:masters"}))
CONTROLLERS = User("system:kube-controller-manager", frozenset())
NODE = User("system:node:worker-1", frozenset({"system:nodes"}))
PROXY = User("system:kube-proxy:worker-1", frozenset({"system:node-proxier"}))
ACCOUNT = service_account("a", "default", "uid", {})
STRANGER = User("stranger", frozenset())
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"

CASES = [
    (ADMIN, "DELETE", "/api/v1/nodes/worker-1", True),
    (ADMIN, "GET", "/metrics", True),
    (CONTROLLERS, "POST", "/kubelab/terms/manager", True),
    (CONTROLLERS, "GET", "/api/v1/secrets", True),
    (NODE, "GET", "/api/v1/pods", True),
    (NODE, "GET", "/api/v1/namespaces/a/secrets/s", False),
    (NODE, "GET", "/api/v1/secrets", False),
    (NODE, "POST", "/api/v1/nodes", True),
    (NODE, "PATCH", "/api/v1/nodes/worker-1/status", True),
    (NODE, "PATCH", "/api/v1/nodes/worker-2/status", False),
    (NODE, "DELETE", "/api/v1/nodes/worker-1", False),
    (NODE, "PUT", "/api/v1/namespaces/a/pods/p/status", True),
    (NODE, "DELETE", "/api/v1/namespaces/a/pods/p", True),
    (NODE, "PUT", "/api/v1/namespaces/a/pods/p", False),
    (NODE, "POST", "/api/v1/namespaces/a/pods", False),
    (NODE, "POST", "/api/v1/namespaces/a/pods/p/binding", False),
    (NODE, "PUT", f"{LEASES}/worker-1", True),
    (NODE, "PUT", f"{LEASES}/worker-2", False),
    (NODE, "PUT", "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/worker-1", False),
    (NODE, "POST", "/api/v1/namespaces/a/events", True),
    (NODE, "POST", "/kubelab/terms/manager", False),
    (NODE, "GET", "/metrics", False),
    (PROXY, "GET", "/api/v1/services", True),
    (PROXY, "GET", "/api/v1/secrets", False),
    (PROXY, "PATCH", "/api/v1/namespaces/a/services/s", False),
    (PROXY, "POST", "/api/v1/namespaces/a/events", True),
    (ACCOUNT, "GET", "/version", True),
    (ACCOUNT, "GET", "/apis/coordination.k8s.io/v1", True),
    (ACCOUNT, "GET", "/readyz", True),
    (ACCOUNT, "GET", "/metrics", False),
    (ACCOUNT, "GET", "/versionx", False),
    (ACCOUNT, "GET", "/api/v1/namespaces/a/pods", True),
    (ACCOUNT, "GET", "/api/v1/namespaces/a/secrets", False),
    (ACCOUNT, "GET", "/api/v1/namespaces/b/pods", False),
    (ACCOUNT, "GET", "/api/v1/pods", False),
    (ACCOUNT, "DELETE", "/api/v1/namespaces/a/pods/p", False),
    (STRANGER, "GET", "/api", True),
    (STRANGER, "GET", "/api/v1/pods", False),
]


@pytest.mark.parametrize(
    ("user", "method", "path", "allowed"), CASES, ids=[f"{c[0].name} {c[1]} {c[2]}" for c in CASES]
)
def test_can(user: User, method: str, path: str, allowed: bool) -> None:
    assert can(user, parse(method, path, False)).allowed is allowed


def test_watching_is_reading() -> None:
    assert not can(NODE, parse("GET", "/api/v1/secrets", True)).allowed
    assert can(NODE, parse("GET", "/api/v1/pods", True)).allowed


def test_refusal_reads_as_upstreams() -> None:
    request = parse("GET", "/api/v1/namespaces/b/pods", False)
    assert refusal(ACCOUNT, request, can(ACCOUNT, request)) == (
        'pods is forbidden: User "system:serviceaccount:a:default" cannot list resource "pods" '
        'in API group "" in the namespace "b"'
    )
