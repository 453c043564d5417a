"""Service account tokens: JSON web tokens signed with the lab's `sa.key`.

A token names its service account and the account's uid, so that it dies with the account, and with the pod that it
is bound to; both are looked up for every request. Verified signatures are remembered for the token's life, since
they are the costly part.

Follows kubernetes/pkg/serviceaccount/{jwt,claims}.go and pkg/registry/core/serviceaccount/storage/token.go.
"""

from __future__ import annotations

import time
import uuid
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from controlplane.api.document import Document
from controlplane.apiserver.identity import SERVICE_ACCOUNT_PREFIX, User, service_account

REMEMBERED = 1024
"""So many verified tokens are kept; the oldest goes first."""

Lookup = Callable[[str, str, str], Document | None]
"""Reads another object: (resource as in store keys, namespace, name)."""


class InvalidToken(Exception):
    """Why a token isn't accepted; for the log, never for the client."""


@dataclass(frozen=True)
class Grant:
    """What a token is made for."""

    namespace: str
    name: str
    uid: str
    audiences: tuple[str, ...]
    lifetime_s: int
    pod: tuple[str, str] | None = None
    """Name and uid of the pod that it is bound to."""


class Tokens:
    """Makes and verifies tokens; safe to use from several threads."""

    def __init__(self, key_file: str, issuer: str, lookup: Lookup) -> None:
        key = load_pem_private_key(Path(key_file).read_bytes(), password=None)
        if isinstance(key, rsa.RSAPrivateKey):
            self._algorithm = "RS256"
        elif isinstance(key, ec.EllipticCurvePrivateKey):
            self._algorithm = "ES256"
        else:
            raise ValueError(f"{key_file}: neither an RSA nor an EC key")
        self._key = key
        self._public = key.public_key()
        spki = self._public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self._key_id = sha256(spki).hexdigest()[:32]
        self._lookup = lookup
        self._verified: OrderedDict[bytes, dict[str, Any]] = OrderedDict()
        self.issuer = issuer

    def issue(self, grant: Grant) -> tuple[str, int]:
        """A signed token and the second at which it expires."""
        now = int(time.time())
        expires = now + grant.lifetime_s
        private: dict[str, Any] = {
            "namespace": grant.namespace,
            "serviceaccount": {"name": grant.name, "uid": grant.uid},
        }
        if grant.pod:
            private["pod"] = {"name": grant.pod[0], "uid": grant.pod[1]}
        claims = {
            "iss": self.issuer,
            "sub": f"{SERVICE_ACCOUNT_PREFIX}{grant.namespace}:{grant.name}",
            "aud": list(grant.audiences or (self.issuer,)),
            "iat": now,
            "nbf": now,
            "exp": expires,
            "jti": str(uuid.uuid4()),
            "kubernetes.io": private,
        }
        return jwt.encode(claims, self._key, self._algorithm, headers={"kid": self._key_id}), expires

    def authenticate(self, token: str) -> User:
        """The service account behind the token.

        Raises: InvalidToken.
        """
        claims = self._claims(token)
        if claims["exp"] <= time.time():
            raise InvalidToken("expired")
        private = claims.get("kubernetes.io")
        if not isinstance(private, dict):
            raise InvalidToken("no kubernetes.io claim")
        namespace, account = private.get("namespace"), private.get("serviceaccount")
        if not isinstance(namespace, str) or not isinstance(account, dict):
            raise InvalidToken("kubernetes.io claim out of form")
        name, uid = str(account.get("name")), str(account.get("uid"))
        self._require("serviceaccounts", namespace, name, uid)
        extra = {"authentication.kubernetes.io/credential-id": f"JTI={claims.get('jti', '')}"}
        pod = private.get("pod")
        if isinstance(pod, dict):
            self._require("pods", namespace, str(pod.get("name")), str(pod.get("uid")))
            extra["authentication.kubernetes.io/pod-name"] = str(pod.get("name"))
        return service_account(namespace, name, uid, extra)

    def _claims(self, token: str) -> dict[str, Any]:
        digest = sha256(token.encode("utf-8", "surrogateescape")).digest()
        known = self._verified.get(digest)
        if known is not None:
            return known
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._public,
                algorithms=[self._algorithm],
                audience=self.issuer,
                issuer=self.issuer,
                options={"require": ["exp", "iat", "sub"]},
            )
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise InvalidToken(str(error)) from None
        self._verified[digest] = claims
        while len(self._verified) > REMEMBERED:
            self._verified.popitem(last=False)
        return claims

    def _require(self, resource: str, namespace: str, name: str, uid: str) -> None:
        found = self._lookup(resource, namespace, name)
        if found is None or found.uid != uid:
            raise InvalidToken(f"{resource} {namespace}/{name} with uid {uid} is gone")
