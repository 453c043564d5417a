"""The agent's loop on a runtime and an API in memory: what it does, reports, and refuses to do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from controlplane.api.errors import ApiError
from controlplane.api.types import ObjectMeta
from controlplane.client import WorkQueue
from nodeagent.agent import Agent, Parts, key_of
from nodeagent.apply import Tools
from nodeagent.freshness import Freshness
from nodeagent.images import ImageManager
from nodeagent.mounts import PodFiles
from nodeagent.observe import ContainerStore
from nodeagent.plan import Waiting
from nodeagent.pods import ApiPod, Pod
from nodeagent.runtime.base import Container, EventKind, Mount, PodRef, RuntimeEvent
from nodeagent.status import Health
from tests.unit.nodeagent.builders import CONFIG, UID, WALL, FakeClock, make_container, make_sandbox
from tests.unit.nodeagent.fakes import FakeApi, FakeInformer, FakeRuntime

KEY = ("default", "web")


class Files(PodFiles):
    """Folders, but no mounts: unit tests need no root."""

    def mounts_for(self, pod: Pod, *_: object) -> tuple[Mount, ...]:
        self.folder(pod.uid).mkdir(parents=True, exist_ok=True)
        return ()


class Probes:
    """No probe runs here."""

    def __init__(self) -> None:
        self.running: list[str] = []
        self.failed: dict[str, str] = {}

    def unhealthy(self) -> dict[str, str]:
        return self.failed

    def health(self) -> dict[str, Health]:
        return {}

    def sync(self, _: Pod, running: list[Container], __: str) -> None:
        self.running = [c.container for c in running]

    def forget(self, _: str) -> None:
        self.running = []


class Told:
    """Collects events."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    def __call__(self, pod: Pod, type: str, reason: str, message: str) -> None:
        self.reasons.append(reason)

    def about_node(self, _: str, reason: str, __: str) -> None:
        self.reasons.append(f"node:{reason}")

    def waiting(self, pod: Pod, waiting: dict[str, Waiting]) -> None:
        pass

    def forget(self, uid: str) -> None:
        pass


class Rig:
    """One agent with everything in memory."""

    def __init__(self, folder: Path) -> None:
        self.clock, self.runtime, self.api = FakeClock(), FakeRuntime(), FakeApi()
        self.probes, self.told = Probes(), Told()
        self.may_start, self.is_fenced = True, False
        self.store = ContainerStore(self.runtime, self.clock, lambda _: None, "boot")
        self.images = ImageManager(self.runtime, self.clock, self.told, lambda _: None)
        files = Files(folder / "root", folder / "run")
        tools = Tools(CONFIG, self.runtime, self.store, self.images, files, self.clock, self.told, "boot")
        self.files = files
        self.informer = FakeInformer(self.api)
        parts: Any = Parts(
            cast("Any", self.api), cast("Any", self.informer), WorkQueue(self.clock), tools,
            cast("Any", self.probes), Freshness(folder / "revision", self.clock), cast("Any", self.told),
            lambda: self.may_start, lambda: self.is_fenced,
        )  # fmt: skip
        self.agent = Agent(parts)
        self.agent.runtime_listed()

    def create(self, deleted_grace_s: int | None = None, **spec: Any) -> None:
        body = {"containers": [{"name": "c", "image": "busybox", "imagePullPolicy": "IfNotPresent"}], **spec}
        meta = ObjectMeta(name="web", namespace="default", uid=UID, resource_version=str(self.api.revision))
        self.api.pods[KEY] = ApiPod(metadata=meta, spec=body)
        if deleted_grace_s is not None:
            self.delete(deleted_grace_s)

    def delete(self, grace_s: int) -> None:
        meta = self.api.pods[KEY].metadata
        meta.deletion_timestamp, meta.deletion_grace_period_seconds = WALL, grace_s

    def reconcile(self) -> float | None:
        return self.agent.reconcile(key_of(UID))

    def end(self, name: str, exit_code: int = 0) -> None:
        """A container ends, and the runtime says so."""
        container = self.named(name)
        self.store.on_event(RuntimeEvent(EventKind.EXITED, container.id, exit_code=exit_code, at=WALL))

    def named(self, name: str) -> Container:
        return max((c for c in self.store.of_pod(UID) if c.container == name), key=lambda c: c.attempt)

    @property
    def status(self) -> dict[str, Any]:
        return self.api.statuses[-1]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    yield made
    made.images.stop()


def test_a_pod_starts_and_is_reported_in_one_pass(rig: Rig) -> None:
    rig.create()
    assert rig.reconcile() is None
    assert rig.status["phase"] == "Running"
    assert rig.status["podIP"] == "10.244.1.5"
    assert rig.told.reasons == ["Pulled", "Created", "Started"]
    assert rig.probes.running == ["c"]
    spec = rig.runtime.specs[0]
    assert (spec.image, spec.cgroup_parent) == ("busybox", f"/no-such-cgroup/pod{UID}")


def test_people_see_that_containers_are_being_created(rig: Rig) -> None:
    rig.create()
    rig.reconcile()
    first = rig.api.statuses[0]
    assert first["phase"] == "Pending"
    assert [c["state"]["waiting"]["reason"] for c in first["containerStatuses"]] == ["ContainerCreating"]
    assert len(rig.api.statuses) == 2, "that, and how it ended"


def test_a_second_pass_does_and_says_nothing(rig: Rig) -> None:
    rig.create()
    rig.reconcile()
    before = (len(rig.api.statuses), len(rig.runtime.here), list(rig.told.reasons))
    assert rig.reconcile() is None
    assert (len(rig.api.statuses), len(rig.runtime.here), rig.told.reasons) == before


def test_a_crash_is_restarted_at_once_and_the_next_one_waits(rig: Rig) -> None:
    rig.create()
    rig.reconcile()
    rig.end("c", 1)
    rig.reconcile()
    assert rig.named("c").attempt == 1
    rig.end("c", 1)
    assert rig.reconcile() == 10
    assert rig.status["containerStatuses"][0]["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert rig.status["containerStatuses"][0]["restartCount"] == 1


def test_a_start_that_fails_counts_as_a_crash(rig: Rig) -> None:
    rig.create()
    rig.runtime.fail["run_container"] = "no such file"
    rig.reconcile()
    assert rig.status["containerStatuses"][0]["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert rig.status["containerStatuses"][0]["lastState"]["terminated"]["reason"] == "StartError"
    assert "Failed" in rig.told.reasons


def test_a_sandbox_that_fails_is_told_and_retried(rig: Rig) -> None:
    rig.create()
    rig.runtime.fail["run_sandbox"] = "no address left"
    with pytest.raises(ApiError, match="no address left"):
        rig.reconcile()
    assert rig.told.reasons == ["FailedCreatePodSandBox"]
    assert rig.status["phase"] == "Pending"


def test_deletion_is_term_then_kill_then_gone(rig: Rig) -> None:
    rig.create()
    rig.reconcile()
    container = rig.named("c").id
    rig.delete(5)
    assert rig.reconcile() == 5
    assert rig.runtime.signals == [(container, "TERM")]
    rig.clock.at += 5
    rig.reconcile()
    assert rig.runtime.signals[-1] == (container, "KILL")
    rig.end("c", 137)
    rig.reconcile()
    assert rig.status["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 137
    assert rig.api.deleted == [("web", UID, 0)]
    assert rig.runtime.here == {}
    assert not rig.files.exist(UID)


def test_a_pod_deleted_before_it_started_leaves_the_api(rig: Rig) -> None:
    rig.create(deleted_grace_s=30)
    rig.reconcile()
    assert rig.api.deleted == [("web", UID, 0)]


def test_an_orphan_is_stopped_and_removed_after_a_fresh_list(rig: Rig) -> None:
    rig.store.add(make_sandbox())
    rig.store.add(make_container())
    assert rig.reconcile() == 30
    rig.store.on_event(RuntimeEvent(EventKind.EXITED, "c-0", at=WALL))
    rig.reconcile()
    assert rig.store.of_pod(UID) == ()
    assert rig.api.deleted == []


def test_while_the_api_is_away_an_orphan_is_left_alone(rig: Rig) -> None:
    rig.store.add(make_container())
    rig.api.away = True
    with pytest.raises(ApiError):
        rig.reconcile()
    assert rig.runtime.signals == []


def test_a_store_that_went_back_freezes_the_agent(rig: Rig) -> None:
    rig.create()
    rig.reconcile()
    rig.api.pods.clear()
    rig.api.revision = 3
    assert rig.reconcile() == 5
    assert rig.runtime.signals == []
    assert rig.told.reasons[-1] == "node:Frozen"
    rig.api.revision = 1000
    rig.reconcile()
    assert rig.runtime.signals != []


def test_a_list_newer_than_the_informer_freezes_nobody(rig: Rig) -> None:
    rig.create()
    rig.reconcile()
    rig.store.add(make_container("orphan", pod=PodRef("gone", "default", "old")))
    rig.api.revision += 50
    rig.informer.behind = 50
    rig.agent.reconcile(key_of("gone"))  # asks the API afresh, at its newest revision
    rig.end("c", exit_code=1)
    rig.reconcile()
    assert "node:Frozen" not in rig.told.reasons
    assert rig.named("c").attempt == 1, "this node's pods are still looked after"


def test_a_fenced_node_does_nothing(rig: Rig) -> None:
    rig.create()
    rig.is_fenced = True
    assert rig.reconcile() is not None
    assert rig.runtime.here == {}


def test_without_a_renewed_lease_nothing_starts_but_a_deletion_goes_on(rig: Rig) -> None:
    rig.create()
    rig.may_start = False
    assert rig.reconcile() is not None
    assert rig.runtime.here == {}
    rig.delete(1)
    rig.reconcile()
    assert rig.api.deleted == [("web", UID, 0)]


def test_nothing_happens_before_the_first_lists(rig: Rig, tmp_path: Path) -> None:
    fresh = Rig(tmp_path / "other")
    fresh.agent._listed.clear()
    fresh.create()
    assert fresh.reconcile() is not None
    assert fresh.runtime.here == {}
    fresh.images.stop()


def test_a_refused_pod_is_reported_and_not_started(rig: Rig) -> None:
    rig.create(hostNetwork=True)
    rig.reconcile()
    waiting = rig.status["containerStatuses"][0]["state"]["waiting"]
    assert waiting["reason"] == "CreateContainerConfigError"
    assert "spec.hostNetwork" in waiting["message"]
    assert rig.runtime.here == {}


def test_an_unhealthy_container_is_stopped(rig: Rig) -> None:
    rig.create(terminationGracePeriodSeconds=3)
    rig.reconcile()
    rig.probes.failed = {rig.named("c").id: "Container c failed liveness probe, will be restarted"}
    assert rig.reconcile() == 3
    assert rig.runtime.signals == [(rig.named("c").id, "TERM")]
    assert rig.told.reasons[-1] == "Killing"
    assert rig.probes.running == []
