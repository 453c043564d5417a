"""The menu: every target that the design names is in the Makefile, explained, and known to the lab program."""

import re

import pytest

from lab import commands, paths

TARGETS = ("up", "down", "status", "test", "bench", "env", "ssh", "off", "on", "cut", "heal", "client", "push")
MENU = dict(re.findall(r"^([a-z-]+):.*?## (.+)$", (paths.REPO / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("target", [*TARGETS, "vm-test"])
def test_every_target_is_there_and_explained(target: str) -> None:
    assert target in MENU
    assert target in commands.COMMANDS


def test_the_menu_shows_them_all(capsys: pytest.CaptureFixture[str]) -> None:
    commands.show_help("kubelab", lambda _: "")
    said = capsys.readouterr().out
    assert all(re.search(rf"^  {target} +\S", said, re.MULTILINE) for target in MENU)
    assert "make up" in said


def test_nothing_in_the_menu_is_unknown_to_the_program() -> None:
    assert set(MENU) <= set(commands.COMMANDS)
