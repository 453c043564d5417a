"""A configuration that can't be used is one clear line."""

from __future__ import annotations

from pathlib import Path

import pytest

from controlplane.apiserver.config import ServerConfig
from controlplane.apiserver.main import main
from controlplane.daemon import load_config
from tests.support.toml import write_toml

FILES = (
    "tls_cert_file", "tls_key_file", "client_ca_file", "kubelet_client_cert_file", "kubelet_client_key_file",
    "kubelet_ca_file", "service_account_key_file", "redis_password_file",
)  # fmt: skip


def write(directory: Path, **changes: object) -> str:
    present = directory / "file"
    present.write_text("x")
    values: dict[str, object] = {name: str(present) for name in FILES}
    values |= {"advertise_address": "10.77.0.10", **changes}
    return str(write_toml(directory / "apiserver.toml", values))


def load(path: str) -> ServerConfig:
    return load_config("kubelab-apiserver", ServerConfig, ["--config", path])


def test_a_good_one(tmp_path: Path) -> None:
    config = load(write(tmp_path))
    assert (config.port, config.profile, config.node_ports) == (6443, "lab", range(30000, 32768))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"prot": 1}, "prot"),
        ({"port": "x"}, "port"),
        ({"port": 70000}, "70000"),
        ({"profile": "fast"}, "'fast' does not exist; choose one of lab, kubernetes"),
        ({"advertise_address": "master"}, "advertise_address"),
        ({"service_cidr": "10.96.0.1/16"}, "service_cidr"),
        ({"node_port_range": "32767-30000"}, "node_port_range"),
        ({"node_port_range": "many"}, "node_port_range"),
        ({"tls_key_file": "/nowhere/key"}, "tls_key_file: /nowhere/key is not there"),
    ],
)
def test_a_bad_one_is_one_line_that_names_the_key(
    tmp_path: Path, changes: dict[str, object], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, **changes)
    with pytest.raises(SystemExit) as ended:
        load(path)
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(f"kubelab-apiserver: {path}: ")
    assert words in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("content", [None, b'port = "\xff"', b"port = "], ids=["no file", "no UTF-8", "no TOML"])
def test_a_file_that_is_none(tmp_path: Path, content: bytes | None, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "apiserver.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SystemExit):
        load(str(path))
    assert str(path) in capsys.readouterr().err


def test_a_state_folder_that_cant_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", write(tmp_path, state_dir=str(tmp_path / "file" / "state"))]) == 2
    assert capsys.readouterr().err.startswith("kubelab-apiserver: ")
