"""What is asked for, joined with what stands."""

from pathlib import Path

import pytest

from lab.choose import wanted_record
from lab.run import LabError
from lab.state import Record

STANDS = Record(slot=0, workers=3, provider="local")


def wanted(found: Record | None, name: str = "kubelab", **options: str) -> Record:
    return wanted_record(name, lambda key: options.get(key, ""), found, {})


def test_a_new_lab_has_the_defaults() -> None:
    assert wanted(None) == Record(slot=0, workers=3, provider="auto")


def test_a_standing_lab_stays_as_it_is() -> None:
    assert wanted(STANDS) == STANDS


def test_a_standing_lab_can_grow() -> None:
    assert wanted(STANDS, WORKERS="5").workers == 5


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"WORKERS": "2"}, "can only grow: `make down` first"),
        ({"WORKERS": "many"}, "WORKERS=many: a number"),
        ({"WORKERS": "-1"}, "WORKERS=-1: a number"),
        ({"PROVIDER": "vagrant"}, "stands on the provider local: `make down` first"),
        ({"INVENTORY": "/nowhere"}, "stands on the provider local"),
    ],
)
def test_what_cannot_be_joined_is_refused(options: dict[str, str], words: str) -> None:
    with pytest.raises(LabError, match=words):
        wanted(STANDS, **options)


def test_an_inventory_that_is_not_there_is_refused() -> None:
    with pytest.raises(LabError, match="no such file"):
        wanted(None, INVENTORY="/nowhere")


def test_an_inventory_makes_the_machines_a_persons_own(tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text("all: {}")
    path = str(tmp_path / "hosts.yml")
    assert wanted(None, INVENTORY=path) == Record(0, 3, "hosts", path)


def test_the_number_of_a_persons_own_machines_is_not_asked_for(tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text("all: {}")
    with pytest.raises(LabError, match="the inventory says how many"):
        wanted(None, INVENTORY=str(tmp_path / "hosts.yml"), WORKERS="2")


def test_a_persons_own_machines_need_an_inventory() -> None:
    with pytest.raises(LabError, match="INVENTORY=file"):
        wanted(None, PROVIDER="hosts")
