"""Who is asking: the user behind a client certificate or a bearer token.

The common name of a certificate is the user, its organisations are the groups; the certificate itself was verified
against the lab's CA in the TLS handshake (a foreign or expired one fails there). Certificates outlive handshakes, so
the expiry is looked at again for each request.

Follows apiserver/pkg/authentication/request/x509/x509.go (CommonNameUserConversion).
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

AUTHENTICATED = "system:authenticated"
MASTERS = "system:masters"
NODES = "system:nodes"
PROXIES = "system:node-proxier"
SERVICE_ACCOUNTS = "system:serviceaccounts"
SERVICE_ACCOUNT_PREFIX = "system:serviceaccount:"


@dataclass(frozen=True)
class User:
    """An authenticated name and its groups; `extra` is what a token says besides."""

    name: str
    groups: frozenset[str]
    uid: str = ""
    extra: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def node(self) -> str:
        """The node's name when this is a node's agent, else empty."""
        prefix = "system:node:"
        if NODES in self.groups and self.name.startswith(prefix):
            return self.name[len(prefix) :]
        return ""

    @property
    def account_namespace(self) -> str:
        """The namespace when this is a service account, else empty."""
        if SERVICE_ACCOUNTS in self.groups and self.name.startswith(SERVICE_ACCOUNT_PREFIX):
            return self.name.split(":")[2]
        return ""


@dataclass(frozen=True)
class Peer:
    """A verified client certificate's user, and until when it may be believed (seconds since the epoch)."""

    user: User
    not_after_s: float


def from_certificate(certificate: Mapping[str, Any]) -> Peer | None:
    """The peer behind `ssl.getpeercert()`'s dict; None when it names nobody."""
    names: list[str] = []
    groups: set[str] = {AUTHENTICATED}
    for part in certificate.get("subject", ()):
        for key, value in part:
            if key == "commonName":
                names.append(value)
            elif key == "organizationName":
                groups.add(value)
    if not names or not names[0]:
        return None
    return Peer(User(names[0], frozenset(groups)), ssl.cert_time_to_seconds(certificate["notAfter"]))


def service_account(namespace: str, name: str, uid: str, extra: Mapping[str, str]) -> User:
    groups = frozenset({SERVICE_ACCOUNTS, f"{SERVICE_ACCOUNTS}:{namespace}", AUTHENTICATED})
    return User(f"{SERVICE_ACCOUNT_PREFIX}{namespace}:{name}", groups, uid, extra)
