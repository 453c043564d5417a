"""The machines of a standing lab, looked at from inside over ssh.

The lab is that of `LAB=` (default `kubelab`). Tests take `node` (each machine in turn),
`worker` (each worker) or `master`; `lab` is the inventory as a value. One ssh connection a machine serves them all.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import testinfra
from testinfra.host import Host
from testinfra.utils.ansible_runner import AnsibleRunner

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Lab:
    """The inventory: names by group, and what it says of each machine."""

    inventory: Path
    masters: tuple[str, ...]
    workers: tuple[str, ...]
    variables: dict[str, dict[str, Any]]

    @property
    def nodes(self) -> tuple[str, ...]:
        return self.masters + self.workers

    @property
    def folder(self) -> Path:
        return self.inventory.parent

    @property
    def pki(self) -> Path:
        return Path(self.of(self.masters[0], "lab_pki_dir", str(self.folder / "pki")))

    def of(self, node: str, name: str, default: Any = None) -> Any:
        """A variable of a machine; machines of one's own may leave out what agrees with the roles' defaults."""
        return self.variables[node].get(name, default)


@functools.cache
def standing_lab() -> Lab:
    """Raises: pytest.UsageError when there is no lab."""
    name = os.environ.get("KUBELAB_LAB") or os.environ.get("LAB") or "kubelab"
    path = REPOSITORY / ".lab" / name / "inventory.yml"
    if not path.exists():
        raise pytest.UsageError(f"no lab at {path}: `make up LAB={name}` makes one")
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    os.environ["ANSIBLE_CONFIG"] = str(REPOSITORY / "ansible" / "ansible.cfg")
    # One connection a machine, where `make down` looks for connections to end.
    os.environ["ANSIBLE_SSH_CONTROL_PATH_DIR"] = f"/run/{name}-ssh"
    os.environ["ANSIBLE_SSH_EXTRA_ARGS"] = f"-o ControlPath=/run/{name}-ssh/%C"
    runner = AnsibleRunner.get_runner(str(path))
    groups = {group: tuple(runner.get_hosts(group)) for group in ("masters", "workers")}
    variables = {host: runner.get_variables(host) for names in groups.values() for host in names}
    return Lab(path, groups["masters"], groups["workers"], variables)


@functools.cache
def connect(name: str) -> Host:
    """The machine of that name, as root."""
    lab = standing_lab()
    sudo = "" if lab.of(name, "ansible_user", "root") == "root" else "&sudo=true"
    return testinfra.get_host(f"ansible://{name}?ansible_inventory={lab.inventory}{sudo}")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for fixture in ("node", "worker"):
        if fixture in metafunc.fixturenames:
            lab = standing_lab()
            names = lab.nodes if fixture == "node" else lab.workers
            metafunc.parametrize(fixture, names, indirect=True)


@pytest.fixture(scope="session")
def lab() -> Lab:
    return standing_lab()


@pytest.fixture
def node(request: pytest.FixtureRequest) -> Host:
    return connect(request.param)


@pytest.fixture
def worker(request: pytest.FixtureRequest) -> Host:
    return connect(request.param)


@pytest.fixture
def master() -> Host:
    return connect(standing_lab().masters[0])


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """The inventory's name of the machine that `node` or `worker` is."""
    for fixture in ("node", "worker"):
        if fixture in request.fixturenames:
            return str(request.node.callspec.params[fixture])
    return standing_lab().masters[0]


@pytest.fixture(scope="session")
def playbook_again(lab: Lab) -> subprocess.CompletedProcess[str]:
    """A second run of the whole playbook."""
    return subprocess.run(
        ["ansible-playbook", "-i", str(lab.inventory), "site.yml"],
        cwd=REPOSITORY / "ansible",
        env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
