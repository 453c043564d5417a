"""`make vm-test`: the Vagrantfile proved with real virtual machines, a master and one worker, in a lab of its own.

The same `make up` as everybody's, then what only ordinary machines show: systemd as it boots, the unified control
group hierarchy, a kernel of the machine's own. Where there is no KVM the machines are emulated, so nothing here is in
a hurry. The lab is removed at the end, also after a failure or an interruption.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import TypeVar

from lab import console, health, kvm, leaks
from lab.console import Steps
from lab.facts import Lab
from lab.run import LabError, attempt, run
from lab.vagrant import Vagrant

Seen = TypeVar("Seen")

LAB = "klvm"
POD = "vm-test"
_POD_WITHIN_S = 300.0
_LIMIT_BYTES = 48 << 20
_GREETING = "hello from a pod in a virtual machine"
# It says what control group it is in, then waits.
_PROGRAM = f"echo {_GREETING}; cat /sys/fs/cgroup/memory.max; sleep 3600"


def option(name: str) -> str:
    """The options of the lab that proves the Vagrantfile."""
    return {"PROVIDER": "vagrant", "WORKERS": "1", "DRIVER": "qemu" if kvm.why_not() else "kvm"}.get(name, "")


def prove(steps: Steps, bring_up: Callable[[], Lab], bring_down: Callable[[], object]) -> int:
    """Bring the lab up, look, and bring it down; return the exit code."""
    steps.say(f"lab {LAB}: {kvm.why_not() or 'KVM works'}, so the driver is {option('DRIVER')}")
    problem = ""
    try:
        bring_down()
        lab = bring_up()
        _look(lab, steps)
    except LabError as error:
        problem = str(error)
        console.fail(f"\nvm-test: {error}")
    finally:
        bring_down()
    left = leaks.of(LAB)
    steps.say("\n" + console.slowest(steps.done, 12))
    verdict = "FAILED" if problem or left else "passed"
    steps.say(
        f"\nvm-test {verdict} in {steps.total_s():.0f} s" + "".join(f"\n  left behind: {item}" for item in left)
    )
    return 1 if problem or left else 0


def _look(lab: Lab, steps: Steps) -> None:
    vms = Vagrant()
    worker = lab.workers[0].name
    for node in lab.nodes:
        with steps.step(f"{node.name}: systemd, cgroup v2") as note:
            note += _ordinary(vms, lab, node.name)
    with steps.step("a pod runs, and its log says so") as note:
        note.append(_pod(lab))
    with steps.step(f"{worker}: network cut and healed") as note:
        vms.cut(lab, [worker], "both")
        _expect(vms.states(lab)[worker], "cut", f"{worker}'s state")
        vms.heal(lab, [worker])
        _expect(vms.states(lab)[worker], "on", f"{worker}'s state")
    with steps.step(f"{worker}: power cut and on again"):
        vms.power_off(lab, [worker])
        _expect(vms.states(lab)[worker], "off", f"{worker}'s state")
        vms.power_on(lab, [worker])
    with steps.step("every node is Ready again"):
        health.wait_ready(lab, vms.ready_within_s(lab))
    with steps.step("the pod runs again in its place") as note:
        note.append(_running(lab, restarts=1))


def _ordinary(vms: Vagrant, lab: Lab, node: str) -> list[str]:
    """What kind of machine it is. Raises: LabError when it isn't the ordinary kind."""
    cgroup = run(vms.shell(lab, node, "stat -fc %T /sys/fs/cgroup")).strip()
    _expect(cgroup, "cgroup2fs", f"{node}: /sys/fs/cgroup")
    first = run(vms.shell(lab, node, "cat /proc/1/comm")).strip()
    _expect(first, "systemd", f"{node}: PID 1")
    virtual = attempt(vms.shell(lab, node, "systemd-detect-virt")).stdout.strip()
    if virtual not in ("qemu", "kvm"):
        raise LabError(f"{node}: systemd-detect-virt says {virtual!r}")
    kernel = run(vms.shell(lab, node, "uname -r")).strip()
    state_ = attempt(vms.shell(lab, node, "systemctl is-system-running --wait")).stdout.strip()
    failed = attempt(vms.shell(lab, node, "systemctl --failed --plain --no-legend")).stdout.strip()
    if failed:
        raise LabError(f"{node}: units that failed:\n{failed}")
    return [virtual, f"kernel {kernel}", state_]


def _pod(lab: Lab) -> str:
    """Run a pod with a memory limit; its log has its words and the limit as the kernel knows it."""
    container = {
        "name": "main",
        "image": "busybox",
        "command": ["sh", "-c", _PROGRAM],
        "resources": {"limits": {"memory": str(_LIMIT_BYTES), "cpu": "500m"}},
    }
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": POD}, "spec": {"containers": [container]}}
    run([*health.kubectl(lab.name), "apply", "-f", "-"], stdin=json.dumps(pod))
    said = _running(lab, restarts=0)
    log = _until(lambda: run([*health.kubectl(lab.name), "logs", POD]).splitlines(), bool, "no log")
    _expect(log, [_GREETING, str(_LIMIT_BYTES)], "the pod's log")
    return f"{said}, memory.max {log[1]}"


def _running(lab: Lab, restarts: int) -> str:
    """Wait until the pod runs and has been restarted so often; say where it runs."""

    def look() -> dict[str, object]:
        done = attempt([*health.kubectl(lab.name), "get", "pod", POD, "-o", "json"])
        return _summary(json.loads(done.stdout)) if done.returncode == 0 else {"error": done.stderr.strip()}

    wanted = {"phase": "Running", "ready": True, "restarts": restarts}
    found = _until(look, lambda seen: wanted.items() <= seen.items(), f"pod {POD}")
    return f"on {found['node']} as {found['address']}"


def _summary(pod: dict[str, dict[str, object]]) -> dict[str, object]:
    """The few facts of a pod that are looked at here."""
    status = pod["status"]
    containers = status.get("containerStatuses") or [{}]
    first = containers[0] if isinstance(containers, list) else {}
    return {
        "phase": status.get("phase"),
        "ready": first.get("ready", False),
        "restarts": first.get("restartCount", 0),
        "waiting": first.get("state", {}).get("waiting"),
        "node": pod["spec"].get("nodeName"),
        "address": status.get("podIP"),
    }


def _until(look: Callable[[], Seen], enough: Callable[[Seen], bool], what: str) -> Seen:
    deadline = time.monotonic() + _POD_WITHIN_S
    while not enough(seen := look()):
        if time.monotonic() > deadline:
            raise LabError(f"{what}: after {_POD_WITHIN_S:.0f} s still {seen}")
        time.sleep(1.0)
    return seen


def _expect(found: object, wanted: object, what: str) -> None:
    if found != wanted:
        raise LabError(f"{what}: {found!r}, and it should be {wanted!r}")
