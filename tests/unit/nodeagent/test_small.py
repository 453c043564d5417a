"""The small pure parts: names, limits, back-off, images' names, pull policy, freshness."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from controlplane.api.types import ResourceRequirements
from nodeagent import backoff, limits
from nodeagent.apply import cluster_dns
from nodeagent.freshness import Freshness
from nodeagent.images import explain_miss, image_id, normal_name
from nodeagent.names import container_name
from nodeagent.runtime.base import Image
from nodeagent.runtime.nerdctl import valid_image
from tests.unit.nodeagent.builders import CONFIG, UID, FakeClock, make_pod


@pytest.mark.parametrize(
    ("container", "pod", "name"),
    [
        ("c", "web", f"k8s_c_web_default_{UID}_0"),
        ("c", "a--b", "k8s_c_a-b_"),
        ("c", "x" * 250, "k8s_c_" + "x" * 26 + "_"),
        ("c" * 63, "web.with.dots", "k8s_" + "c" * 18 + "_web-with-dots_"),
    ],
)
def test_container_names_fit_nerdctl(container: str, pod: str, name: str) -> None:
    made = container_name(container, pod, "default", UID, 0)
    assert made.startswith(name)
    assert len(made) <= 76


def test_shortened_names_differ_by_what_was_cut() -> None:
    assert container_name("c", "x" * 200 + "1", "n", UID, 0) != container_name("c", "x" * 200 + "2", "n", UID, 0)


@pytest.mark.parametrize(
    ("resources", "shares", "quota_us", "memory"),
    [
        ({}, 2, None, None),
        ({"requests": {"cpu": "100m"}}, 102, None, None),
        ({"limits": {"cpu": "500m", "memory": "64Mi"}}, 512, 50_000, 64 * 1024**2),
        ({"requests": {"cpu": "1"}, "limits": {"cpu": "1m"}}, 1024, 1000, None),
        ({"limits": {"cpu": "0"}}, 2, None, None),
    ],
)
def test_limits(resources: dict[str, Any], shares: int, quota_us: int | None, memory: int | None) -> None:
    found = limits.limits(ResourceRequirements(**resources), "Burstable", 1024**3)
    assert (found.cpu_shares, found.cpu_quota_us, found.memory_bytes) == (shares, quota_us, memory)


@pytest.mark.parametrize(
    ("resources", "qos", "score"),
    [
        ({}, "BestEffort", 1000),
        ({"requests": {"memory": "512Mi"}}, "Burstable", 500),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed", -997),
    ],
)
def test_quality_of_service(resources: dict[str, Any], qos: str, score: int) -> None:
    pod = make_pod(container={"resources": resources})
    assert limits.qos_class(pod.spec) == qos
    found = limits.limits(pod.spec.containers[0].resources, qos, 1024**3)
    assert found.oom_score_adj == score


@pytest.mark.parametrize(
    ("crashes", "delay_s"), [(0, 0), (1, 10), (2, 20), (3, 40), (4, 80), (5, 160), (6, 300), (99, 300)]
)
def test_back_off(crashes: int, delay_s: float) -> None:
    assert backoff.delay_s(crashes) == delay_s


@pytest.mark.parametrize(("seconds", "text"), [(10, "10s"), (160, "2m40s"), (300, "5m0s")])
def test_durations_read_like_upstreams(seconds: float, text: str) -> None:
    assert backoff.shown(seconds) == text


@pytest.mark.parametrize(
    ("image", "full"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("busybox:1", "docker.io/library/busybox:1"),
        ("me/app", "docker.io/me/app:latest"),
        ("localhost/app:2", "localhost/app:2"),
        ("10.77.0.10:5000/a/b", "10.77.0.10:5000/a/b:latest"),
        ("a@sha256:1", "docker.io/library/a@sha256:1"),
    ],
)
def test_image_names(image: str, full: str) -> None:
    assert normal_name(image) == full


def test_image_id_is_repository_and_digest() -> None:
    image = Image("10.77.0.10:5000/a/b:1", "sha256:abc", 1)
    assert image_id(image) == "10.77.0.10:5000/a/b@sha256:abc"


@pytest.mark.parametrize("name", ["--privileged", "-v/:/x", "a b", "a\n--x", "", "$(id)", "`id`", "x" * 600])
def test_what_is_no_image_name(name: str) -> None:
    assert not valid_image(name)


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("busybox", "Always"),
        ("busybox:latest", "Always"),
        ("busybox:1", "IfNotPresent"),
        ("a:5000/busybox", "Always"),
        ("busybox@sha256:1", "IfNotPresent"),
    ],
)
def test_default_pull_policy(image: str, policy: str) -> None:
    assert make_pod(container={"image": image}).spec.containers[0].pull_policy == policy


def test_a_miss_says_how_to_put_the_image_there() -> None:
    words = explain_miss("nope:1", 'failed to resolve reference "docker.io/library/nope:1": not found')
    assert words.startswith("nope:1 is not in the lab's registry: `make push IMAGE=nope:1`")
    assert explain_miss("quay.io/x:1", "denied") == "denied"


def test_a_state_older_than_what_was_seen_is_not_fresh(tmp_path: Path) -> None:
    seen = Freshness(tmp_path / "revision", FakeClock())
    assert seen.fresh("100")
    assert seen.fresh("100")
    assert not seen.fresh("99")
    assert not seen.fresh("")
    assert seen.fresh("101")


def test_the_highest_revision_outlives_the_agent(tmp_path: Path) -> None:
    first = Freshness(tmp_path / "revision", FakeClock())
    first.fresh("100")
    first.fresh("250")
    first.save()
    assert not Freshness(tmp_path / "revision", FakeClock()).fresh("249")


def test_names_are_the_clusters_unless_the_pod_wants_the_nodes() -> None:
    config = msgspec.structs.replace(CONFIG, cluster_dns="10.96.0.10")
    found = cluster_dns(make_pod(), config)
    assert found is not None
    assert (found.server, found.search[0], found.options) == (
        "10.96.0.10", "default.svc.cluster.local", ("ndots:5",)
    )  # fmt: skip
    assert cluster_dns(make_pod(spec={"dnsPolicy": "Default"}), config) is None
    assert cluster_dns(make_pod(), CONFIG) is None
