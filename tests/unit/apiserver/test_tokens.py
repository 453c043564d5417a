"""Service account tokens: signed, expiring, and dead with their account or pod."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import jwt
import pytest

from controlplane.api.document import Document
from controlplane.apiserver.tokens import Grant, InvalidToken, Tokens
from tests.support.pki import write_key

ISSUER = "https://kubernetes.default.svc.cluster.local"
GRANT = Grant("a", "default", "uid-1", (), 3600)


class World:
    """What the tokens' look-ups find."""

    def __init__(self) -> None:
        self.objects = {("serviceaccounts", "a", "default"): "uid-1", ("pods", "a", "p"): "uid-p"}

    def __call__(self, resource: str, namespace: str, name: str) -> Document | None:
        uid = self.objects.get((resource, namespace, name))
        return Document.of({"metadata": {"name": name, "uid": uid}}) if uid else None


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def tokens(tmp_path: Path, world: World) -> Tokens:
    return Tokens(str(write_key(tmp_path / "sa.key")), ISSUER, world)


def test_round_trip(tokens: Tokens) -> None:
    token, expires = tokens.issue(GRANT)
    for _ in range(2):  # the second time from memory
        user = tokens.authenticate(token)
        assert user.name == "system:serviceaccount:a:default"
        assert user.groups == {"system:serviceaccounts", "system:serviceaccounts:a", "system:authenticated"}
    assert expires == pytest.approx(time.time() + 3600, abs=5)


@pytest.mark.parametrize("remembered", [False, True])
def test_an_expired_token_is_refused(tokens: Tokens, monkeypatch: pytest.MonkeyPatch, remembered: bool) -> None:
    if remembered:
        token, _ = tokens.issue(GRANT)
        tokens.authenticate(token)
        monkeypatch.setattr(time, "time", lambda: 1e11)
    else:
        token, _ = tokens.issue(Grant("a", "default", "uid-1", (), -10))
    with pytest.raises(InvalidToken):
        tokens.authenticate(token)


@pytest.mark.parametrize(
    "grant",
    [
        Grant("a", "default", "uid-1", ("https://elsewhere",), 3600),
        Grant("a", "default", "uid-of-an-account-before", (), 3600),
        Grant("a", "gone", "uid-1", (), 3600),
        Grant("a", "default", "uid-1", (), 3600, pod=("p", "another-uid")),
    ],
    ids=["audience", "account made anew", "no account", "pod made anew"],
)
def test_what_it_names_must_be_there(tokens: Tokens, grant: Grant) -> None:
    token, _ = tokens.issue(grant)
    with pytest.raises(InvalidToken):
        tokens.authenticate(token)


def test_a_remembered_token_dies_with_its_pod(tokens: Tokens, world: World) -> None:
    token, _ = tokens.issue(Grant("a", "default", "uid-1", (), 3600, pod=("p", "uid-p")))
    tokens.authenticate(token)
    del world.objects["pods", "a", "p"]
    with pytest.raises(InvalidToken):
        tokens.authenticate(token)


def forged(claims: Mapping[str, object]) -> list[str]:
    return [
        jwt.encode(dict(claims), "", "none"),
        jwt.encode(dict(claims), "k" * 32, "HS256"),
    ]


def test_forged_tokens_are_refused(tokens: Tokens, tmp_path: Path, world: World) -> None:
    other, _ = Tokens(str(write_key(tmp_path / "other.key")), ISSUER, world).issue(GRANT)
    claims = jwt.decode(other, options={"verify_signature": False})
    for token in ("", "x", "a.b.c", "ä.ö.ü", other, *forged(claims)):
        with pytest.raises(InvalidToken):
            tokens.authenticate(token)
