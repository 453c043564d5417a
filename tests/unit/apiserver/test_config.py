"""A configuration that can't be used is one clear line."""

from __future__ import annotations

from pathlib import Path

import pytest

from controlplane.apiserver.config import ConfigError, load
from controlplane.apiserver.main import main

FILES = (
    "tls_cert_file", "tls_key_file", "client_ca_file", "kubelet_client_cert_file", "kubelet_client_key_file",
    "kubelet_ca_file", "service_account_key_file", "redis_password_file",
)  # fmt: skip


def write(directory: Path, **changes: object) -> str:
    present = directory / "file"
    present.write_text("x")
    values: dict[str, object] = {name: str(present) for name in FILES}
    values |= {"advertise_address": "10.77.0.10", **changes}
    path = directory / "apiserver.toml"
    lines = [
        f"{name} = {value}" if isinstance(value, int) else f'{name} = "{value}"' for name, value in values.items()
    ]
    path.write_text("\n".join(lines))
    return str(path)


def test_a_good_one(tmp_path: Path) -> None:
    config = load(write(tmp_path))
    assert (config.port, config.profile, config.node_ports) == (6443, "lab", range(30000, 32768))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"prot": 1}, "prot"),
        ({"port": "x"}, "port"),
        ({"port": 70000}, "70000"),
        ({"profile": "fast"}, "'fast' is none of lab, kubernetes"),
        ({"advertise_address": "master"}, "advertise_address"),
        ({"service_cidr": "10.96.0.1/16"}, "service_cidr"),
        ({"node_port_range": "32767-30000"}, "node_port_range"),
        ({"node_port_range": "many"}, "node_port_range"),
        ({"tls_key_file": "/nowhere/key"}, "tls_key_file: /nowhere/key is not there"),
    ],
)
def test_a_bad_one_names_the_key(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load(write(tmp_path, **changes))


def test_exit_code_2_and_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", str(tmp_path / "none.toml")]) == 2
    assert capsys.readouterr().err == f"kubelab-apiserver: {tmp_path}/none.toml: No such file or directory\n"
