"""kubelab.lab.units restarts what is older than the files that it reads, and nothing else."""

from dataclasses import replace

import pytest
from ansible_collections.kubelab.lab.plugins.modules import units

RUNS = units.State(loaded=True, enabled=True, active=True, stale=False, started_s=1000.0)
NOTHING = units.Plan(reload=False, enable=(), start=(), restart=())


@pytest.mark.parametrize(
    ("state", "newest_s", "expected"),
    [
        pytest.param(RUNS, 999.9, NOTHING, id="runs with what it read"),
        pytest.param(RUNS, 0.0, NOTHING, id="reads nothing"),
        pytest.param(RUNS, 1000.1, replace(NOTHING, restart=("a",)), id="a file is younger"),
        pytest.param(replace(RUNS, active=False), 2000.0, replace(NOTHING, start=("a",)), id="stands still"),
        pytest.param(replace(RUNS, enabled=False), 0.0, replace(NOTHING, enable=("a",)), id="not enabled"),
        pytest.param(
            replace(RUNS, stale=True), 0.0, replace(NOTHING, reload=True, restart=("a",)), id="unit changed"
        ),
        pytest.param(
            units.State(loaded=False, enabled=False, active=False, stale=False, started_s=0.0),
            5.0,
            units.Plan(reload=True, enable=("a",), start=("a",), restart=()),
            id="never seen",
        ),
        pytest.param(replace(RUNS, started_s=0.0), 5.0, NOTHING, id="no main process"),
    ],
)
def test_the_plan(state: units.State, newest_s: float, expected: units.Plan) -> None:
    assert units.plan({"a": state}, {"a": newest_s}) == expected


def test_after_the_plan_nothing_is_left_to_do() -> None:
    assert units.plan({"a": replace(RUNS, started_s=3000.0)}, {"a": 2000.0}) == NOTHING


def test_systemds_words_are_understood() -> None:
    text = (
        "Id=kubelab-redis.service\nLoadState=loaded\nUnitFileState=enabled\nActiveState=active\n"
        "NeedDaemonReload=no\nExecMainStartTimestamp=Tue 2026-11-24 11:00:00.250000 UTC\n"
        "FragmentPath=/etc/systemd/system/kubelab-redis.service\nDropInPaths=/a.conf /b.conf\n\n"
        "Id=new.service\nLoadState=not-found\nUnitFileState=\nActiveState=inactive\nNeedDaemonReload=no\n"
        "ExecMainStartTimestamp=\n"
    )
    states = units.parse(text)
    assert states["kubelab-redis.service"] == replace(
        RUNS, started_s=1795518000.25, files=("/etc/systemd/system/kubelab-redis.service", "/a.conf", "/b.conf")
    )
    assert states["new.service"] == units.State(False, False, False, False, 0.0)
