# Copyright: the kubelab authors. Licensed under the Apache License 2.0.
"""The lab's certificate authority: what a certificate must be, whether one still is, and how it is made.

What always holds: a certificate is kept as long as it says exactly what is asked for, was signed by the
authority at hand, matches its key and stays valid for the renewal margin; else it is made anew, with a new key.
Keys are ECDSA P-256: made in a millisecond, and the API server's handshakes are cheap with them. Certificates are
valid from a day before they were made, so that a machine whose clock is behind accepts them.

Called by the action plugin `kubelab.lab.certificates`. No clock and no files here. Compare kubeadm's
cmd/kubeadm/app/phases/certs.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

BACKDATED = timedelta(days=1)
USAGES = {"client": ExtendedKeyUsageOID.CLIENT_AUTH, "server": ExtendedKeyUsageOID.SERVER_AUTH}


@dataclass(frozen=True)
class Request:
    """What a certificate shall say."""

    common_name: str
    organizations: tuple[str, ...] = ()
    dns_names: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    usage: str = "client"

    def subject(self) -> x509.Name:
        """User name as CN, groups as O: how Kubernetes reads client certificates."""
        groups = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, name) for name in self.organizations]
        return x509.Name([*groups, x509.NameAttribute(NameOID.COMMON_NAME, self.common_name)])

    def alternatives(self) -> list[x509.GeneralName]:
        """The subject's alternative names, in the order given."""
        names: list[x509.GeneralName] = [x509.DNSName(name) for name in self.dns_names]
        return names + [x509.IPAddress(ipaddress.ip_address(address)) for address in self.addresses]


@dataclass(frozen=True)
class Authority:
    """The authority's certificate with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def public_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def load_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    """Raises: ValueError when it is no EC private key in PEM."""
    key = serialization.load_pem_private_key(pem, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("not an EC key")
    return key


def certificate_pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _key_usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def new_authority(common_name: str, now: datetime, days: int) -> Authority:
    """A self-signed authority that may sign leaves only."""
    key = new_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    certificate = (
        _builder(name, name, key, now, days)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Authority(certificate, key)


def issue(
    request: Request, authority: Authority, now: datetime, days: int
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """A certificate with a key of its own, signed by the authority, never outliving it."""
    key = new_key()
    left = authority.certificate.not_valid_after_utc - now
    builder = (
        _builder(request.subject(), authority.certificate.subject, key, now, min(days, left.days))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([USAGES[request.usage]]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False)
    )
    if request.alternatives():
        builder = builder.add_extension(x509.SubjectAlternativeName(request.alternatives()), critical=False)
    return builder.sign(authority.key, hashes.SHA256()), key


def load_authority(certificate_pem: bytes, key_pem: bytes) -> Authority:
    """Raises: ValueError when the two don't parse or don't belong together."""
    certificate, key = x509.load_pem_x509_certificate(certificate_pem), load_key(key_pem)
    if certificate.public_key() != key.public_key():
        raise ValueError("the authority's key does not match its certificate")
    return Authority(certificate, key)


def expires_within(certificate: x509.Certificate, now: datetime, days: int) -> bool:
    return certificate.not_valid_after_utc < now + timedelta(days=days)


def reason_to_renew(
    request: Request, pair: tuple[bytes, bytes] | None, authority: Authority, now: datetime, margin_days: int
) -> str | None:
    """Why the certificate and key at hand (PEM) can't stay, None when they can."""
    if pair is None:
        return "missing"
    try:
        certificate, key = x509.load_pem_x509_certificate(pair[0]), load_key(pair[1])
        certificate.verify_directly_issued_by(authority.certificate)
    except Exception as error:  # whatever is wrong with it, the cure is a new one
        return f"unusable ({type(error).__name__})"
    if certificate.public_key() != key.public_key():
        return "key does not match"
    if certificate.subject != request.subject():
        return "subject changed"
    if _alternatives_of(certificate) != request.alternatives():
        return "names changed"
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    if list(usage) != [USAGES[request.usage]]:
        return "usage changed"
    if expires_within(certificate, now, margin_days):
        return "about to expire"
    return None


def _alternatives_of(certificate: x509.Certificate) -> list[x509.GeneralName]:
    try:
        return list(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        return []
