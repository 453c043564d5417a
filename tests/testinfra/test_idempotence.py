"""The playbook on a lab that stands changes nothing."""

import re
import subprocess

from tests.testinfra.conftest import Lab


def test_a_second_run_changes_nothing(playbook_again: subprocess.CompletedProcess[str], lab: Lab) -> None:
    out = playbook_again.stdout
    assert playbook_again.returncode == 0, out + playbook_again.stderr
    rows = re.findall(r"^(\S+)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", out, re.MULTILINE)
    recap = {row[0]: tuple(map(int, row[1:])) for row in rows}
    assert set(recap) == set(lab.nodes)
    for node, (ok, changed, unreachable, failed) in recap.items():
        assert ok > 0
        assert (changed, unreachable, failed) == (0, 0, 0), f"{node}:\n{out}"
