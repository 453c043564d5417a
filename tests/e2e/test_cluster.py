"""What stands after `make up`: nodes, ranges, namespaces, the API's own Service, and nobody anonymous."""

from __future__ import annotations

import pytest
import requests

from controlplane.api import quantity
from tests.e2e.support import IDLE, Lab, eventually


def test_master_and_workers_are_ready(lab: Lab) -> None:
    table = lab.kubectl("get", "nodes", "-o", "wide")
    rows = {line.split()[0]: line for line in table.splitlines()[1:]}
    assert {"master", "worker-1", "worker-2", "worker-3"} <= set(rows)
    for row in rows.values():
        assert row.split()[1] == "Ready"
        assert "containerd://" in row
    assert "control-plane" in rows["master"]


def test_capacity_is_the_machines_not_the_hosts(lab: Lab) -> None:
    table = {node["metadata"]["name"]: node["status"]["capacity"] for node in lab.get("nodes")["items"]}
    for name, capacity in table.items():
        given = int(lab.ssh(name, "sed -n 's/^memory_bytes *= *//p' /etc/kubelab/nodeagent.toml"))
        assert quantity.to_bytes(capacity["memory"]) == given


@pytest.mark.parametrize("name", ["default", "kube-system", "kube-public", "kube-node-lease"])
def test_namespaces_have_a_service_account_and_the_root_ca(lab: Lab, name: str) -> None:
    assert lab.get("serviceaccount", "default", "-n", name)["metadata"]["name"] == "default"
    bundle = lab.get("configmap", "kube-root-ca.crt", "-n", name)["data"]["ca.crt"]
    assert bundle.startswith("-----BEGIN CERTIFICATE-----")


def test_the_api_is_a_service_in_the_cluster(lab: Lab, namespace: str) -> None:
    service = lab.get("service", "kubernetes", "-n", "default")
    assert service["spec"]["clusterIP"].endswith(".0.1")
    lab.kubectl("run", "probe", "-n", namespace, "--image=busybox", "--", *IDLE)
    lab.kubectl("wait", "pod/probe", "-n", namespace, "--for=condition=Ready", "--timeout=60s")
    node = lab.get("pod", "probe", "-n", namespace)["spec"]["nodeName"]
    container = lab.ssh(
        node,
        f"nerdctl ps -q --filter label=io.kubernetes.pod.namespace={namespace} "
        "--filter label=io.kubernetes.container.name=probe",
    ).split()[0]
    ip = service["spec"]["clusterIP"]
    said = lab.ssh(node, f"nerdctl exec {container} sh -c 'nc -w 3 {ip} 443 </dev/null && echo open'")
    assert "open" in said


@pytest.mark.parametrize("path", ["/api/v1/namespaces", "/version", "/healthz", "/no/such/path"])
@pytest.mark.parametrize("token", ["", "nonsense"], ids=["no token", "a wrong token"])
def test_nobody_is_anonymous(lab: Lab, path: str, token: str) -> None:
    server = next(line.split()[-1] for line in lab.kubectl("config", "view").splitlines() if "server:" in line)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = requests.get(server + path, headers=headers, verify=str(lab.state / "pki/ca.crt"), timeout=10)
    assert (answer.status_code, answer.json()["reason"]) == (401, "Unauthorized")


def test_the_agent_and_redis_serve_nobody_else(lab: Lab) -> None:
    address = lab.get("node", "worker-1")["status"]["addresses"][0]["address"]
    said = lab.client(f"curl -sk -m 5 -o /dev/null -w '%{{http_code}}' https://{address}:10250/pods || echo refused")
    assert said.strip()[-7:] == "refused" or said.strip() in ("401", "403")
    master = lab.get("node", "master")["status"]["addresses"][0]["address"]
    assert lab.client(f"curl -s -m 2 http://{master}:6379/; echo $?").split()[-1] == "7", "7: connection refused"


def test_version_and_discovery(lab: Lab) -> None:
    assert "Server Version" in lab.kubectl("version")
    resources = lab.kubectl("api-resources")
    for plural in ("pods", "nodes", "services", "endpointslices", "leases", "replicationcontrollers", "secrets"):
        assert plural in resources
    assert "control plane" in lab.kubectl("cluster-info")


def test_events_are_merged_not_repeated(lab: Lab, namespace: str) -> None:
    lab.kubectl("run", "lost", "-n", namespace, "--image=no-such-image")

    def pull_failures() -> list[str]:
        return [message for reason, message in lab.events(namespace) if reason == "Failed"]

    messages = eventually("an event that names the missing image", pull_failures)
    assert any("make push IMAGE=" in message for message in messages)
    assert len(messages) == len(set(messages))
