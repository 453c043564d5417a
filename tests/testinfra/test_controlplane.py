"""Role controlplane: the API server and the manager."""

import json

import pytest
from testinfra.host import Host

from tests.testinfra.conftest import Lab
from tests.testinfra.support import certificate_options, curl, http_code, units


def api(lab: Lab) -> str:
    master = lab.masters[0]
    return f"https://{lab.of(master, 'node_address')}:{lab.of(master, 'lab_api_port', 6443)}"


def test_they_run_as_an_account_without_power(master: Host) -> None:
    for unit in units(master, "kubelab-apiserver", "kubelab-manager").values():
        assert unit.runs
        assert unit.enabled
        assert unit.comes_back
        assert unit.properties["Type"] == "notify"
        assert unit.properties["User"] == "kubelab"
        assert unit.memory_max.isdigit()


@pytest.mark.parametrize("path", ["/api/v1/namespaces", "/api/v1/nodes", "/version", "/openapi/v3", "/nonsense"])
def test_nobody_is_nobody(worker: Host, lab: Lab, path: str) -> None:
    status = json.loads(curl(worker, f"{api(lab)}{path}"))
    assert (status["kind"], status["code"], status["reason"]) == ("Status", 401, "Unauthorized")


def test_a_wrong_token_is_nobody(worker: Host, lab: Lab) -> None:
    assert http_code(worker, f"{api(lab)}/api/v1/nodes", "-H 'Authorization: Bearer nonsense'") == "401"


def test_the_api_does_not_talk_in_the_clear(worker: Host, lab: Lab) -> None:
    assert http_code(worker, f"{api(lab).replace('https', 'http')}/version") in ("000", "400")


def test_a_node_is_let_in_and_does_not_read_secrets(worker: Host, lab: Lab) -> None:
    me = certificate_options("kubelet")
    assert http_code(worker, f"{api(lab)}/api/v1/nodes", *me) == "200"
    assert http_code(worker, f"{api(lab)}/api/v1/secrets", *me) == "403"


def test_the_controllers_lead(master: Host, lab: Lab) -> None:
    path = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/kubelab-manager"
    lease = curl(master, f"{api(lab)}{path}", *certificate_options("controller-manager"))
    assert json.loads(lease)["spec"]["holderIdentity"]
