"""Paths and methods to verbs and resources."""

from __future__ import annotations

import pytest

from controlplane.apiserver.requestinfo import RequestInfo, parse

CASES = [
    ("GET", "/version", False, RequestInfo("get", "/version")),
    ("GET", "/api/v1", False, RequestInfo("get", "/api/v1")),
    ("GET", "/api/v1/pods", False, RequestInfo("list", "/api/v1/pods", "", "v1", "pods")),
    ("GET", "/api/v1/pods", True, RequestInfo("watch", "/api/v1/pods", "", "v1", "pods")),
    ("GET", "/api/v1/namespaces", False, RequestInfo("list", "/api/v1/namespaces", "", "v1", "namespaces")),
    (
        "GET",
        "/api/v1/namespaces/a",
        False,
        RequestInfo("get", "/api/v1/namespaces/a", "", "v1", "namespaces", name="a"),
    ),
    (
        "GET",
        "/api/v1/nodes/a",
        True,
        RequestInfo("get", "/api/v1/nodes/a", "", "v1", "nodes", name="a"),
    ),
    (
        "PUT",
        "/api/v1/namespaces/a/finalize",
        False,
        RequestInfo("update", "/api/v1/namespaces/a/finalize", "", "v1", "namespaces", "finalize", name="a"),
    ),
    (
        "POST",
        "/api/v1/namespaces/a/pods/p/binding",
        False,
        RequestInfo("create", "/api/v1/namespaces/a/pods/p/binding", "", "v1", "pods", "binding", "a", "p"),
    ),
    (
        "DELETE",
        "/apis/coordination.k8s.io/v1/namespaces/a/leases",
        False,
        RequestInfo(
            "deletecollection",
            "/apis/coordination.k8s.io/v1/namespaces/a/leases",
            "coordination.k8s.io",
            "v1",
            "leases",
            namespace="a",
        ),
    ),
    (
        "PATCH",
        "/api/v1/namespaces/a/services/status",
        False,
        RequestInfo("patch", "/api/v1/namespaces/a/services/status", "", "v1", "services", "", "a", "status"),
    ),
]


@pytest.mark.parametrize(("method", "path", "watching", "expected"), CASES, ids=[f"{c[0]} {c[1]}" for c in CASES])
def test_parse(method: str, path: str, watching: bool, expected: RequestInfo) -> None:
    assert parse(method, path, watching) == expected


@pytest.mark.parametrize("path", ["/", "", "//", "/api", "/apis/x", "/api//", "/api/v1/namespaces//pods//x/"])
def test_odd_paths_never_raise(path: str) -> None:
    parse("GET", path, False)
