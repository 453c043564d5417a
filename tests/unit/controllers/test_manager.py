"""The manager's own small facts."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from controlplane.manager import machine_age_s
from controlplane.manager_config import ManagerConfig


def test_the_machine_is_as_old_as_its_process_1(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    ticks = os.sysconf("SC_CLK_TCK")
    fields = ["S", *(str(n) for n in range(18)), str(900 * ticks), "0"]
    (tmp_path / "1" / "stat").write_text(f"1 (an (odd) name) {' '.join(fields)}\n")
    (tmp_path / "uptime").write_text("1000.50 3000.00\n")
    assert machine_age_s(tmp_path) == pytest.approx(100.5)


GOOD = """
server = "https://10.77.0.10:6443"
ca_file = "ca.crt"
scheduler_cert_file = "s.crt"
scheduler_key_file = "s.key"
controller_cert_file = "c.crt"
controller_key_file = "c.key"
identity = "master"
"""


def test_a_good_configuration() -> None:
    assert msgspec.toml.decode(GOOD, type=ManagerConfig).profile == "lab"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('pool = "x"', "pool"),
        ('profile = "fast"', "profile 'fast' does not exist"),
        ('load_balancer_pool = "10.77.0.9-10.77.0.8"', "no range from a lower to a higher"),
    ],
)
def test_a_mistake_is_refused(line: str, words: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=words):
        msgspec.toml.decode(f"{GOOD}{line}\n", type=ManagerConfig)
