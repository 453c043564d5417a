"""The folder of certificates on the host: made once, left alone, repaired, never readable by others."""

import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.kubelab.lab.plugins.action import certificates
from ansible_collections.kubelab.lab.plugins.plugin_utils import authority as pki

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
ADMIN = {"admin": {"common_name": "kubernetes-admin", "organizations": ["system:masters"]}}


def run(path: Path, dry: bool = False) -> list[str]:
    """Make what is missing, as the task does; the list of what was made."""
    folder = certificates.Folder(path, {}, NOW)
    authority = folder.authority("kubelab", 3650, dry)
    for name, entry in ADMIN.items():
        folder.certificate(name, certificates.request_of(name, entry), authority, dry)
    folder.key_pair("sa", dry)
    made: list[str] = folder.made
    return made


def test_everything_is_made_once(tmp_path: Path) -> None:
    assert run(tmp_path) == ["ca (missing)", "admin (missing)", "sa (missing)"]
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert set(before) == {"ca.crt", "ca.key", "admin.crt", "admin.key", "sa.key", "sa.pub"}
    assert run(tmp_path) == []
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_keys_are_their_owners_alone(tmp_path: Path) -> None:
    run(tmp_path)
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob("*.key")} == {0o600}


def test_check_mode_says_and_does_nothing(tmp_path: Path) -> None:
    assert run(tmp_path, dry=True) == ["ca (missing)", "admin (missing)", "sa (missing)"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("lost", ["admin.crt", "admin.key"])
def test_a_lost_half_is_repaired(tmp_path: Path, lost: str) -> None:
    run(tmp_path)
    (tmp_path / lost).unlink()
    assert run(tmp_path) == ["admin (missing)"]


def test_tokens_outlive_a_lost_public_half(tmp_path: Path) -> None:
    run(tmp_path)
    key = (tmp_path / "sa.key").read_bytes()
    (tmp_path / "sa.pub").unlink()
    assert run(tmp_path) == ["sa (missing)"]
    assert (tmp_path / "sa.key").read_bytes() == key
    assert (tmp_path / "sa.pub").read_bytes() == pki.public_pem(pki.load_key(key))


def test_a_new_authority_signs_everything_anew(tmp_path: Path) -> None:
    run(tmp_path)
    (tmp_path / "ca.crt").unlink()
    made = run(tmp_path)
    assert made[0] == "ca (missing)"
    assert made[1].startswith("admin (unusable")


def test_a_damaged_authority_stops_the_run_instead_of_locking_everybody_out(tmp_path: Path) -> None:
    run(tmp_path)
    (tmp_path / "ca.key").write_bytes(b"damaged")
    with pytest.raises(ValueError, match=r"."):
        run(tmp_path)


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param({"common_name": "x", "sans": ["y"]}, id="unknown word"),
        pytest.param({"common_name": "x", "usage": "both"}, id="unknown usage"),
    ],
)
def test_a_wrong_description_names_the_certificate(entry: dict[str, object]) -> None:
    with pytest.raises(AnsibleActionFail, match="apiserver"):
        certificates.request_of("apiserver", entry)
