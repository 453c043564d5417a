"""Bad input of a person at kubectl: refused with the field's name, or passed on to the container letter by letter."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.support import Lab, web

TRACE = "/tmp/kubelab-was-here"
WORDS = [
    "--privileged",
    "-v=/:/host",
    f"$(touch {TRACE})",
    f"`touch {TRACE}`",
    f"; touch {TRACE}",
    "two\nlines",
    "../..",
    "'\"\\",
    "",
]
COMMAND = ["sh", "-c", 'for w in "$@" "$E"; do printf "<%s>\\n" "$w"; done', "--"]


def pod(name: str = "bad", **container: Any) -> dict[str, Any]:
    main = {"name": container.pop("called", "main"), "image": "busybox", "args": ["sleep", "600"], **container}
    spec = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": [main]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def service(name: str = "bad", **spec: Any) -> dict[str, Any]:
    whole = {"selector": {"app": "x"}, "ports": [{"port": 80}], **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": whole}


def endpoints(ip: str) -> dict[str, Any]:
    subsets = [{"addresses": [{"ip": ip}], "ports": [{"port": 80}]}]
    return {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "bad"}, "subsets": subsets}


def with_metadata(obj: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {**obj, "metadata": {**obj["metadata"], **metadata}}


def mounted(**mount: Any) -> dict[str, Any]:
    obj = pod(volumeMounts=[{"name": "v", "mountPath": "/v", **mount}])
    obj["spec"]["volumes"] = [{"name": "v", "emptyDir": {}}]
    return obj


def test_words_of_a_shell_reach_the_container_as_they_are(lab: Lab, namespace: str) -> None:
    """Row 12: nothing between kubectl and the process takes them for an option, a command or a line's end."""
    value = " ".join(WORDS)
    obj = pod("literal", command=COMMAND, args=WORDS, env=[{"name": "E", "value": value}])
    obj = with_metadata(obj, annotations={"note": value})
    lab.kubectl("create", "-n", namespace, "-f", "-", stdin=json.dumps(obj))
    lab.kubectl("wait", "pod/literal", "-n", namespace, "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s")
    assert lab.kubectl("logs", "literal", "-n", namespace) == "".join(f"<{word}>\n" for word in [*WORDS, value])
    stored = lab.get("pod", "literal", "-n", namespace)
    assert stored["metadata"]["annotations"]["note"] == value
    assert not Path(TRACE).exists()
    for node in ("master", stored["spec"]["nodeName"]):
        assert lab.ssh(node, f"ls {TRACE} 2>&1 || true").strip().endswith("No such file or directory")


REFUSED = {
    "image like an option": (pod(image="--privileged"), "spec.containers[0].image"),
    "image with a command": (pod(image=f"$(touch {TRACE})"), "spec.containers[0].image"),
    "image with backquotes": (pod(image="`id`"), "spec.containers[0].image"),
    "image of two lines": (pod(image="busybox\n--net=host"), "spec.containers[0].image"),
    "image with a path out": (pod(image="../../etc/passwd"), "spec.containers[0].image"),
    "name of a pod": (pod("../bad"), "metadata.name"),
    "name of a container": (pod(called="a;b"), "spec.containers[0].name"),
    "name of a variable": (pod(env=[{"name": "A\nB", "value": ""}]), "spec.containers[0].env[0].name"),
    "label": (with_metadata(pod(), labels={"a": "$(id)"}), "metadata.labels"),
    "key of an annotation": (with_metadata(pod(), annotations={"a\nb": ""}), "metadata.annotations"),
    "path out of a volume": (mounted(subPath="../x"), "spec.containers[0].volumeMounts[0].subPath"),
    "name of a service": (service("a;b"), "metadata.name"),
    "rule in a source range": (
        service(type="LoadBalancer", loadBalancerSourceRanges=["0.0.0.0/0 -j ACCEPT"]),
        "spec.loadBalancerSourceRanges[0]",
    ),
    "rule in a cluster IP": (service(clusterIP="10.96.0.9 -j ACCEPT"), "spec.clusterIPs[0]"),
    "rule in a port's name": (service(ports=[{"port": 80, "name": "a -j DROP"}]), "spec.ports[0].name"),
    "rule in an endpoint": (endpoints("10.0.0.1 -j ACCEPT"), "subsets[0].addresses[0].ip"),
    "negative cpu": (pod(resources={"limits": {"cpu": "-1"}}), "spec.containers[0].resources"),
    "memory beyond 64 bits": (pod(resources={"requests": {"memory": "1e30"}}), "spec.containers[0].resources"),
    "a billion replicas": (
        {
            "apiVersion": "v1",
            "kind": "ReplicationController",
            "metadata": {"name": "bad"},
            "spec": {"replicas": 10**9, "template": {"metadata": {"labels": {"app": "x"}}, "spec": pod()["spec"]}},
        },
        "spec.replicas",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_out_of_form_is_refused_by_its_field(lab: Lab, namespace: str, case: str) -> None:
    """Rows 9, 12, 17."""
    obj, field = REFUSED[case]
    said = lab.refused("create", "-n", namespace, "-f", "-", stdin=json.dumps(obj))
    assert "is invalid" in said
    assert field in said
    assert "NotFound" in lab.refused("get", obj["kind"].lower(), "bad", "-n", namespace)


def test_what_a_service_has_nobody_else_gets(lab: Lab, namespace: str) -> None:
    """Row 16."""
    n = ("-n", namespace)
    lab.kubectl("create", "service", "nodeport", "first", *n, "--tcp=80")
    spec = lab.get("service", "first", *n)["spec"]
    taken = str(spec["ports"][0]["nodePort"])
    assert "provided IP is already allocated" in lab.refused(
        "create", "service", "clusterip", "second", *n, "--tcp=80", f"--clusterip={spec['clusterIP']}"
    )
    assert "provided port is already allocated" in lab.refused(
        "create", "service", "nodeport", "second", *n, "--tcp=80", f"--node-port={taken}"
    )
    for port in ("80", "29999", "32768"):
        said = lab.refused("create", "service", "nodeport", "second", *n, "--tcp=80", f"--node-port={port}")
        assert "The range of valid ports is 30000-32767" in said
    lab.kubectl("delete", "service", "first", *n)
    lab.kubectl("create", "service", "nodeport", "second", *n, "--tcp=80", f"--node-port={taken}")


def test_numbers_beyond_reason_harm_nobody(lab: Lab, namespace: str) -> None:
    """Row 17: what can't be is refused, what could be waits, and others are served meanwhile."""
    lab.apply(web("shop", 1), namespace)
    said = lab.refused("scale", "rc/shop", "-n", namespace, "--replicas=1000000000")
    assert "spec.replicas" in said
    huge = pod("huge", resources={"requests": {"cpu": "9223372036854775", "memory": "8Ei"}})
    done = lab.spawn("create", "-n", namespace, "-f", "-", stdin=subprocess.PIPE)
    out, error = done.communicate(json.dumps(huge), timeout=60)
    assert done.returncode == 0 or "is invalid" in error, out + error
    lab.ready_pods(namespace, "app=shop", 1)
    assert lab.get("rc", "shop", "-n", namespace)["spec"]["replicas"] == 1
