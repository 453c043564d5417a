"""Role pki: the lab's authority, and on each node no more than is its own."""

import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from testinfra.host import Host

from tests.testinfra.conftest import Lab
from tests.testinfra.support import PKI

EVERY_NODE = {"ca.crt"} | {
    f"{name}.{half}" for name in ("kubelet", "kubelet-server", "proxy") for half in ("crt", "key")
}
MASTER = {"sa.key", "sa.pub"} | {
    f"{name}.{half}"
    for name in ("apiserver", "apiserver-kubelet-client", "scheduler", "controller-manager", "registry")
    for half in ("crt", "key")
}
OWNERS = {"kubelet": "root", "kubelet-server": "root", "proxy": "root", "registry": "docker-registry"}


def certificate(host: Host, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(host.file(f"{PKI}/{name}.crt").content)


def test_a_node_has_what_is_its_own(node: Host, lab: Lab, name: str) -> None:
    expected = EVERY_NODE | (MASTER if name in lab.masters else set())
    assert set(node.check_output(f"ls {PKI}").split()) == expected


def test_a_key_is_readable_by_the_one_account_that_needs_it(node: Host) -> None:
    for row in node.check_output(f"stat -c '%a %U %n' {PKI}/*.key").splitlines():
        mode, owner, path = row.split()
        assert (mode, owner) == ("600", OWNERS.get(Path(path).stem, "kubelab")), path


def test_every_certificate_was_signed_by_the_lab(node: Host, lab: Lab) -> None:
    authority = x509.load_pem_x509_certificate((lab.pki / "ca.crt").read_bytes())
    certificates = x509.load_pem_x509_certificates(node.check_output(f"cat {PKI}/*.crt").encode())
    assert authority in certificates
    for found in certificates:
        found.verify_directly_issued_by(authority)


def test_a_node_is_who_it_is(node: Host, lab: Lab, name: str) -> None:
    known_as = lab.of(name, "node_name")
    assert certificate(node, "kubelet").subject.rfc4514_string() == f"CN=system:node:{known_as},O=system:nodes"
    assert (
        certificate(node, "proxy").subject.rfc4514_string()
        == f"CN=system:kube-proxy:{known_as},O=system:node-proxier"
    )
    names = certificate(node, "kubelet-server").extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [known_as]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == [lab.of(name, "node_address")]


def test_the_api_servers_names(master: Host, lab: Lab, name: str) -> None:
    names = certificate(master, "apiserver").extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(names.get_values_for_type(x509.DNSName)) >= {
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "localhost",
        lab.of(name, "node_name"),
    }
    assert {str(ip) for ip in names.get_values_for_type(x509.IPAddress)} == {
        "127.0.0.1",
        lab.of(name, "node_address"),
        lab.of(name, "lab_service_address", "10.96.0.1"),
    }


@pytest.mark.parametrize(
    ("name_", "subject", "usage"),
    [
        ("scheduler", "CN=system:kube-scheduler", ExtendedKeyUsageOID.CLIENT_AUTH),
        ("controller-manager", "CN=system:kube-controller-manager", ExtendedKeyUsageOID.CLIENT_AUTH),
        (
            "apiserver-kubelet-client",
            "CN=kube-apiserver-kubelet-client,O=system:masters",
            ExtendedKeyUsageOID.CLIENT_AUTH,
        ),
        ("apiserver", "CN=kube-apiserver", ExtendedKeyUsageOID.SERVER_AUTH),
        ("registry", "CN=registry", ExtendedKeyUsageOID.SERVER_AUTH),
    ],
)
def test_identities_of_the_master(master: Host, name_: str, subject: str, usage: x509.ObjectIdentifier) -> None:
    found = certificate(master, name_)
    assert found.subject.rfc4514_string() == subject
    assert list(found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [usage]


def test_secrets_on_the_host_are_their_owners_alone(lab: Lab) -> None:
    assert stat.S_IMODE(lab.pki.stat().st_mode) == 0o700
    secrets = [*lab.pki.glob("*.key"), Path(lab.of(lab.masters[0], "lab_kubeconfig", str(lab.folder / "kubeconfig")))]
    assert len(secrets) > 10
    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets} == {0o600}
