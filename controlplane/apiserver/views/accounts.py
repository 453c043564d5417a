"""`serviceaccounts/NAME/token`: a signed token for a service account (`kubectl create token`).

Follows pkg/registry/core/serviceaccount/storage/token.go.
"""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Flask, Response

from controlplane.api import causes, times
from controlplane.api.errors import ApiError, Cause
from controlplane.apiserver import codec
from controlplane.apiserver.registry import Obj, Resource
from controlplane.apiserver.respond import answer_object
from controlplane.apiserver.services import Services
from controlplane.apiserver.tokens import Grant
from controlplane.apiserver.views import current_call
from controlplane.apiserver.views.items import scope_of

VERSION = "authentication.k8s.io/v1"
SHORTEST_S, LONGEST_S, DEFAULT_S = 600, 2**32, 3600


def register(app: Flask, services: Services, resource: Resource) -> None:
    """Adds the route that the registry entry names."""
    if "token" not in resource.subresources:
        return

    def create(namespace: str, name: str) -> Response:
        call = current_call()
        request = codec.read_object(call, VERSION, "TokenRequest", "authentication.v1.TokenRequest")
        backend = services.backend
        account = backend.lookup(resource.key, namespace, name)
        if account is None:
            raise ApiError.not_found(resource.plural, name)
        spec = request.get("spec") or {}
        lifetime_s = spec.get("expirationSeconds") or DEFAULT_S
        _check_lifetime(lifetime_s, name)
        bound = spec.get("boundObjectRef")
        pod = _bound_pod(services, namespace, name, bound) if bound else None
        audiences = tuple(spec.get("audiences") or (backend.tokens.issuer,))
        token, expires = backend.tokens.issue(Grant(namespace, name, account.uid, audiences, lifetime_s, pod))
        answer: Obj = {
            "kind": "TokenRequest",
            "apiVersion": VERSION,
            "metadata": {"name": name, "namespace": namespace, "creationTimestamp": times.time(datetime.now(UTC))},
            "spec": {"audiences": list(audiences), "expirationSeconds": lifetime_s, "boundObjectRef": bound},
            "status": {"token": token, "expirationTimestamp": times.time(datetime.fromtimestamp(expires, UTC))},
        }
        return answer_object(answer, 201)

    app.add_url_rule(f"{scope_of(resource)}/<name>/token", f"{resource.key}:token", create, methods=["POST"])


def _check_lifetime(lifetime_s: int, name: str) -> None:
    why = ""
    if lifetime_s < SHORTEST_S:
        why = "may not specify a duration less than 10 minutes"
    elif lifetime_s > LONGEST_S:
        why = "may not specify a duration larger than 2^32 seconds"
    if why:
        cause = causes.invalid("spec.expirationSeconds", lifetime_s, why)
        raise ApiError.invalid("TokenRequest", name, [cause], "authentication.k8s.io")


def _bound_pod(services: Services, namespace: str, account: str, bound: Obj) -> tuple[str, str]:
    """Name and uid of the pod that the token is bound to.

    Raises: ApiError 404, 409, 422.
    """
    if bound.get("kind") != "Pod" or bound.get("apiVersion", "v1") != "v1":
        cause = Cause(
            "spec.boundObjectRef.kind", "FieldValueNotSupported", 'Unsupported value: supported values: "Pod"'
        )
        raise ApiError.invalid("TokenRequest", account, [cause], "authentication.k8s.io")
    name = str(bound.get("name", ""))
    pod = services.backend.lookup("pods", namespace, name)
    if pod is None:
        raise ApiError.not_found("pods", name)
    if bound.get("uid") and bound["uid"] != pod.uid:
        raise ApiError.conflict(
            "pods", name, f"the UID in the bound object reference ({bound['uid']}) does not match"
        )
    if pod.obj["spec"].get("serviceAccountName") != account:
        raise ApiError.bad_request(
            f"cannot bind token for serviceaccount {account!r} to pod running with another one"
        )
    return name, pod.uid
