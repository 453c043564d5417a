"""The node's half of kubelab.lab.files: only differences are written, whole and with the right owner and mode."""

import grp
import os
import pwd
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.kubelab.lab.plugins.action.files import check_syntax
from ansible_collections.kubelab.lab.plugins.modules.files import Files, Problem

ME = {"owner": pwd.getpwuid(os.getuid()).pw_name, "group": grp.getgrgid(os.getgid()).gr_name}


@dataclass
class Node:
    """What Files needs of an AnsibleModule."""

    check_mode: bool = False
    answers: list[tuple[int, str, str]] = field(default_factory=list)
    commands: list[list[str]] = field(default_factory=list)

    def run_command(self, command: list[str]) -> tuple[int, str, str]:
        self.commands.append(command)
        return self.answers.pop(0)


def changes(tmp_path: Path, content: bytes, dry: bool = False, **attributes: Any) -> list[str]:
    run = Files(Node(check_mode=dry))
    run.file(str(tmp_path / "a.conf"), {**ME, **attributes}, content)
    changed: list[str] = run.changed
    return changed


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    assert changes(tmp_path, b"one") == [str(tmp_path / "a.conf")]
    assert changes(tmp_path, b"one") == []
    assert changes(tmp_path, b"two") == [str(tmp_path / "a.conf")]
    assert [path.name for path in tmp_path.iterdir()] == ["a.conf"]


def test_modes_are_set_and_repaired(tmp_path: Path) -> None:
    changes(tmp_path, b"x", mode="0600")
    assert stat.S_IMODE((tmp_path / "a.conf").stat().st_mode) == 0o600
    (tmp_path / "a.conf").chmod(0o644)
    assert changes(tmp_path, b"x", mode="0600")
    assert stat.S_IMODE((tmp_path / "a.conf").stat().st_mode) == 0o600


def test_check_mode_writes_nothing(tmp_path: Path) -> None:
    assert changes(tmp_path, b"x", dry=True)
    assert list(tmp_path.iterdir()) == []


def test_a_refused_file_leaves_the_old_one(tmp_path: Path) -> None:
    changes(tmp_path, b"good")
    node = Node(answers=[(1, "", "line 1: nonsense")])
    with pytest.raises(Problem, match="nonsense"):
        Files(node).file(str(tmp_path / "a.conf"), {**ME, "validate": ["check", "%s"]}, b"bad")
    assert (tmp_path / "a.conf").read_bytes() == b"good"
    assert [path.name for path in tmp_path.iterdir()] == ["a.conf"]
    assert node.commands[0][0] == "check"


def test_secrets_stay_out_of_diffs(tmp_path: Path) -> None:
    run = Files(Node())
    run.file(str(tmp_path / "key"), {**ME, "secret": True}, b"hush")
    run.file(str(tmp_path / "open"), ME, b"text")
    assert [diff["after"] for diff in run.diffs] == ["text"]


def test_links_and_absent_paths(tmp_path: Path) -> None:
    link = str(tmp_path / "unit.service")
    run = Files(Node())
    run.link(link, "/dev/null")
    run.link(link, "/dev/null")
    assert run.changed == [link]
    assert str(Path(link).readlink()) == "/dev/null"
    run.absent(link)
    run.absent(link)
    assert run.changed == [link, link]


def test_directories_get_their_parents(tmp_path: Path) -> None:
    run = Files(Node())
    run.directory(str(tmp_path / "a/b"), {**ME, "mode": "0700"})
    assert stat.S_IMODE((tmp_path / "a/b").stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("attributes", "word"), [({"owner": "no-such-user"}, "no-such-user"), ({"mode": 0o644}, "quoted")]
)
def test_wrong_attributes_are_named(tmp_path: Path, attributes: dict[str, Any], word: str) -> None:
    with pytest.raises(Problem, match=word):
        changes(tmp_path, b"x", **attributes)


@pytest.mark.parametrize(
    ("path", "text"),
    [("/x/a.toml", "a = "), ("/x/a.json", "{"), ("/x/10-a.conflist", "{,}"), ("/x/a.yml", "a: [")],
)
def test_what_does_not_parse_never_leaves_the_host(path: str, text: str) -> None:
    with pytest.raises(ValueError, match=path):
        check_syntax(path, text)
    check_syntax("/x/a.conf", text)
