"""Who gets in: certificates, tokens, and nobody else (bad input 1)."""

from __future__ import annotations

import json
from datetime import timedelta

import jwt
import pytest
import requests

from tests.integration.apiserver.support import Api, assert_status
from tests.support.pki import Authority
from tests.support.server import RunningServer, Session

PATHS = [
    "/api/v1/pods", "/api", "/version", "/version/", "/healthz", "/livez", "/readyz", "/metrics", "/openapi/v3",
    "/no/such/path", "/", "/api/v1/namespaces/default/pods/x/log", "/api/v1/pods?watch=true",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_nobody_gets_401_everywhere(server: RunningServer, path: str) -> None:
    response = server.session("").get(path)
    assert_status(response, 401, "Unauthorized")
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("token", ["x", "a.b.c", "Ünïcode", ""])
def test_a_wrong_token_is_401(server: RunningServer, token: str) -> None:
    session = server.session("")
    session.headers["Authorization"] = f"Bearer {token}".encode()
    assert_status(session.get("/api/v1/pods"), 401, "Unauthorized")


def account_token(api: Api, **spec: object) -> str:
    api.call("POST", "serviceaccounts", {"metadata": {"name": "robot"}})
    body = {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "spec": spec}
    return str(api.ok("POST", "serviceaccounts/robot/token", body)["status"]["token"])


def test_a_service_account_sees_its_namespace_and_nothing_else(server: RunningServer, api: Api) -> None:
    robot = server.session("", token=account_token(api))
    assert robot.get(f"/api/v1/namespaces/{api.namespace}/pods").status_code == 200
    assert robot.get("/version").status_code == 200
    body = assert_status(robot.get("/api/v1/namespaces/default/pods"), 403, "Forbidden")
    assert body["message"] == (
        f'pods is forbidden: User "system:serviceaccount:{api.namespace}:robot" cannot list resource "pods" '
        'in API group "" in the namespace "default"'
    )
    assert_status(robot.get(f"/api/v1/namespaces/{api.namespace}/secrets"), 403)
    assert_status(robot.post(f"/api/v1/namespaces/{api.namespace}/pods", data="{}"), 403)


def test_a_token_dies_with_its_account(server: RunningServer, api: Api) -> None:
    robot = server.session("", token=account_token(api))
    assert robot.get("/version").status_code == 200
    api.ok("DELETE", "serviceaccounts/robot")
    assert_status(robot.get("/version"), 401)
    api.ok("POST", "serviceaccounts", {"metadata": {"name": "robot"}})
    assert_status(robot.get("/version"), 401)


def test_an_expired_token_is_401(server: RunningServer, api: Api) -> None:
    token = account_token(api)
    claims = jwt.decode(token, options={"verify_signature": False})
    key = (server.directory / "pki" / "sa.key").read_bytes()
    stale = jwt.encode({**claims, "exp": claims["iat"] - 1}, key, "ES256")
    fresh = jwt.encode(claims, key, "ES256")
    assert server.session("", token=fresh).get("/version").status_code == 200
    assert_status(server.session("", token=stale).get("/version"), 401, "Unauthorized")


def test_a_token_request_is_checked(api: Api) -> None:
    api.ok("POST", "serviceaccounts", {"metadata": {"name": "robot"}})
    short = {"spec": {"expirationSeconds": 10}}
    body = api.refused(422, "Invalid", "POST", "serviceaccounts/robot/token", short)
    assert body["details"]["causes"][0]["field"] == "spec.expirationSeconds"
    api.refused(404, "NotFound", "POST", "serviceaccounts/nobody/token", {})


@pytest.mark.parametrize("which", ["foreign", "expired"])
def test_a_foreign_or_expired_certificate_fails(server: RunningServer, which: str) -> None:
    if which == "foreign":
        pair = Authority(server.directory / "foreign", "foreign-ca").client("kubernetes-admin", "system:masters")
    else:
        pair = server.authority.client("late", "system:masters", lifetime=timedelta(hours=-1))
    with Session(server.url, server.ca, pair) as session, pytest.raises(requests.ConnectionError):
        session.get("/version")


def test_a_stranger_reads_what_the_api_is(server: RunningServer) -> None:
    stranger = server.session("stranger")
    assert stranger.get("/apis").status_code == 200
    assert_status(stranger.get("/api/v1/nodes"), 403, "Forbidden")


def test_a_node_writes_itself_only(server: RunningServer) -> None:
    node = server.session("node:worker-9")
    body = {"metadata": {"name": "worker-9"}}
    assert node.post("/api/v1/nodes", data=json.dumps(body)).status_code == 201
    assert_status(node.patch("/api/v1/nodes/worker-8/status", data="{}"), 403, "Forbidden")
    assert_status(node.get("/api/v1/secrets"), 403, "Forbidden")
    assert node.get("/api/v1/pods").status_code == 200


def test_impersonation_is_refused_not_ignored(server: RunningServer) -> None:
    assert_status(server.session("admin").get("/api", headers={"Impersonate-User": "somebody"}), 403, "Forbidden")


def test_kubectl_create_token(server: RunningServer, api: Api) -> None:
    api.ok("POST", "serviceaccounts", {"metadata": {"name": "robot"}})
    token = server.kubectl("create", "token", "robot", "-n", api.namespace).stdout.strip()
    assert server.session("", token=token).get("/version").status_code == 200


def test_no_secret_and_no_token_in_the_logs(server: RunningServer, api: Api) -> None:
    token = account_token(api)
    server.session("", token=token).get("/version")
    api.ok("POST", "secrets", {"metadata": {"name": "s"}, "stringData": {"password": "open-sesame"}})
    api.refused(422, "Invalid", "POST", "secrets", {"metadata": {"name": "NO"}, "stringData": {"p": "open-sesame"}})
    audit = server.directory / "state" / "audit.log"
    for text in (server.log.read_text(), audit.read_text() if audit.exists() else ""):
        assert "open-sesame" not in text
        assert token not in text
