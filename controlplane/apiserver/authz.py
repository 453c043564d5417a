"""Who may do what: one question, `can(...)`, asked for every request.

The rules are fixed for now: administrators and the control plane may do everything; a node's agent and proxy read
everything but secrets and write what they need; a service account sees the API's description and its own
namespace. Role-based rules replace the body of `can` later, its callers stay.

Follows the shape of apiserver/pkg/authorization/authorizer/interfaces.go; nodes as
plugin/pkg/auth/authorizer/node, proxies as the bootstrap policy's system:node-proxier.
"""

from __future__ import annotations

from dataclasses import dataclass

from controlplane.apiserver.identity import MASTERS, NODES, PROXIES, User
from controlplane.apiserver.requestinfo import READS, RequestInfo

CONTROL_PLANE = frozenset({"system:kube-scheduler", "system:kube-controller-manager"})
DESCRIPTION = ("/api", "/apis", "/openapi", "/version", "/healthz", "/livez", "/readyz")
NODE_LEASES = "kube-node-lease"
EVENT_GROUPS = frozenset({"", "events.k8s.io"})
WRITES = frozenset({"create", "update", "patch"})


@dataclass(frozen=True)
class Decision:
    """Allowed or not, and why in a few words (for people who read the answer or the audit log)."""

    allowed: bool
    reason: str


ALLOWED = Decision(True, "")
DENIED = Decision(False, "no rule allows it")


def can(user: User, request: RequestInfo) -> Decision:
    """May `user` make this request? Pure; never raises."""
    if MASTERS in user.groups or user.name in CONTROL_PLANE:
        return ALLOWED
    if not request.resource:
        return _described(request)
    if NODES in user.groups:
        return _node(user, request)
    if PROXIES in user.groups:
        return _proxy(request)
    if user.account_namespace:
        return _service_account(user, request)
    return DENIED


def _described(request: RequestInfo) -> Decision:
    """Everybody who is known may read what the API is."""
    if request.verb not in ("get", "head", "options"):
        return DENIED
    if request.path == "/" or any(
        request.path == path or request.path.startswith(path + "/") for path in DESCRIPTION
    ):
        return ALLOWED
    return DENIED


def _node(user: User, request: RequestInfo) -> Decision:
    if request.verb in READS:
        return _reads_all_but_secrets(request)
    if _writes_events(request):
        return ALLOWED
    what = (request.resource, request.subresource, request.verb)
    mine = request.name in ("", user.node)
    match what:
        case ("nodes", "" | "status", "create" | "update" | "patch"):
            return ALLOWED if mine else Decision(False, f"{user.name} may write only its own node")
        case ("pods", "status", "update" | "patch") | ("pods", "", "delete"):
            return ALLOWED
        case ("leases", "", "create" | "update" | "patch" | "delete") if request.namespace == NODE_LEASES:
            return ALLOWED if mine else Decision(False, f"{user.name} may write only its own lease")
        case ("serviceaccounts", "token", "create"):
            return ALLOWED
    return DENIED


def _proxy(request: RequestInfo) -> Decision:
    if request.verb in READS:
        return _reads_all_but_secrets(request)
    return ALLOWED if _writes_events(request) else DENIED


def _service_account(user: User, request: RequestInfo) -> Decision:
    own = request.namespace == user.account_namespace
    if own and request.verb in READS:
        return _reads_all_but_secrets(request)
    return DENIED


def _reads_all_but_secrets(request: RequestInfo) -> Decision:
    if request.resource == "secrets":
        return Decision(False, "secrets are not read through this identity")
    return ALLOWED


def _writes_events(request: RequestInfo) -> bool:
    return (
        request.resource == "events"
        and request.group in EVENT_GROUPS
        and not request.subresource
        and request.verb in WRITES
    )


def refusal(user: User, request: RequestInfo, decision: Decision) -> str:
    """Upstream's sentence for a 403, with the reason where there is one."""
    why = f": {decision.reason}" if decision.reason and decision is not DENIED else ""
    if not request.resource:
        return f'User "{user.name}" cannot {request.verb} path "{request.path}"{why}'
    resource = f"{request.resource}/{request.subresource}" if request.subresource else request.resource
    scope = f'in the namespace "{request.namespace}"' if request.namespace else "at the cluster scope"
    name = f' "{request.name}"' if request.name else ""
    subject = f"{request.resource}.{request.group}" if request.group else request.resource
    return (
        f'{subject}{name} is forbidden: User "{user.name}" cannot {request.verb} resource "{resource}" '
        f'in API group "{request.group}" {scope}{why}'
    )
