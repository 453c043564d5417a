"""The client, informer, recorder and leader lease against a real API server."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator

import pytest

from controlplane.api.errors import ApiError
from controlplane.api.resources import CONFIG_MAPS, EVENTS
from controlplane.api.types import ConfigMap, ObjectMeta
from controlplane.client import Client, ClientConfig, Informer, LeaderConfig, LeaderLease, Recorder, Unreachable
from tests.support.server import RunningServer, running_server

Change = tuple[ConfigMap | None, ConfigMap | None]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("server")) as running:
        yield running


def client_of(server: RunningServer, identity: str = "admin") -> Client:
    pair = server.credentials(identity)
    return Client(ClientConfig(server.url, str(server.ca), str(pair.cert), str(pair.key)))


@pytest.fixture
def client(server: RunningServer) -> Client:
    return client_of(server)


def config_map(name: str, **data: str) -> ConfigMap:
    return ConfigMap(metadata=ObjectMeta(name=name), data=data)


def test_create_get_patch_delete(client: Client) -> None:
    created = client.create(CONFIG_MAPS, config_map("one", a="1"), "default")
    assert created.metadata.uid
    assert client.get(CONFIG_MAPS, "one", "default").data == {"a": "1"}
    assert client.patch(CONFIG_MAPS, created.key, {"data": {"b": "2"}}).data == {"a": "1", "b": "2"}
    client.delete(CONFIG_MAPS, created.key, uid=created.metadata.uid)
    with pytest.raises(ApiError) as gone:
        client.get(CONFIG_MAPS, "one", "default")
    assert (gone.value.code, gone.value.reason) == (404, "NotFound")


def test_a_stale_update_is_a_conflict(client: Client) -> None:
    stale = client.create(CONFIG_MAPS, config_map("stale", a="1"), "default")
    client.patch(CONFIG_MAPS, stale.key, {"data": {"a": "2"}})
    with pytest.raises(ApiError) as refused:
        client.update(CONFIG_MAPS, stale)
    assert refused.value.reason == "Conflict"


def test_deleting_another_ones_uid_is_refused(client: Client) -> None:
    kept = client.create(CONFIG_MAPS, config_map("kept"), "default")
    with pytest.raises(ApiError) as refused:
        client.delete(CONFIG_MAPS, kept.key, uid="another")
    assert refused.value.code == 409
    assert client.get(CONFIG_MAPS, "kept", "default").metadata.uid == kept.metadata.uid


def test_no_server_is_unreachable(server: RunningServer) -> None:
    nowhere = Client(ClientConfig("https://127.0.0.1:1", str(server.ca), timeout_s=1))
    with pytest.raises(Unreachable):
        nowhere.get(CONFIG_MAPS, "one", "default")


@pytest.fixture
def following(client: Client) -> Iterator[tuple[Informer[ConfigMap], queue.Queue[Change]]]:
    """An informer of the config maps labelled for it, and the changes that its handler heard."""
    changes: queue.Queue[Change] = queue.Queue()
    informer = Informer(client, CONFIG_MAPS, label_selector="watched=yes")
    informer.add_indexer("color", lambda c: [(c.data or {}).get("color", "")])
    informer.add_handler(lambda old, new: changes.put((old, new)))
    informer.start()
    assert informer.synced(10)
    yield informer, changes
    informer.stop()


def watched(name: str, **data: str) -> ConfigMap:
    return ConfigMap(metadata=ObjectMeta(name=name, labels={"watched": "yes"}), data=data)


def test_an_informer_follows_and_indexes(
    client: Client, following: tuple[Informer[ConfigMap], queue.Queue[Change]]
) -> None:
    informer, changes = following
    created = client.create(CONFIG_MAPS, watched("blue", color="blue"), "default")
    old, new = changes.get(timeout=10)
    assert old is None
    assert new is not None
    assert new.metadata.uid == created.metadata.uid
    client.patch(CONFIG_MAPS, created.key, {"data": {"color": "red"}})
    old, new = changes.get(timeout=10)
    assert [c.metadata.name for c in informer.index("color", "red")] == ["blue"]
    assert informer.index("color", "blue") == []
    client.patch(CONFIG_MAPS, created.key, {"metadata": {"labels": {"watched": None}}})
    old, new = changes.get(timeout=10)
    assert new is None, "what leaves the selector is gone"
    assert informer.get(created.key) is None


def test_an_informer_survives_the_server(
    server: RunningServer, client: Client, following: tuple[Informer[ConfigMap], queue.Queue[Change]]
) -> None:
    informer, changes = following
    first = client.create(CONFIG_MAPS, watched("before"), "default")
    changes.get(timeout=10)
    server.kill()
    server.start()
    second = client.create(CONFIG_MAPS, watched("after"), "default")
    _, new = changes.get(timeout=20)
    assert new is not None
    assert new.key == second.key, "heard once, and nothing twice"
    assert informer.get(first.key) is not None
    client.delete(CONFIG_MAPS, first.key)
    client.delete(CONFIG_MAPS, second.key)


def test_relist_is_synced_again_and_repeats_nothing(
    client: Client, following: tuple[Informer[ConfigMap], queue.Queue[Change]]
) -> None:
    informer, changes = following
    kept = client.create(CONFIG_MAPS, watched("same"), "default")
    changes.get(timeout=10)
    informer.relist()
    assert informer.synced(10)
    assert informer.get(kept.key) is not None
    client.delete(CONFIG_MAPS, kept.key)
    old, new = changes.get(timeout=10)
    assert old is not None
    assert new is None


def test_the_recorder_merges_what_repeats(client: Client) -> None:
    about = client.create(CONFIG_MAPS, config_map("noisy"), "default")
    recorder = Recorder(client, "test")
    for _ in range(3):
        recorder.event(about, "Warning", "Repeats", "the same again")
    recorder.event(about, "Normal", "Once", "something else")
    recorder.stop()
    events = [e for e in client.list(EVENTS, "default").items if e.involved_object.uid == about.metadata.uid]
    assert {(e.reason, e.count) for e in events} == {("Repeats", 3), ("Once", 1)}


def test_a_flood_about_one_object_is_bounded(client: Client) -> None:
    about = client.create(CONFIG_MAPS, config_map("flood"), "default")
    recorder = Recorder(client, "test")
    for number in range(100):
        recorder.event(about, "Warning", "Flood", f"message {number}")
    recorder.stop()
    events = [e for e in client.list(EVENTS, "default").items if e.involved_object.uid == about.metadata.uid]
    assert len(events) == 25


def test_one_leads_and_the_next_follows_when_it_lets_go(client: Client) -> None:
    def candidate(identity: str) -> LeaderLease:
        return LeaderLease(client, LeaderConfig("kube-system", "test-lead", identity, retry_s=0.05))

    first, second = candidate("one"), candidate("two")
    assert first.acquire()
    leading = threading.Event()

    def follow() -> None:
        if second.acquire():
            leading.set()

    waiting = threading.Thread(target=follow)
    waiting.start()
    assert not leading.is_set()
    first.stop()
    assert leading.wait(10)
    waiting.join()
    second.stop()


def test_an_informer_keeps_what_it_has_when_the_store_is_older(client: Client) -> None:
    informer = Informer(client, CONFIG_MAPS, label_selector="watched=yes")
    kept = client.create(CONFIG_MAPS, watched("kept-on"), "default")
    informer.start()
    assert informer.synced(10)
    informer.resource_version = str(int(informer.resource_version) + 1_000_000)
    informer.relist()
    assert not informer.synced(1)
    client.delete(CONFIG_MAPS, kept.key)
    assert informer.get(kept.key) is not None
    informer.stop()
