"""Role registry: the lab's images, over TLS."""

from testinfra.host import Host

from tests.testinfra.conftest import Lab
from tests.testinfra.support import http_code, listeners, units


def test_the_registry_runs_and_debians_own_does_not(master: Host) -> None:
    found = units(master, "kubelab-registry", "docker-registry")
    registry = found["kubelab-registry"]
    assert registry.runs
    assert registry.enabled
    assert registry.comes_back
    assert registry.properties["User"] == "docker-registry"
    assert registry.memory_max.isdigit()
    assert found["docker-registry"].masked


def test_it_listens_on_the_labs_address_only(master: Host, lab: Lab, name: str) -> None:
    port = lab.of(name, "lab_registry_port", 5000)
    found = [where for where, who in listeners(master).items() if "docker-registry" in who]
    assert found == [f"{lab.of(name, 'node_address')}:{port}"]


def test_every_node_reaches_it_and_believes_its_certificate(node: Host, lab: Lab) -> None:
    master = lab.masters[0]
    port = lab.of(master, "lab_registry_port", 5000)
    assert http_code(node, f"https://{lab.of(master, 'node_name')}:{port}/v2/") == "200"


def test_it_does_not_talk_in_the_clear(master: Host, lab: Lab, name: str) -> None:
    address = f"{lab.of(name, 'node_address')}:{lab.of(name, 'lab_registry_port', 5000)}"
    assert http_code(master, f"http://{address}/v2/") == "400"
