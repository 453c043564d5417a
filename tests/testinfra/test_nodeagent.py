"""Role nodeagent: the agent and its watchdog."""

import json

from testinfra.host import Host

from tests.testinfra.conftest import Lab
from tests.testinfra.support import certificate_options, curl, http_code, listeners, units


def agent(lab: Lab, name: str) -> str:
    return f"https://{lab.of(name, 'node_address')}:{lab.of(name, 'lab_agent_port', 10250)}"


def test_agent_and_watchdog_run(node: Host) -> None:
    for unit in units(node, "kubelab-nodeagent", "kubelab-watchdog").values():
        assert unit.runs
        assert unit.enabled
        assert unit.comes_back
        assert unit.properties["Type"] == "notify"
        assert unit.memory_max.isdigit()


def test_the_watchdog_is_small(node: Host) -> None:
    pid = node.check_output("systemctl show -p MainPID --value kubelab-watchdog")
    pss = node.check_output(f"sed -n 's/^Pss: *\\([0-9]*\\) kB/\\1/p' /proc/{pid}/smaps_rollup")
    assert int(pss) <= 10 * 1024


def test_the_agent_listens_on_its_port(node: Host, lab: Lab, name: str) -> None:
    port = lab.of(name, "lab_agent_port", 10250)
    assert [where for where in listeners(node) if where.endswith(f":{port}")]


def test_only_the_api_server_is_served(node: Host, lab: Lab, name: str) -> None:
    url = agent(lab, name)
    for path in ("/pods", "/containerLogs/default/x/y", "/"):
        assert http_code(node, f"{url}{path}") in ("000", "401"), "without a certificate"
        assert http_code(node, f"{url}{path}", *certificate_options("kubelet")) == "403", "another agent"
        assert http_code(node, f"{url}{path}", *certificate_options("proxy")) == "403", "a proxy"


def test_peers_may_ask_when_the_api_was_last_reached(node: Host, lab: Lab) -> None:
    for other in lab.workers:
        out = curl(node, f"{agent(lab, other)}/fence", *certificate_options("kubelet"))
        assert json.loads(out)["lastReachedSecondsAgo"] < 5


def test_every_node_is_registered_with_what_the_table_gives_it(master: Host, lab: Lab, name: str) -> None:
    api = f"https://{lab.of(name, 'node_address')}:{lab.of(name, 'lab_api_port', 6443)}"
    out = curl(master, f"{api}/api/v1/nodes", *certificate_options("apiserver-kubelet-client"))
    nodes = {item["metadata"]["name"]: item for item in json.loads(out)["items"]}
    assert set(nodes) == {lab.of(node, "node_name") for node in lab.nodes}
    for node in lab.nodes:
        found = nodes[lab.of(node, "node_name")]
        ready = [c["status"] for c in found["status"]["conditions"] if c["type"] == "Ready"]
        assert ready == ["True"]
        assert found["spec"]["podCIDR"] == lab.of(node, "pod_cidr")
        assert {"type": "InternalIP", "address": lab.of(node, "node_address")} in found["status"]["addresses"]
