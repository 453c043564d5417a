"""The authority keeps a certificate exactly as long as it says what is asked for."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from ansible_collections.kubelab.lab.plugins.plugin_utils import authority as pki
from cryptography import x509

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
MARGIN_DAYS = 30
SERVER = pki.Request(
    common_name="kube-apiserver", dns_names=("kubernetes", "master"), addresses=("10.96.0.1",), usage="server"
)


@pytest.fixture(scope="module")
def authority() -> pki.Authority:
    return pki.new_authority("kubelab", NOW, days=3650)


def pair_for(request: pki.Request, authority: pki.Authority, days: int = 365) -> tuple[bytes, bytes]:
    certificate, key = pki.issue(request, authority, NOW, days)
    return pki.certificate_pem(certificate), pki.key_pem(key)


def test_a_certificate_says_user_groups_names_and_usage(authority: pki.Authority) -> None:
    request = pki.Request("system:node:worker-1", ("system:nodes",))
    certificate, key = pki.issue(request, authority, NOW, 365)
    assert certificate.subject.rfc4514_string() == "CN=system:node:worker-1,O=system:nodes"
    assert list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [pki.USAGES["client"]]
    assert certificate.public_key() == key.public_key()
    assert certificate.not_valid_before_utc <= NOW - timedelta(hours=1), "clocks differ"
    certificate.verify_directly_issued_by(authority.certificate)


def test_a_fresh_certificate_stays(authority: pki.Authority) -> None:
    assert pki.reason_to_renew(SERVER, pair_for(SERVER, authority), authority, NOW, MARGIN_DAYS) is None


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        pytest.param(replace(SERVER, common_name="other"), "subject changed", id="user"),
        pytest.param(replace(SERVER, organizations=("system:masters",)), "subject changed", id="groups"),
        pytest.param(replace(SERVER, dns_names=("kubernetes",)), "names changed", id="a name fewer"),
        pytest.param(replace(SERVER, addresses=("10.96.0.1", "10.77.0.10")), "names changed", id="an address more"),
        pytest.param(replace(SERVER, usage="client"), "usage changed", id="usage"),
    ],
)
def test_another_content_is_a_reason(authority: pki.Authority, changed: pki.Request, reason: str) -> None:
    assert pki.reason_to_renew(changed, pair_for(SERVER, authority), authority, NOW, MARGIN_DAYS) == reason


def test_the_end_of_validity_is_a_reason(authority: pki.Authority) -> None:
    pair = pair_for(SERVER, authority, days=60)
    late = NOW + timedelta(days=31)
    assert pki.reason_to_renew(SERVER, pair, authority, NOW, MARGIN_DAYS) is None
    assert pki.reason_to_renew(SERVER, pair, authority, late, MARGIN_DAYS) == "about to expire"


def test_nothing_there_is_a_reason(authority: pki.Authority) -> None:
    assert pki.reason_to_renew(SERVER, None, authority, NOW, MARGIN_DAYS) == "missing"


def test_another_authority_is_a_reason(authority: pki.Authority) -> None:
    other = pki.new_authority("kubelab", NOW, days=3650)
    reason = pki.reason_to_renew(SERVER, pair_for(SERVER, other), authority, NOW, MARGIN_DAYS)
    assert reason is not None
    assert reason.startswith("unusable")


@pytest.mark.parametrize("broken", [b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n", b"\x00\xff"])
def test_a_broken_file_is_a_reason(authority: pki.Authority, broken: bytes) -> None:
    certificate, key = pair_for(SERVER, authority)
    for pair in ((broken, key), (certificate, broken)):
        assert pki.reason_to_renew(SERVER, pair, authority, NOW, MARGIN_DAYS) is not None


def test_an_interrupted_renewal_is_a_reason(authority: pki.Authority) -> None:
    old, new = pair_for(SERVER, authority), pair_for(SERVER, authority)
    assert pki.reason_to_renew(SERVER, (old[0], new[1]), authority, NOW, MARGIN_DAYS) == "key does not match"


def test_a_certificate_never_outlives_its_authority() -> None:
    short = pki.new_authority("kubelab", NOW, days=40)
    certificate, _ = pki.issue(SERVER, short, NOW, days=365)
    assert certificate.not_valid_after_utc <= short.certificate.not_valid_after_utc


def test_an_authority_comes_back_from_its_files_and_only_with_its_own_key(authority: pki.Authority) -> None:
    certificate, key = pki.certificate_pem(authority.certificate), pki.key_pem(authority.key)
    assert pki.load_authority(certificate, key).certificate == authority.certificate
    with pytest.raises(ValueError, match="does not match"):
        pki.load_authority(certificate, pki.key_pem(pki.new_key()))
