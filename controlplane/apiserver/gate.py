"""The gate that every request passes, streams included: who is it, and may they?

There is no anonymous access at all: a request without a verified client certificate or a valid token gets 401, also
for paths that don't exist. What passes has `call.user` set and `can(...)` asked.
"""

from __future__ import annotations

import logging
import time

from controlplane.api.errors import ApiError
from controlplane.apiserver.authz import can, refusal
from controlplane.apiserver.call import Call
from controlplane.apiserver.identity import Peer, User
from controlplane.apiserver.tokens import InvalidToken, Tokens
from controlplane.daemon import event

log = logging.getLogger(__name__)


def authenticate(call: Call, peer: Peer | None, tokens: Tokens) -> User:
    """The user behind the certificate, else behind the bearer token.

    Raises: ApiError 401.
    """
    if peer is not None and peer.not_after_s > time.time():
        return peer.user
    header = call.headers.get("authorization", "")
    scheme, _, token = header.partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        try:
            return tokens.authenticate(token.strip())
        except InvalidToken as error:
            event(log, "token-refused", error=error)
    raise ApiError.unauthorized()


def admit(call: Call, peer: Peer | None, tokens: Tokens) -> None:
    """Lets the request through with its user, or not.

    Raises: ApiError 401 or 403.
    """
    call.user = authenticate(call, peer, tokens)
    if "impersonate-user" in call.headers or "impersonate-uid" in call.headers:
        raise ApiError.forbidden("impersonation is not supported")
    decision = can(call.user, call.info)
    if not decision.allowed:
        info = call.info
        details = {"name": info.name, "group": info.group, "kind": info.resource}
        raise ApiError.forbidden(
            refusal(call.user, info, decision), {name: text for name, text in details.items() if text}
        )
