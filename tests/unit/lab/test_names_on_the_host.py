"""What belongs to a machine is found by name alone: never another machine's, never another lab's."""

from typing import Any

import pytest

from lab import cgroups, facts, health, network, paths, ssh

LAB = facts.lab(facts.load(paths.FACTS.read_text()), "kubelab", 0, 2)


@pytest.mark.parametrize(
    ("path", "mine"),
    [
        ("8:pids:/kubelab-worker-1/system.slice/x.service", True),
        ("8:pids:/some/group/kubelab-worker-1", True),
        ("0::/system.slice/kubelab-worker-1.service/payload", True),
        ("8:pids:/kubelab-worker-10/x", False),
        ("8:pids:/kubelab-worker-2", False),
        ("8:pids:/xkubelab-worker-1", False),
        ("8:pids:/user.slice", False),
    ],
)
def test_processes_of_one_machine(path: str, mine: bool) -> None:
    assert bool(cgroups.pattern("kubelab", "worker-1").search(path)) is mine


def test_all_machines_of_a_lab() -> None:
    wanted = cgroups.pattern("kubelab")
    assert wanted.search("1:cpu:/kubelab-master\n")
    assert wanted.search("1:cpu:/\n2:pids:/kubelab-worker-8/y\n")
    assert not wanted.search("1:cpu:/kltest-master")


def test_names_of_interfaces_fit_the_kernel() -> None:
    ends = [network.cable(node.name) for node in facts.lab(facts.load(paths.FACTS.read_text()), "x", 0, 8).nodes]
    assert len(set(ends)) == len(ends)
    assert all(len(end) <= 15 for end in ends)


def test_ssh_goes_through_the_labs_network() -> None:
    text = ssh.config_text(LAB, paths.lab_dir("kubelab") / "ssh")
    assert "ProxyCommand nsenter --net=/run/netns/kubelab socat - TCP:%h:%p" in text
    assert "StrictHostKeyChecking yes" in text
    assert "Host worker-2\n  HostName 10.77.0.12" in text


def test_ready_conditions_of_a_node_list() -> None:
    ready = {"type": "Ready", "status": "Unknown"}
    answer: dict[str, Any] = {
        "items": [
            {
                "metadata": {"name": "a"},
                "status": {"conditions": [{"type": "DiskPressure", "status": "False"}, ready]},
            },
            {"metadata": {"name": "b"}, "status": {}},
        ]
    }
    assert health.ready_conditions(answer) == {"a": "Unknown", "b": "no Ready condition"}
