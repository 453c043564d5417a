"""Argument lists for nerdctl: what pods say stays an operand or an option's value, whatever it looks like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from nodeagent.runtime import nerdctl, process
from nodeagent.runtime.base import ContainerSpec, Limits, Mount, RuntimeFailure
from nodeagent.runtime.nerdctl import Nerdctl, NerdctlConfig
from nodeagent.runtime.process import Finished
from tests.unit.nodeagent.builders import make_sandbox

SPEC = ContainerSpec("k8s_c", "busybox", make_sandbox(pid=42), {"a": "b"}, "/kubelab/pod1")


class Calls:
    """Stands in for the process starter; answers what it is told to."""

    def __init__(self, *answers: Finished) -> None:
        self.seen: list[list[str]] = []
        self._answers = list(answers)

    def run(self, argv: Sequence[str], timeout_s: float) -> Finished:
        assert timeout_s > 0
        self.seen.append(list(argv))
        return self._answers.pop(0) if self._answers else Finished(0, "id\n", "")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    made = Calls()
    monkeypatch.setattr(process, "run", made.run)
    return made


def runtime(**config: Any) -> Nerdctl:
    return Nerdctl(NerdctlConfig(("nerdctl",), "/runc-pod", "kubelab", **config))


def test_a_container_joins_its_sandbox(calls: Calls) -> None:
    spec = replace(
        SPEC,
        command=("sh", "-c"),
        args=("--privileged", "$(id)"),
        env={"A": "x\ny,z"},
        mounts=(Mount("/src", "/dst", read_only=True),),
        limits=Limits(102, 50_000, 1024, 500),
        working_dir="/w",
        tty=True,
        share_pid=True,
    )
    assert runtime().run_container(spec) == "id"
    argv = calls.seen[0]
    options, operands = argv[: argv.index("--")], argv[argv.index("--") + 1 :]
    assert operands == ["busybox", "--privileged", "$(id)"]
    text = "\0".join(options)
    for pair in (
        ("--network", "container:POD-0"), ("--pid", "container:POD-0"), ("--runtime", "/runc-pod"),
        ("--label", "kubelab/ipc=/proc/42/ns/ipc"), ("--env", "A=x\ny,z"), ("--volume", "/src:/dst:ro"),
        ("--entrypoint", "sh"), ("--entrypoint", "-c"), ("--cpu-shares", "102"), ("--cpu-quota", "50000"),
        ("--memory", "1024b"), ("--memory-swap", "1024b"), ("--oom-score-adj", "500"), ("--pull", "never"),
        ("--cgroup-parent", "/kubelab/pod1"), ("--workdir", "/w"),
    ):  # fmt: skip
        assert "\0".join(pair) in text
    assert "--tty" in options


@pytest.mark.parametrize("image", ["--privileged", "-v/:/host", "", "a b"])
def test_an_image_named_like_an_option_never_reaches_nerdctl(calls: Calls, image: str) -> None:
    with pytest.raises(RuntimeFailure, match="is not an image name"):
        runtime().run_container(replace(SPEC, image=image))
    with pytest.raises(RuntimeFailure, match="is not an image name"):
        runtime().pull(image, lambda _: None)
    assert calls.seen == []


def test_a_nul_byte_is_refused(calls: Calls) -> None:
    with pytest.raises(RuntimeFailure, match="NUL"):
        runtime().run_container(replace(SPEC, args=("a\0b",)))
    assert calls.seen == []


FATAL = 'time="x" level=fatal msg="exec: \\"/no\\": no such file"\n'


def test_a_failed_start_is_removed_and_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = Calls(Finished(1, "", FATAL))
    monkeypatch.setattr(process, "run", calls.run)
    with pytest.raises(RuntimeFailure, match='exec: "/no": no such file'):
        runtime().run_container(SPEC)
    assert calls.seen[1] == ["nerdctl", "rm", "--force", "k8s_c"]


def test_a_name_that_is_taken_removes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = Calls(Finished(1, "", 'level=fatal msg="name is already used by ID x"'))
    monkeypatch.setattr(process, "run", calls.run)
    with pytest.raises(RuntimeFailure):
        runtime().run_container(SPEC)
    assert len(calls.seen) == 1


def test_killing_what_is_gone_is_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "run", Calls(Finished(1, "", "no such container: x")).run)
    runtime().kill("x", "TERM")


@pytest.mark.parametrize(
    ("finished", "code", "output"),
    [
        (Finished(0, "out\n", "err\n"), 0, "out\nerr"),
        (Finished(1, "", 'level=fatal msg="exec failed with exit code 3"\n'), 3, ""),
        (Finished(1, "", FATAL), 1, FATAL.strip()),
    ],
    ids=["success", "exit code", "could not start"],
)
def test_exec(monkeypatch: pytest.MonkeyPatch, finished: Finished, code: int, output: str) -> None:
    monkeypatch.setattr(process, "run", Calls(finished).run)
    done = runtime().exec("id", ["x"], 1.0)
    assert (done.exit_code, done.output) == (code, output)


def test_scores_below_what_the_machine_allows_are_raised(calls: Calls) -> None:
    runtime(oom_score_min=0).run_container(replace(SPEC, limits=Limits(oom_score_adj=-997)))
    assert "--oom-score-adj\0" + "0" in "\0".join(calls.seen[0])


def test_limits_that_are_not_set_add_no_option() -> None:
    assert nerdctl.limit_options(Limits()) == ["--oom-score-adj", "0"]
