"""The daemon's configuration and what wakes it."""

from pathlib import Path

import pytest

from controlplane.daemon import load_config
from loadbalancer.main import ProxyConfig, _on_network_change
from tests.support.toml import write_toml
from tests.unit.loadbalancer.make import node

GOOD = {
    "node_name": "worker-1",
    "node_address": "10.77.0.11",
    "server": "https://10.77.0.10:6443",
    "ca_file": "/etc/kubelab/pki/ca.crt",
    "cert_file": "/etc/kubelab/pki/proxy.crt",
    "key_file": "/etc/kubelab/pki/proxy.key",
    "cluster_cidr": "10.244.0.0/16",
    "pod_cidr": "10.244.1.0/24",
    "service_cidr": "10.96.0.0/16",
    "interface": "host0",
    "external_pool": "10.77.0.200-10.77.0.250",
}


def load(path: Path, **changes: str) -> ProxyConfig:
    file = write_toml(path / "proxy.toml", {**GOOD, **changes})
    return load_config("kubelab-proxy", ProxyConfig, ["--config", str(file)])


def test_a_whole_configuration(tmp_path: Path) -> None:
    config = load(tmp_path, iptables_backend="legacy")
    assert config.iptables_backend == "legacy"
    assert config.facts().node_addresses == ("10.77.0.11",)


@pytest.mark.parametrize(
    "change",
    [
        {"node_address": "worker-1"},
        {"pod_cidr": "10.245.1.0/24"},
        {"service_cidr": "10.96.0.5/16"},
        {"external_pool": "10.77.0.250-10.77.0.200"},
        {"iptables_backend": "ebtables"},
        {"unknown": "key"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_mistake_is_one_clear_line(
    tmp_path: Path, change: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        load(tmp_path, **change)
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "proxy.toml" in said


def test_only_what_concerns_the_network_of_a_node_wakes_the_proxy() -> None:
    woken: list[int] = []
    on_change = _on_network_change(lambda: woken.append(1))
    before, after = node("w", "10.77.0.12", "10.244.2.0/24"), node("w", "10.77.0.12", "10.244.2.0/24")
    on_change(before, after)
    assert not woken
    after.status.addresses = None
    on_change(before, after)
    on_change(before, None)
    on_change(None, before)
    assert len(woken) == 3
