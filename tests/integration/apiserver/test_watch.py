"""Watches: in order, from any kept revision, with selectors, tables, bookmarks and an end."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest

from tests.integration.apiserver.support import MERGE, TABLE, Api, config_map, pod
from tests.support.server import RunningServer


def revision(api: Api) -> str:
    return str(api.ok("GET", "configmaps")["metadata"]["resourceVersion"])


def test_from_a_revision_in_order(api: Api) -> None:
    since = revision(api)
    api.ok("POST", "configmaps", config_map("a"))
    api.ok("PATCH", "configmaps/a", {"data": {"x": "1"}}, MERGE)
    api.ok("POST", "configmaps", config_map("b"))
    with api.watch("configmaps", resourceVersion=since) as watch:
        assert watch.named(3) == [("ADDED", "a"), ("MODIFIED", "a"), ("ADDED", "b")]
        api.ok("DELETE", "configmaps/a")
        event = watch.next()
        assert (event["type"], event["object"]["metadata"]["name"]) == ("DELETED", "a")
        assert event["object"]["data"] == {"x": "1"}
        assert int(event["object"]["metadata"]["resourceVersion"]) > int(since) + 3
    with api.watch("configmaps", resourceVersion=str(int(since) + 3)) as again:
        assert again.named(1) == [("DELETED", "a")]


@pytest.mark.parametrize("version", ["", "0"])
def test_without_a_revision_it_begins_with_what_is_there(api: Api, version: str) -> None:
    api.ok("POST", "configmaps", config_map("a"))
    with api.watch("configmaps", resourceVersion=version) as watch:
        assert watch.named(1) == [("ADDED", "a")]
        api.ok("POST", "configmaps", config_map("b"))
        assert watch.named(1) == [("ADDED", "b")]


def test_initial_events_end_with_a_bookmark(api: Api) -> None:
    api.ok("POST", "configmaps", config_map("a"))
    parameters = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
    with api.watch("configmaps", **parameters) as watch:
        assert watch.named(1) == [("ADDED", "a")]
        mark = watch.next()
        assert mark["type"] == "BOOKMARK"
        assert mark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        assert mark["object"]["kind"] == "ConfigMap"
        api.ok("POST", "configmaps", config_map("b"))
        assert watch.named(1) == [("ADDED", "b")]
    api.refused(422, "Invalid", "GET", "configmaps", params={"watch": "1", "sendInitialEvents": "true"})


def test_what_leaves_the_selector_is_deleted(api: Api) -> None:
    since = revision(api)
    with api.watch("pods", resourceVersion=since, labelSelector="app=p") as watch:
        api.ok("POST", "pods", pod("p"))
        api.ok("POST", "pods", pod("other"))
        api.ok("PATCH", "pods/p", {"metadata": {"labels": {"app": "q"}}}, MERGE)
        api.ok("PATCH", "pods/p", {"metadata": {"labels": {"app": "p"}}}, MERGE)
        assert watch.named(3) == [("ADDED", "p"), ("DELETED", "p"), ("ADDED", "p")]


def test_one_name_and_one_node(api: Api) -> None:
    since = revision(api)
    with (
        api.watch("pods", resourceVersion=since, fieldSelector="metadata.name=b") as named,
        api.watch("/api/v1/pods", resourceVersion=since, fieldSelector="spec.nodeName=n7") as on_node,
    ):
        api.ok("POST", "pods", pod("a"))
        api.ok("POST", "pods", pod("b"))
        api.ok("POST", "pods/b/binding", {"target": {"name": "n7"}})
        assert named.named(2) == [("ADDED", "b"), ("MODIFIED", "b")]
        assert on_node.named(1) == [("ADDED", "b")]


def test_tables_tell_their_columns_once(api: Api) -> None:
    since = revision(api)
    with api.watch("configmaps", resourceVersion=since) as plain:
        response = api.call(
            "GET", "configmaps", params={"watch": "1", "resourceVersion": since, "timeoutSeconds": "2"},
            headers={"Accept": TABLE}, stream=True,
        )  # fmt: skip
        api.ok("POST", "configmaps", config_map("a"))
        api.ok("POST", "configmaps", config_map("b"))
        plain.named(2)

        events = [json.loads(line) for line in response.iter_lines() if line]
    assert [event["object"]["kind"] for event in events] == ["Table", "Table"]
    assert events[0]["object"]["columnDefinitions"][0]["name"] == "Name"
    assert events[1]["object"]["columnDefinitions"] is None
    assert events[1]["object"]["rows"][0]["cells"][0] == "b"


def test_it_ends_in_its_time_with_a_bookmark(api: Api) -> None:
    since = revision(api)
    begun = time.monotonic()
    with api.watch("configmaps", resourceVersion=since, timeoutSeconds="1", allowWatchBookmarks="true") as watch:
        left = watch.ended()
    assert time.monotonic() - begun >= 0.9
    assert [event["type"] for event in left] == ["BOOKMARK"]
    assert int(left[0]["object"]["metadata"]["resourceVersion"]) >= int(since)


def test_a_future_revision_is_no_old_events(api: Api) -> None:
    api.refused(504, "Timeout", "GET", "configmaps", params={"watch": "1", "resourceVersion": "999999999"})


def test_a_leases_revision_is_its_own(server: RunningServer, api: Api) -> None:
    leases = api.path("coordination.k8s.io/leases")
    since = api.ok("GET", leases)["metadata"]["resourceVersion"]
    lease = {"metadata": {"name": "l"}, "spec": {"holderIdentity": "me", "leaseDurationSeconds": 10}}
    with api.watch(leases, resourceVersion=since) as watch:
        api.ok("POST", leases, lease)
        api.ok("PATCH", f"{leases}/l", {"spec": {"renewTime": "2026-01-02T03:04:05.000006Z"}}, MERGE)
        assert watch.named(2) == [("ADDED", "l"), ("MODIFIED", "l")]


def test_many_watches_hold_no_thread(server: RunningServer, api: Api) -> None:
    def threads() -> int:
        return len(list(Path(f"/proc/{server.pid}/task").iterdir()))

    since, before = revision(api), threads()
    responses = [
        api.call("GET", "configmaps", params={"watch": "1", "resourceVersion": since}, stream=True) for _ in range(40)
    ]
    assert threads() <= before + 1
    assert api.ok("GET", "configmaps")["items"] == []
    for response in responses:
        response.close()


def test_every_watcher_sees_every_change_once_and_in_order(server: RunningServer, api: Api) -> None:
    since = revision(api)

    def write(number: int) -> None:
        own = Api(server.session("admin"), api.namespace)
        for turn in range(20):
            own.ok("POST", "configmaps", config_map(f"w{number}-{turn}"))

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    with (
        api.watch("configmaps", resourceVersion=since) as first,
        api.watch("/api/v1/configmaps", resourceVersion=since) as second,
    ):
        for writer in writers:
            writer.start()
        seen = [
            [watch.next()["object"]["metadata"]["resourceVersion"] for _ in range(80)] for watch in (first, second)
        ]
        for writer in writers:
            writer.join()
    assert seen[0] == seen[1]
    assert len(set(seen[0])) == 80
    assert seen[0] == sorted(seen[0], key=int)


def test_what_the_store_cant_continue_is_410(own_server: RunningServer) -> None:
    """As a status for a new watch, as an event for one that runs: the client lists again."""
    api = Api(own_server.session("admin"), "default")
    leases = api.path("coordination.k8s.io/leases")
    lease = {"metadata": {"name": "l"}, "spec": {"holderIdentity": "me", "leaseDurationSeconds": 10}}
    since = api.ok("POST", leases, lease)["metadata"]["resourceVersion"]
    with api.watch(leases, resourceVersion=since) as watch:
        own_server.redis["leases"].kill()
        own_server.redis["leases"].start()
        event = watch.next(20)
        assert (event["type"], event["object"]["kind"]) == ("ERROR", "Status")
        assert (event["object"]["code"], event["object"]["reason"]) == (410, "Expired")
        assert watch.ended() == []
    api.refused(410, "Expired", "GET", leases, params={"watch": "1", "resourceVersion": since})
    assert int(api.ok("GET", leases)["metadata"]["resourceVersion"]) > int(since)
