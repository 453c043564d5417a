"""The real kubectl against the real server: what needs no node."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import pytest

from tests.integration.apiserver.support import Api, controller, pod
from tests.support.server import RunningServer


class Kubectl:
    """kubectl in one namespace; returns what it prints."""

    def __init__(self, server: RunningServer, namespace: str) -> None:
        self._server = server
        self._namespace = namespace

    def __call__(self, *arguments: str, stdin: str | None = None) -> str:
        return self._server.kubectl("-n", self._namespace, *arguments, stdin=stdin).stdout

    def fails(self, *arguments: str, stdin: str | None = None) -> str:
        done = self._server.kubectl("-n", self._namespace, *arguments, stdin=stdin, check=False)
        assert done.returncode != 0, done.stdout
        return done.stderr

    def background(self, *arguments: str) -> subprocess.Popen[str]:
        command = self._server.kubectl_command("-n", self._namespace, *arguments)
        return subprocess.Popen(command, env=self._server.kubectl_env(), stdout=subprocess.PIPE, text=True)


@pytest.fixture
def kubectl(server: RunningServer, api: Api) -> Kubectl:
    return Kubectl(server, api.namespace)


def test_get_in_all_forms(kubectl: Kubectl, api: Api) -> None:
    api.ok("POST", "pods", pod("b"))
    api.ok("POST", "pods", pod("a"))
    plain = kubectl("get", "pods").splitlines()
    assert plain[0].split() == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert [line.split()[:3] for line in plain[1:]] == [["a", "0/1", "Pending"], ["b", "0/1", "Pending"]]
    assert "NODE" in kubectl("get", "pods", "-o", "wide").splitlines()[0]
    assert json.loads(kubectl("get", "pod", "a", "-o", "json")) == api.ok("GET", "pods/a")
    assert "phase: Pending" in kubectl("get", "pod", "a", "-o", "yaml")
    assert kubectl("get", "po", "-l", "app=b", "-o", "name") == "pod/b\n"
    ordered = kubectl("get", "pods", "--sort-by=.metadata.creationTimestamp", "--no-headers")
    assert len(ordered.splitlines()) == 2
    assert api.namespace in kubectl("get", "pods", "-A")
    assert "default" in kubectl("get", "ns,svc", "-A")
    assert 'pods "zz" not found' in kubectl.fails("get", "pod", "zz")
    assert kubectl("get", "pods", "--field-selector", "metadata.name=a", "-o", "name") == "pod/a\n"
    assert kubectl("get", "pods", "--chunk-size=1", "--no-headers").count("Pending") == 2


def test_get_watch_prints_each_step(kubectl: Kubectl, api: Api) -> None:
    api.ok("POST", "pods", pod("a"))
    watching = kubectl.background("get", "pods", "-w", "--no-headers")
    try:
        assert watching.stdout is not None
        assert watching.stdout.readline().split()[0] == "a"
        api.ok("POST", "pods", pod("b"))
        assert watching.stdout.readline().split()[:3] == ["b", "0/1", "Pending"]
    finally:
        watching.kill()
        watching.wait()
        assert watching.stdout is not None
        watching.stdout.close()


MANIFEST = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: ReplicationController
metadata: {name: web}
spec:
  replicas: 2
  selector: {app: web}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: web, ports: [{containerPort: 8080}]}]}
"""


def test_apply_create_change_and_no_change(kubectl: Kubectl) -> None:
    assert kubectl("apply", "-f", "-", stdin=MANIFEST) == "service/web created\nreplicationcontroller/web created\n"
    again = kubectl("apply", "-f", "-", stdin=MANIFEST)
    assert again == "service/web unchanged\nreplicationcontroller/web unchanged\n"
    changed = kubectl(
        "apply", "-f", "-", stdin=MANIFEST.replace("replicas: 2", "replicas: 3").replace("port: 80,", "port: 81,")
    )
    assert changed == "service/web configured\nreplicationcontroller/web configured\n"
    assert kubectl("get", "rc", "web", "-o", "jsonpath={.spec.replicas}") == "3"
    assert kubectl("get", "svc", "web", "-o", "jsonpath={.spec.ports[*].port}") == "81"
    error = kubectl.fails("apply", "-f", "-", stdin=MANIFEST.replace("replicas: 2", "replicaz: 2"))
    assert 'unknown field "spec.replicaz"' in error
    assert "created (server dry run)" in kubectl(
        "apply", "--dry-run=server", "-f", "-", stdin=MANIFEST.replace("web}", "w2}")
    )


def test_server_side_apply_fails_with_words(kubectl: Kubectl) -> None:
    error = kubectl.fails("apply", "--server-side", "-f", "-", stdin=MANIFEST)
    assert "Server-side apply not available on the server" in error


def test_create_run_and_expose(kubectl: Kubectl) -> None:
    assert kubectl("create", "configmap", "c", "--from-literal=a=b") == "configmap/c created\n"
    assert kubectl("create", "secret", "generic", "s", "--from-literal=p=q") == "secret/s created\n"
    assert kubectl("get", "secret", "s", "-o", "jsonpath={.data.p}") == "cQ=="
    assert kubectl("create", "serviceaccount", "robot") == "serviceaccount/robot created\n"
    assert kubectl("create", "service", "clusterip", "svc", "--tcp=80:8080") == "service/svc created\n"
    assert (
        kubectl("run", "web", "--image=busybox", "--port=80", "--env=A=B", "--", "sleep", "9") == "pod/web created\n"
    )
    assert kubectl("get", "pod", "web", "-o", "jsonpath={.spec.containers[0].args}") == '["sleep","9"]'
    assert kubectl("expose", "pod", "web", "--name=front", "--type=NodePort") == "service/front exposed\n"
    assert "already exists" in kubectl.fails("create", "configmap", "c")


def test_create_namespace(kubectl: Kubectl, api: Api) -> None:
    name = f"{api.namespace}-more"
    assert kubectl("create", "namespace", name) == f"namespace/{name} created\n"
    assert kubectl("get", "ns", name, "--no-headers").split()[:2] == [name, "Active"]


def test_label_annotate_patch_scale(kubectl: Kubectl, api: Api) -> None:
    api.ok("POST", "replicationcontrollers", controller(replicas=1))
    assert kubectl("label", "rc", "rc", "tier=x") == "replicationcontroller/rc labeled\n"
    assert "already has a value" in kubectl.fails("label", "rc", "rc", "tier=y")
    assert kubectl("label", "rc", "rc", "tier-") == "replicationcontroller/rc unlabeled\n"
    assert kubectl("annotate", "rc", "rc", "note=hello there") == "replicationcontroller/rc annotated\n"
    assert kubectl("scale", "rc", "rc", "--replicas=4") == "replicationcontroller/rc scaled\n"
    assert kubectl("scale", "rc", "rc", "--current-replicas=4", "--replicas=5") == "replicationcontroller/rc scaled\n"
    assert "expected replicas" in kubectl.fails("scale", "rc", "rc", "--current-replicas=4", "--replicas=6").lower()
    for kind, patch in (
        ("merge", '{"spec":{"replicas":6}}'),
        ("json", '[{"op":"replace","path":"/spec/replicas","value":7}]'),
        ("strategic", '{"spec":{"template":{"spec":{"containers":[{"name":"main","image":"other"}]}}}}'),
    ):
        assert kubectl("patch", "rc", "rc", "--type", kind, "-p", patch) == "replicationcontroller/rc patched\n"
    seen = api.ok("GET", "replicationcontrollers/rc")["spec"]
    assert (seen["replicas"], seen["template"]["spec"]["containers"][0]["image"]) == (7, "other")


def test_set_image_and_taint(kubectl: Kubectl, api: Api, server: RunningServer) -> None:
    node = f"node-{api.namespace}"
    api.ok("POST", "/api/v1/nodes", {"metadata": {"name": node}})
    assert "tainted" in kubectl("taint", "node", node, "a=b:NoSchedule")
    assert "cordoned" in kubectl("cordon", node)
    assert "SchedulingDisabled" in kubectl("get", "node", node)
    assert f"Name:               {node}" in kubectl("describe", "node", node)
    assert "deleted" in kubectl("delete", "node", node)


def test_edit(kubectl: Kubectl, api: Api, server: RunningServer, tmp_path: Path) -> None:
    api.ok("POST", "configmaps", {"metadata": {"name": "c"}, "data": {"a": "before"}})
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsed -i s/before/after/ "$1"\n')
    editor.chmod(0o700)
    command = server.kubectl_command("-n", api.namespace, "edit", "configmap", "c")
    done = subprocess.run(
        command, env={**server.kubectl_env(), "KUBE_EDITOR": str(editor)}, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "configmap/c edited\n", done.stderr
    assert api.ok("GET", "configmaps/c")["data"] == {"a": "after"}


def test_describe(kubectl: Kubectl, api: Api) -> None:
    made = api.ok("POST", "pods", pod("a"))
    when = made["metadata"]["creationTimestamp"]
    involved = {"kind": "Pod", "name": "a", "namespace": api.namespace, "uid": made["metadata"]["uid"]}
    event = {
        "metadata": {"name": "a.1"},
        "involvedObject": involved,
        "reason": "Tested",
        "message": "seen in describe",
        "type": "Normal",
        "count": 1,
        "firstTimestamp": when,
        "lastTimestamp": when,
    }
    api.ok("POST", "events", event)
    text = kubectl("describe", "pod", "a")
    assert "seen in describe" in text
    assert "Status:           Pending" in text
    kubectl("apply", "-f", "-", stdin=MANIFEST)
    assert "Replicas:     0 current / 2 desired" in kubectl("describe", "rc", "web")
    assert "TargetPort:               8080/TCP" in kubectl("describe", "svc", "web")
    assert "Labels:" in kubectl("describe", "ns", api.namespace)
    assert "seen in describe" in kubectl("get", "events")


def test_delete_in_all_forms(kubectl: Kubectl, api: Api) -> None:
    for name in ("a", "b", "c", "d"):
        api.ok("POST", "pods", pod(name, labels={"group": "x" if name in "bc" else "y"}))
    assert 'pod "a" deleted' in kubectl("delete", "pod", "a")
    assert kubectl("delete", "pods", "-l", "group=x").count("deleted") == 2
    assert kubectl("delete", "pods", "--all").count("deleted") == 1
    api.ok("POST", "pods", pod("e"))
    api.ok("POST", "pods/e/binding", {"target": {"name": "n1"}})
    assert 'pod "e" deleted' in kubectl("delete", "pod", "e", "--grace-period=1", "--wait=false")
    assert api.ok("GET", "pods/e")["metadata"]["deletionGracePeriodSeconds"] == 1
    assert "force deleted" in kubectl("delete", "pod", "e", "--grace-period=0", "--force")
    assert kubectl("get", "pods") == ""
    assert "NotFound" in kubectl.fails("delete", "pod", "e")
    assert kubectl("delete", "pod", "e", "--ignore-not-found") == ""


def test_wait(kubectl: Kubectl, api: Api) -> None:
    api.ok("POST", "pods", pod("a"))
    waiting = kubectl.background("wait", "pod/a", "--for=condition=Ready", "--timeout=30s")
    time.sleep(0.3)
    ready = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    api.ok("PATCH", "pods/a/status", ready, "application/strategic-merge-patch+json")
    output, _ = waiting.communicate(timeout=30)
    assert output == "pod/a condition met\n"
    gone = kubectl.background("wait", "pod/a", "--for=delete", "--timeout=30s")
    time.sleep(0.3)
    api.ok("DELETE", "pods/a")
    output, _ = gone.communicate(timeout=30)
    assert (gone.returncode, output) == (0, "pod/a condition met\n")
    assert kubectl("wait", "--for=jsonpath={.status.phase}=Active", f"ns/{api.namespace}").endswith("condition met\n")


def test_about_the_cluster(kubectl: Kubectl) -> None:
    resources = kubectl("api-resources")
    for word in ("replicationcontrollers", "endpointslices", "discovery.k8s.io/v1", "leases", "rc", "po"):
        assert word in resources
    assert kubectl("api-versions").split() == ["coordination.k8s.io/v1", "discovery.k8s.io/v1", "v1"]
    assert "Kubernetes control plane" in kubectl("cluster-info")
    assert "Server Version: v1.37" in kubectl("version")
    assert kubectl("get", "--raw", "/readyz") == "ok"
    assert "[+]cache-durable ok" in kubectl("get", "--raw", "/readyz?verbose")
    assert "apiserver_request_total{" in kubectl("get", "--raw", "/metrics")


def test_the_kubernetes_service_is_there(kubectl: Kubectl) -> None:
    assert kubectl("get", "svc", "-n", "default", "kubernetes", "-o", "jsonpath={.spec.clusterIP}") == "10.96.0.1"
    endpoints = kubectl(
        "get", "endpointslices", "-n", "default", "kubernetes", "-o", "jsonpath={.endpoints[*].addresses}"
    )
    assert endpoints == '["10.77.0.10"]'
    assert "10.77.0.10" in kubectl("describe", "svc", "-n", "default", "kubernetes")
    assert kubectl("get", "ns", "-o", "name").split()[0] == "namespace/default"
