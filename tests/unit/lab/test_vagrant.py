"""What the Vagrantfile is told, and how emulated machines differ from fast ones."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from lab import box, facts, leaks, libvirt, paths, setup, ssh, vagrant, vmtest
from lab.console import Steps
from lab.run import LabError
from lab.vagrant import Vagrant

FACTS = facts.load(paths.FACTS.read_text())
LAB = facts.lab(FACTS, "kubelab", 0, 2)


@pytest.fixture(autouse=True)
def labs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Labs of these tests have their folders apart."""
    monkeypatch.setattr(paths, "LABS", tmp_path)
    (tmp_path / LAB.name).mkdir()
    return tmp_path


def test_the_vagrantfile_is_told_the_node_table() -> None:
    told = vagrant.document(LAB)
    assert (told["lab"], told["netmask"], told["management_range"]) == (
        "kubelab",
        "255.255.255.0",
        "192.168.121.0/24",
    )
    nodes = told["nodes"]
    assert isinstance(nodes, list)
    assert nodes[0] == {
        "name": "master",
        "address": "10.77.0.10",
        "cable": "kubelab-m",
        "cpus": 2,
        "memory_mib": 1536,
    }
    assert [node["name"] for node in nodes] == ["master", "worker-1", "worker-2"]


def test_labs_side_by_side_share_no_management_range() -> None:
    ranges = [facts.lab(FACTS, "x", slot, 1).management_range for slot in range(facts.MAX_SLOT + 1)]
    assert len(set(ranges)) == len(ranges)


def test_cables_are_told_apart_by_the_kernel() -> None:
    longest = facts.lab(FACTS, "a123456789", 2, 8)
    cables = [vagrant.cable(longest, node.name) for node in longest.nodes]
    assert len(set(cables)) == len(cables)
    assert all(len(cable) <= 15 for cable in cables)


def test_half_a_processor_more_is_a_whole_one() -> None:
    half = replace(LAB, nodes=tuple(replace(node, cpu_milli=1500) for node in LAB.nodes))
    nodes = vagrant.document(half)["nodes"]
    assert isinstance(nodes, list)
    assert {node["cpus"] for node in nodes} == {2}


@pytest.mark.parametrize(("driver", "profile"), [("kvm", None), ("qemu", "kubernetes")])
def test_emulated_machines_get_the_patient_profile(labs: Path, driver: str, profile: str | None) -> None:
    (labs / LAB.name / "vms.json").write_text(json.dumps({"driver": driver}))
    connection = Vagrant().connections(LAB)["worker-1"]
    assert connection.get("lab_profile") == profile
    assert connection["ansible_host"] == "10.77.0.11"


def test_emulated_machines_get_more_time(labs: Path) -> None:
    fast = Vagrant().ready_within_s(LAB)
    (labs / LAB.name / "vms.json").write_text('{"driver": "qemu"}')
    assert Vagrant().ready_within_s(LAB) > 3 * fast


def test_a_one_way_cut_is_refused_by_name() -> None:
    with pytest.raises(LabError, match="DIR=in: only local machines"):
        Vagrant().cut(LAB, ["worker-1"], "in")


def test_an_unknown_driver_is_refused_by_name() -> None:
    assert "DRIVER=xen: one of kvm, qemu" in vagrant.missing("xen")


def test_a_libvirtd_that_does_not_run_is_named() -> None:
    assert libvirt.running(LAB.name) == []
    with pytest.raises(LabError, match="`make up` starts it"):
        libvirt.inside(LAB.name)


def test_ssh_into_machines_that_the_host_reaches_itself() -> None:
    text = ssh.config_text(LAB, Path("/x"), enter=[], host_keys="accept-new")
    assert "ProxyCommand" not in text
    assert "StrictHostKeyChecking accept-new" in text


def test_packages_are_found_by_program_or_by_file(tmp_path: Path) -> None:
    there = tmp_path / "plugin.json"
    there.write_text("{}")
    programs = {str(there): "plugin", str(tmp_path / "gone"): "other", "no-such-program-here": "third", "sh": "dash"}
    assert setup.missing_packages(programs) == ["other", "third"]


def test_the_boot_loader_names_the_kernel_and_the_interfaces() -> None:
    text = box._BOOT.format(kernel="vmlinuz-6.1", initrd="initrd.img-6.1")
    assert "LINUX /boot/vmlinuz-6.1" in text
    assert "net.ifnames=0" in text, f"the lab's interface is {vagrant.BOX_INTERFACE} only then"


def test_the_proof_removes_its_lab_after_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    downs = []
    monkeypatch.setattr(leaks, "of", lambda _: [])

    def fail() -> facts.Lab:
        raise LabError("no box")

    assert vmtest.prove(Steps(), fail, lambda: downs.append("down")) == 1
    assert downs == ["down", "down"]


def test_the_proof_fails_when_something_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaks, "of", lambda _: ["process 1: qemu"])
    monkeypatch.setattr(vmtest, "_look", lambda *_: None)
    assert vmtest.prove(Steps(), lambda: LAB, lambda: None) == 1


def test_the_facts_of_a_pod() -> None:
    waiting = {"reason": "ContainerCreating"}
    pod: dict[str, dict[str, object]] = {
        "spec": {"nodeName": "worker-1"},
        "status": {"phase": "Pending", "containerStatuses": [{"ready": False, "state": {"waiting": waiting}}]},
    }
    found = vmtest._summary(pod)
    assert (found["phase"], found["node"], found["waiting"]) == ("Pending", "worker-1", waiting)
    assert vmtest._summary({"spec": {}, "status": {}})["ready"] is False
