"""Role common: what every node has."""

import hashlib
from pathlib import Path

from testinfra.host import Host

from tests.testinfra.conftest import Lab


def test_no_unit_failed(node: Host) -> None:
    assert node.check_output("systemctl list-units --failed --plain --no-legend") == ""


def test_our_units_are_well_formed(node: Host) -> None:
    verified = node.run("systemd-analyze verify /etc/systemd/system/kubelab-*.service")
    assert (verified.rc, verified.stdout + verified.stderr) == (0, "")


def test_every_node_is_known_by_name(node: Host, lab: Lab) -> None:
    for other in lab.nodes:
        found = node.check_output(f"getent ahostsv4 {lab.of(other, 'node_name')}").split()
        assert found[0] == lab.of(other, "node_address")


def test_the_control_planes_account_is_powerless(node: Host) -> None:
    passwd, groups = node.check_output("getent passwd kubelab && id -nG kubelab").splitlines()
    assert passwd.endswith(":/usr/sbin/nologin")
    assert groups == "kubelab"


def test_packets_are_forwarded(node: Host) -> None:
    assert node.check_output("cat /proc/sys/net/ipv4/ip_forward") == "1"


def test_the_folder_that_agent_watchdog_and_proxy_share(node: Host) -> None:
    folder = node.file("/run/kubelab")
    assert folder.is_directory
    assert (folder.user, folder.mode) == ("root", 0o755)


def test_the_python_environment_holds_our_wheel_and_what_it_imports(node: Host, lab: Lab, name: str) -> None:
    wheel = Path(lab.of(name, "lab_wheel"))
    stamp = node.check_output("cat /opt/kubelab/venv/kubelab-wheel.sha256")
    assert stamp == hashlib.sha256(wheel.read_bytes()).hexdigest()
    node.check_output("/opt/kubelab/venv/bin/python -m pip --disable-pip-version-check check")
    node.check_output("/opt/kubelab/venv/bin/python -c 'import controlplane, loadbalancer, nodeagent'")


def test_the_journal_outlives_a_restart_and_is_bounded(node: Host) -> None:
    assert node.file("/var/log/journal").is_directory
    assert "SystemMaxUse=" in node.file("/etc/systemd/journald.conf.d/kubelab.conf").content_string
