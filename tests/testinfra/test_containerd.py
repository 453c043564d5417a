"""Role containerd: the container runtime, nerdctl, and the node's pod network."""

import json

from testinfra.host import Host

from tests.testinfra.conftest import Lab
from tests.testinfra.support import units


def bridge_address(lab: Lab, name: str) -> str:
    return str(lab.of(name, "pod_cidr")).split("/")[0].rsplit(".", 1)[0] + ".1"


def test_containerd_runs_and_comes_back_at_once(node: Host) -> None:
    containerd = units(node, "containerd")["containerd"]
    assert containerd.runs
    assert containerd.enabled
    assert containerd.comes_back
    assert node.check_output("systemctl show -p RestartUSec --value containerd") == "200ms"


def test_a_persons_nerdctl_sees_the_pods_namespace(node: Host) -> None:
    assert node.check_output("nerdctl --version") == "nerdctl version 1.7.7"
    settings = node.file("/etc/nerdctl/nerdctl.toml").content_string
    assert 'namespace = "k8s.io"' in settings
    assert 'cgroup_manager = "cgroupfs"' in settings
    node.check_output("nerdctl ps")


def test_no_cri(node: Host) -> None:
    assert "io.containerd.grpc.v1" not in [
        row.split()[0] for row in node.check_output("ctr plugins ls").splitlines() if " cri " in row and " ok" in row
    ]


def test_images_lie_on_a_real_file_system(node: Host) -> None:
    assert node.check_output("findmnt -n -o FSTYPE -T /var/lib/containerd") != "overlay"


def test_the_bridge_is_networkds_with_an_address_and_a_mac_of_its_own(node: Host, lab: Lab, name: str) -> None:
    found = json.loads(node.check_output("ip -json address show dev kubelab0"))[0]
    address = bridge_address(lab, name)
    assert [(a["local"], a["prefixlen"]) for a in found["addr_info"]] == [(address, 24)]
    assert found["address"] == "0a:58:" + ":".join(f"{int(part):02x}" for part in address.split("."))
    assert "kubelab0" in node.check_output("networkctl --no-legend list kubelab0")


def test_the_pod_network(node: Host, lab: Lab, name: str) -> None:
    conflist = json.loads(node.file("/etc/cni/net.d/10-kubelab.conflist").content_string)
    bridge = conflist["plugins"][0]
    assert (conflist["name"], bridge["type"], bridge["bridge"]) == ("kubelab", "bridge", "kubelab0")
    assert bridge["hairpinMode"]
    assert bridge["ipam"]["ranges"] == [[{"subnet": lab.of(name, "pod_cidr"), "gateway": bridge_address(lab, name)}]]
    assert bridge["ipam"]["dataDir"].startswith("/run/"), "address leases must not outlive a power cut"


def test_docker_hubs_names_are_looked_up_in_the_lab_first(node: Host, lab: Lab) -> None:
    master = lab.masters[0]
    registry = f"{lab.of(master, 'node_name')}:{lab.of(master, 'lab_registry_port', 5000)}"
    first = node.file("/etc/containerd/certs.d/docker.io/hosts.toml").content_string
    assert f'[host."https://{registry}"]' in first
    own = node.file(f"/etc/containerd/certs.d/{registry}/hosts.toml").content_string
    assert f'server = "https://{registry}"' in own


def test_the_pods_runtime_is_runc(node: Host) -> None:
    assert "runc version" in node.check_output("/usr/local/lib/kubelab/runc-pod --version")
