"""Images: what a container waits for, pulls that several pods share, and failures with their back-off."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from nodeagent.images import ImageManager
from nodeagent.plan import ImageFailed, ImageNeeded, ImagePulling, ImageReady, ImageState
from nodeagent.pods import Pod
from tests.unit.nodeagent.builders import FakeClock, make_pod
from tests.unit.nodeagent.fakes import FakeRuntime


class SlowRuntime(FakeRuntime):
    """Pulls wait for the test."""

    def __init__(self) -> None:
        super().__init__(present=[])
        self.go = threading.Event()

    def pull(self, image: str, progress: Callable[[str], None]) -> None:
        assert self.go.wait(5)
        super().pull(image, progress)


class Rig:
    def __init__(self) -> None:
        self.clock, self.runtime = FakeClock(), SlowRuntime()
        self.events: list[tuple[str, str]] = []
        self.woken = threading.Event()
        self.images = ImageManager(self.runtime, self.clock, self.tell, lambda _: self.woken.set())

    def tell(self, pod: Pod, type: str, reason: str, message: str) -> None:
        self.events.append((reason, message))

    def state(self, pod: Pod, attempt: int = 0) -> ImageState:
        return self.images.state(pod, pod.spec.containers[0], attempt)

    def pull(self, pod: Pod, attempt: int = 0) -> None:
        """Request the pull and wait for its end."""
        self.runtime.go.set()
        self.images.request(pod, pod.spec.containers[0], attempt)
        assert self.woken.wait(5)
        self.woken.clear()


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    yield made
    made.images.stop()


def pod_with(policy: str, image: str = "busybox") -> Pod:
    return make_pod(container={"imagePullPolicy": policy, "image": image})


def test_if_not_present_pulls_once(rig: Rig) -> None:
    pod = pod_with("IfNotPresent")
    assert rig.state(pod) == ImageNeeded()
    rig.pull(pod)
    assert rig.state(pod) == rig.state(pod, 1) == ImageReady()
    assert [reason for reason, _ in rig.events] == ["Pulling", "Pulled"]


def test_always_pulls_for_each_start(rig: Rig) -> None:
    pod = pod_with("Always")
    rig.pull(pod)
    assert rig.state(pod) == ImageReady()
    assert rig.state(pod, 1) == ImageNeeded()


def test_never_says_so(rig: Rig) -> None:
    state = rig.state(pod_with("Never"))
    assert isinstance(state, ImageFailed)
    assert (state.reason, state.retry_at) == ("ErrImageNeverPull", None)


def test_an_impossible_name_is_never_asked_for(rig: Rig) -> None:
    state = rig.state(pod_with("Always", "--privileged"))
    assert isinstance(state, ImageFailed)
    assert state.reason == "InvalidImageName"


def test_who_finds_a_pull_under_way_is_woken_by_its_end(rig: Rig) -> None:
    first = pod_with("Always")
    second = replace(first, uid="second")
    woken: queue.Queue[str] = queue.Queue()
    images = ImageManager(rig.runtime, rig.clock, rig.tell, woken.put)
    images.request(first, first.spec.containers[0], 0)
    assert isinstance(images.state(second, second.spec.containers[0], 0), ImagePulling)
    rig.runtime.go.set()
    assert {woken.get(timeout=5), woken.get(timeout=5)} == {first.uid, second.uid}
    assert images.state(second, second.spec.containers[0], 0) == ImageReady()
    images.stop()


def test_a_pull_under_way_is_joined(rig: Rig) -> None:
    pod = pod_with("IfNotPresent")
    rig.images.request(pod, pod.spec.containers[0], 0)
    rig.images.request(pod, pod.spec.containers[0], 0)
    assert isinstance(rig.state(pod), ImagePulling)
    rig.runtime.go.set()
    assert rig.woken.wait(5)
    assert len(rig.runtime.pulled) == 1


def test_failures_back_off_and_explain(rig: Rig) -> None:
    pod = pod_with("IfNotPresent", "nope:1")
    rig.runtime.fail["pull"] = "failed to resolve reference: not found"
    rig.pull(pod)
    state = rig.state(pod)
    assert isinstance(state, ImageFailed)
    assert (state.reason, state.retry_at) == ("ImagePullBackOff", 1010.0)
    assert "`make push IMAGE=nope:1`" in state.message
    assert "(next try at 12:00:10 UTC)" in state.message
    assert [reason for reason, _ in rig.events] == ["Pulling", "Failed", "Failed", "BackOff"]
    rig.clock.at = 1010.0
    assert rig.state(pod) == ImageNeeded()
    rig.pull(pod)
    again = rig.state(pod)
    assert isinstance(again, ImageFailed)
    assert again.retry_at == 1030.0
