"""Names are those that kube-proxy gives (the expected ones stand in its own tests)."""

import pytest

from loadbalancer import chains


def test_the_names_are_kube_proxys() -> None:
    assert chains.cluster("ns1/svc1:p80", "tcp") == "KUBE-SVC-XPGD46QRK7WJZT7O"
    assert chains.endpoint("ns1/svc1:p80", "tcp", "10.180.0.1:80") == "KUBE-SEP-SXIVWICOYRO3J4NJ"
    assert chains.external("ns2/svc2:p80", "tcp") == "KUBE-EXT-GNZBNJ2PO5MGZ6GT"
    assert chains.local("ns2/svc2:p80", "tcp") == "KUBE-SVL-GNZBNJ2PO5MGZ6GT"


def test_a_name_fits_into_iptables_limit_of_28_characters() -> None:
    assert len(chains.endpoint("n" * 63 + "/" + "s" * 63 + ":" + "p" * 15, "udp", "255.255.255.255:65535")) <= 28


@pytest.mark.parametrize("chain", ["KUBE-SERVICES", "KUBE-SEP-SXIVWICOYRO3J4NJ", "KUBELAB-GUARD"])
def test_ours(chain: str) -> None:
    assert chains.is_ours(chain)


@pytest.mark.parametrize("chain", ["PREROUTING", "DOCKER", "CNI-abc", "KUBE-KUBELET-CANARY", "KUBE-FIREWALL"])
def test_not_ours(chain: str) -> None:
    assert not chains.is_ours(chain)
