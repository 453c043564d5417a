"""A Service answers from all its pods: in the cluster on its ClusterIP, for the public only where it is published."""

from __future__ import annotations

from functools import partial

from tests.e2e.support import Lab, eventually, names, web


def published(lab: Lab, namespace: str, count: int = 3) -> set[str]:
    """A ReplicationController of `web` pods behind a LoadBalancer Service called shop; the pods' names."""
    lab.apply(web("shop", count), namespace)
    lab.kubectl("expose", "rc", "shop", "-n", namespace, "--port=80", "--type=LoadBalancer")
    return names(lab.ready_pods(namespace, "app=shop", count))


def answers_from(lab: Lab, url: str, pods: set[str]) -> bool:
    return lab.answers(url) == pods


def public_address(lab: Lab, namespace: str) -> str:
    def probe() -> str:
        ingress = lab.get("service", "shop", "-n", namespace)["status"]["loadBalancer"].get("ingress", [])
        return str(ingress[0]["ip"]) if ingress else ""

    return eventually("a public address", probe)


def announcer(lab: Lab, namespace: str) -> str:
    annotations = lab.get("service", "shop", "-n", namespace)["metadata"].get("annotations", {})
    return str(annotations.get("kubelab.io/announced-by", ""))


def test_every_pod_answers_on_every_published_way(lab: Lab, namespace: str) -> None:
    pods = published(lab, namespace)
    service = lab.get("service", "shop", "-n", namespace)
    node_port = service["spec"]["ports"][0]["nodePort"]
    public = public_address(lab, namespace)
    addresses = {
        node["metadata"]["name"]: next(a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP")
        for node in lab.get("nodes")["items"]
    }
    eventually("all pods on the public address", lambda: lab.answers(f"http://{public}/") == pods)
    for address in addresses.values():
        eventually("all pods on each node port", partial(answers_from, lab, f"http://{address}:{node_port}/", pods))

    cluster_ip = service["spec"]["clusterIP"]
    loop = f"for i in $(seq 60); do timeout 5 wget -q -O - http://{cluster_ip}/; echo; done"
    lab.kubectl("run", "asker", "-n", namespace, "--image=busybox", "--restart=Never", "--", "sh", "-c", loop)
    lab.kubectl("wait", "pod/asker", "-n", namespace, "--for=jsonpath={.status.phase}=Succeeded", "--timeout=90s")
    said = lab.kubectl("logs", "asker", "-n", namespace)
    assert all(pod in said for pod in pods)


def test_what_is_not_published_is_out_of_reach(lab: Lab, namespace: str) -> None:
    published(lab, namespace, 1)
    pod_ip = lab.pods(namespace, "app=shop")[0]["status"]["podIP"]
    cluster_ip = lab.get("service", "shop", "-n", namespace)["spec"]["clusterIP"]
    for address in (pod_ip, cluster_ip):
        assert "000" in lab.client(f"curl -s -m 2 -o /dev/null -w '%{{http_code}}' http://{address}/ || true")


def test_the_announcer_is_named_in_an_event(lab: Lab, namespace: str) -> None:
    published(lab, namespace, 1)
    address = public_address(lab, namespace)
    worker = eventually("a worker that announces it", lambda: announcer(lab, namespace))

    def told() -> bool:
        return any(
            reason == "Announced" and worker in text and address in text for reason, text in lab.events(namespace)
        )

    eventually("an event that names the worker", told)


def test_a_pod_that_is_not_ready_gets_no_requests(lab: Lab, namespace: str) -> None:
    pods = published(lab, namespace, 2)
    public = public_address(lab, namespace)
    eventually("both pods", lambda: lab.answers(f"http://{public}/") == pods)
    victim = sorted(pods)[0]
    pod = lab.get("pod", victim, "-n", namespace)
    container = pod["status"]["containerStatuses"][0]["containerID"].split("//")[1]
    lab.kubectl("label", "pod", victim, "-n", namespace, "app=removed", "--overwrite")
    replaced = lab.ready_pods(namespace, "app=shop", 2)
    assert victim not in names(replaced)
    eventually("only pods that match", lambda: lab.answers(f"http://{public}/") == names(replaced))
    assert container


def test_a_deleted_service_stops_answering(lab: Lab, namespace: str) -> None:
    pods = published(lab, namespace, 1)
    public = public_address(lab, namespace)
    eventually("an answer", lambda: lab.answers(f"http://{public}/", 5) == pods)
    lab.kubectl("delete", "service", "shop", "-n", namespace)
    eventually("silence", lambda: lab.answers(f"http://{public}/", 3) == set())
    nodes = [n["metadata"]["name"] for n in lab.get("nodes")["items"]]
    assert all(public not in lab.ssh(node, "ip -4 -o addr") for node in nodes)
