"""`make test`: checks, unit and integration tests, then a lab of its own for testinfra and end-to-end tests.

The lab is removed at the end, also after a failure or an interruption, and nothing of it may be left then. A part
that fails doesn't hide the next one; the last lines are a table of the slowest steps and one summary of everything.
"""

from __future__ import annotations

import shlex
import xml.etree.ElementTree as ElementTree  # of files that pytest wrote just now
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from lab import base, console, leaks, paths, state, up
from lab.console import Step, Steps
from lab.run import LabError, attempt, shown

LAB = "kltest"
CHECKS = {
    "ruff check": ["ruff", "check", "."],
    "ruff format --check": ["ruff", "format", "--check", "."],
    "mypy": ["mypy"],
    "mypy of the lab program": ["mypy", "--strict", "-p", "lab"],
    "import contracts": ["lint-imports"],
    "ansible-lint": ["ansible-lint", "--offline", "ansible"],
}
_SLOWEST = 15


@dataclass
class Outcome:
    """What the parts of the run have come to so far."""

    passed: int = 0
    failed: int = 0
    problems: list[str] = field(default_factory=list)
    slow: list[Step] = field(default_factory=list)

    def add_report(self, report: Path) -> None:
        """Count the tests of one pytest run, from its JUnit report."""
        for case in ElementTree.parse(report).iter("testcase"):  # noqa: S314  (pytest's own file)
            bad = case.find("failure") is not None or case.find("error") is not None
            name = f"{case.get('classname', '').replace('.', '/')}::{case.get('name')}"
            self.passed += not bad
            self.failed += bad
            self.slow.append(Step(name, float(case.get("time", "0"))))


def lint(steps: Steps) -> list[str]:
    """Run every check; return the names of those that found something."""
    environment = {**base.ansible_environment(), "MYPYPATH": str(paths.ANSIBLE)}
    found = []
    for name, command in CHECKS.items():
        with steps.step(name) as note:
            done = attempt(["env", "-C", str(paths.REPO), paths.venv_bin(command[0]), *command[1:]], env=environment)
            if done.returncode:
                note.append("FOUND SOMETHING")
                found.append(name)
        if done.returncode:
            steps.say((done.stdout + done.stderr).rstrip())
    return found


def everything(arguments: str, steps: Steps, bring_up: Callable[[], object], bring_down: Callable[[], object]) -> int:
    """Run it all and return the exit code."""
    outcome = Outcome()
    up.prepare_host(steps, for_tests=True)
    outcome.problems += lint(steps)
    built = up.build_all(state.table(), steps, with_base=True)
    environment = {
        **base.ansible_environment(),
        "LAB": LAB,
        "PATH": f"{built.nerdctl.parent}:{base.ansible_environment()['PATH']}",
    }
    environment.pop("PYTHONPATH")
    _pytest("unit and integration tests", ["tests/unit", "tests/integration"], arguments, environment, steps, outcome)
    try:
        bring_down()
        bring_up()
        for name in ("testinfra", "e2e"):
            if any((paths.REPO / "tests" / name).glob("test_*.py")):
                _pytest(f"{name} tests", [f"tests/{name}"], arguments, environment, steps, outcome)
    except LabError as error:
        outcome.problems.append(f"lab {LAB}")
        console.fail(f"\n{error}")
    finally:
        bring_down()
        outcome.problems += [f"left behind: {item}" for item in leaks.of(LAB)]
    return _summary(steps, outcome)


def _pytest(
    name: str, folders: list[str], arguments: str, environment: dict[str, str], steps: Steps, outcome: Outcome
) -> None:
    report = paths.LABS / f"junit-{folders[-1].rsplit('/', 1)[-1]}.xml"
    report.unlink(missing_ok=True)
    command = [
        paths.venv_bin("python"),
        "-m",
        "pytest",
        "-q",
        f"--junitxml={report}",
        *folders,
        *shlex.split(arguments),
    ]
    with steps.step(name) as note:
        code = shown(command, env=environment, cwd=paths.REPO)
        if code:
            note.append("FAILED")
            outcome.problems.append(name)
    if report.exists():
        outcome.add_report(report)


def _summary(steps: Steps, outcome: Outcome) -> int:
    print("\n" + console.slowest([*steps.done, *outcome.slow], _SLOWEST))
    if outcome.problems:
        print("\nnot well: " + "; ".join(outcome.problems))
    counts = f"{outcome.failed} failed, {outcome.passed} passed" if outcome.failed else f"{outcome.passed} passed"
    verdict = counts if not outcome.problems else f"{counts}, {len(outcome.problems)} parts not well"
    print(f"\n{f' {verdict} in {steps.total_s():.2f}s ':=^100}", flush=True)
    return 1 if outcome.problems or outcome.failed else 0
