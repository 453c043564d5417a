"""The lab's own commands as a person types them: what they say, what they make, and what a crash in them costs."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from lab import cgroups, facts, images, state
from tests.e2e.support import ROOT, Lab, eventually

NODES = ["master", "worker-1", "worker-2", "worker-3"]
CRASHING = Lab("klcrash")
SMALL = ["WORKERS=1", "PROVIDER=local"]


def crash_up(printed: str, log: str = "", words: str = "") -> None:
    """`make up`, ended by SIGKILL, with all that it waits for, once it has `printed` a step (and logged `words`)."""
    with subprocess.Popen(
        ["make", "--silent", "-C", str(ROOT), "up", f"LAB={CRASHING.name}", *SMALL],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as up:
        assert up.stdout is not None
        try:
            said = []
            for row in up.stdout:
                said.append(row)
                if printed in row:
                    break
            else:
                raise AssertionError(f"make up never came to {printed!r}: {''.join(said)}")
            if log:
                file = CRASHING.state / "log" / log
                eventually(words, lambda: file.exists() and words in file.read_text(), every_s=0.05)
        finally:
            os.killpg(up.pid, signal.SIGKILL)
    assert up.returncode == -signal.SIGKILL


def test_a_crash_in_the_middle_of_up_costs_a_second_up_only(lab: Lab) -> None:
    """Fault 21: while machines boot, and while software goes onto them; beside another lab that never notices."""
    CRASHING.make("down")
    try:
        crash_up("disks and root file systems")
        crash_up("machines answer over ssh", "site.log", "TASK [redis")
        said = CRASHING.make("up")  # as large as it was begun
        assert "Here is your cluster" in said
        assert {node["metadata"]["name"] for node in CRASHING.get("nodes")["items"]} == {"master", "worker-1"}
        assert CRASHING.node_state("worker-1") == "True"
        assert CRASHING.get("service", "kubernetes")["spec"] != lab.get("service", "kubernetes")["spec"]
        crash_up("site.yml: nothing changed")
    finally:
        CRASHING.make("down")
    assert CRASHING.make("leaks") == f"nothing of lab {CRASHING.name} is on this host\n"
    assert not CRASHING.state.exists()
    assert all(node["status"]["conditions"] for node in lab.get("nodes")["items"])


def test_status_tells_machines_and_nodes(lab: Lab) -> None:
    rows = [line.split() for line in lab.make("status").splitlines()]
    for node in lab.get("nodes")["items"]:
        name = node["metadata"]["name"]
        assert [name, node["status"]["addresses"][0]["address"], "on", "Ready"] in rows


def test_env_makes_kubectl_work_in_a_shell(lab: Lab) -> None:
    command = f'eval "$(make --silent -C {ROOT} env LAB={lab.name})" && kubectl get nodes -o name'
    bare = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": os.environ["HOME"]}
    done = subprocess.run(["sh", "-c", command], env=bare, capture_output=True, text=True, timeout=60, check=True)
    assert "node/worker-1" in done.stdout.splitlines()


@pytest.mark.parametrize("name", NODES)
def test_a_machine_has_the_limits_of_the_table(lab: Lab, name: str) -> None:
    """Memory and cpu by its control groups, as the host's kernel knows them; the disk by its own file system."""
    node = facts.lab(state.table(), lab.name, 0, len(NODES) - 1).node(name)
    init = cgroups.init_of(lab.name, name)
    assert init is not None
    groups = own_groups(init, f"{lab.name}-{name}")
    assert limit(groups, "memory.max", "memory.limit_in_bytes") == str(node.memory_bytes)
    assert limit(groups, "cpu.max", "cpu.cfs_quota_us") == str(node.cpu_milli * 100)
    size = lab.ssh(name, "df -B1 --output=size /var/lib/containerd").split()[-1]
    assert 0.8 * node.disk_bytes < int(size) <= node.disk_bytes


def own_groups(pid: int, name: str) -> list[Path]:
    """The machine's own group in each hierarchy: at or above that of its first process."""
    found = []
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        at = cgroups.ROOT / controllers.removeprefix("name=") / path.lstrip("/")
        found += [folder for folder in (at, *at.parents) if folder.name.removesuffix(".service") == name]
    return found


def limit(groups: list[Path], *files: str) -> str:
    """The first word of the first of these files that one of the groups has."""
    there = [group / file for group in groups for file in files if (group / file).exists()]
    return there[0].read_text().split()[0] if there else "no limit"


def test_a_persons_own_image_is_found_by_its_name(lab: Lab, namespace: str, tmp_path: Path) -> None:
    """`make push` of an archive and of a build context."""
    context = tmp_path / "mine"
    context.mkdir()
    (context / "Dockerfile").write_text('FROM busybox\nCOPY note /note\nCMD ["cat", "/note"]\n')
    (context / "note").write_text("built here\n")
    assert "pods find it as mine:latest" in lab.make("push", IMAGE=str(context))
    archive = images.build("busybox").archive
    assert "pods find it as box/shell:2" in lab.make("push", IMAGE=str(archive), NAME="box/shell:2")
    lab.kubectl("run", "built", "-n", namespace, "--image=mine", "--restart=Never")
    lab.kubectl("run", "pushed", "-n", namespace, "--image=box/shell:2", "--restart=Never", "--", "echo", "it runs")
    for pod, said in (("built", "built here\n"), ("pushed", "it runs\n")):
        lab.kubectl(
            "wait", f"pod/{pod}", "-n", namespace, "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s"
        )
        assert lab.kubectl("logs", pod, "-n", namespace) == said
