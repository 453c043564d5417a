"""What an acknowledgement is worth: the API server killed in the middle of writes, the stores away."""

from __future__ import annotations

import signal
import threading
import time

import requests

from tests.integration.apiserver.support import Api, assert_status, config_map
from tests.support.server import RunningServer
from tests.support.waiting import eventually


class Writers:
    """Clients that create config maps as fast as they can and remember every 201."""

    def __init__(self, server: RunningServer, count: int) -> None:
        self.acknowledged: dict[str, str] = {}
        self.tried: set[str] = set()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(server, n)) for n in range(count)]
        for thread in self._threads:
            thread.start()

    def _run(self, server: RunningServer, number: int) -> None:
        session, turn = server.session("admin"), 0
        while not self._stop.is_set():
            turn += 1
            name = f"w{number}-{turn}"
            with self._lock:
                self.tried.add(name)
            try:
                response = session.post("/api/v1/namespaces/default/configmaps", json=config_map(name, n=name))
            except requests.RequestException:
                time.sleep(0.05)
                continue
            if response.status_code == 201:
                with self._lock:
                    self.acknowledged[name] = response.json()["metadata"]["resourceVersion"]

    def wait_for(self, count: int) -> None:
        eventually(f"{count} writes are acknowledged", lambda: len(self.acknowledged) >= count, timeout_s=60)

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def test_kill_9_in_the_middle_of_writes(own_server: RunningServer) -> None:
    """Fault 1: what was acknowledged is there, what was not is wholly there or wholly absent."""
    writers = Writers(own_server, 8)
    for round_number in range(1, 4):
        writers.wait_for(40 * round_number)
        own_server.kill()
        own_server.start()
    writers.stop()
    api = Api(own_server.session("admin"), "default")
    listed = {item["metadata"]["name"]: item for item in api.ok("GET", "configmaps")["items"]}
    for name, revision in writers.acknowledged.items():
        assert listed[name]["metadata"]["resourceVersion"] == revision
    for name, item in listed.items():
        assert name in writers.tried
        assert item["data"] == {"n": name}
        assert item["metadata"]["uid"]
    revisions = [int(item["metadata"]["resourceVersion"]) for item in listed.values()]
    assert len(set(revisions)) == len(revisions)


def test_kill_9_of_the_store_under_load(own_server: RunningServer) -> None:
    """Fault 2: the revision never goes back, nothing acknowledged is lost; reads go on meanwhile."""
    api = Api(own_server.session("admin"), "default")
    writers = Writers(own_server, 6)
    writers.wait_for(30)
    own_server.redis["durable"].kill()
    assert api.ok("GET", "/api/v1/namespaces/default")["metadata"]["name"] == "default"
    own_server.redis["durable"].start()
    before = len(writers.acknowledged)
    writers.wait_for(before + 30)
    writers.stop()
    listed = {item["metadata"]["name"]: item for item in api.ok("GET", "configmaps")["items"]}
    for name, revision in writers.acknowledged.items():
        assert listed[name]["metadata"]["resourceVersion"] == revision


def test_without_the_store_writes_are_503_and_reads_go_on(own_server: RunningServer) -> None:
    """Fault 4's shape, and leases on a store of their own."""
    api = Api(own_server.session("admin"), "default")
    api.ok("POST", "configmaps", config_map())
    own_server.redis["durable"].kill()
    body = assert_status(api.call("POST", "configmaps", config_map("d")), 503, "ServiceUnavailable")
    assert body["message"]
    readiness = api.call("GET", "/readyz")
    assert readiness.status_code == 500
    assert "[-]store-durable failed: " in readiness.text
    assert "[+]store-leases ok" in readiness.text
    assert api.call("GET", "/livez").text == "ok"
    assert api.ok("GET", "configmaps/c")["metadata"]["name"] == "c"
    assert len(api.ok("GET", "configmaps")["items"]) == 1
    leases = api.path("coordination.k8s.io/leases")
    api.ok("POST", leases, {"metadata": {"name": "l"}, "spec": {"holderIdentity": "me", "leaseDurationSeconds": 10}})
    own_server.redis["durable"].start()
    eventually("writes come back", lambda: api.call("POST", "configmaps", config_map("d")).status_code in (201, 409))


def test_a_hanging_store_doesnt_hold_up_leases_or_reads(own_server: RunningServer) -> None:
    """Fault 5's shape: heartbeats never wait for the durable store's disk."""
    api = Api(own_server.session("admin"), "default")
    api.ok("POST", "configmaps", config_map())
    leases = api.path("coordination.k8s.io/leases")
    lease = {"metadata": {"name": "l"}, "spec": {"holderIdentity": "me", "leaseDurationSeconds": 10}}
    own_server.redis["durable"].send(signal.SIGSTOP)
    writers = [
        threading.Thread(
            target=Api(own_server.session("admin"), "default").call, args=("POST", "configmaps", config_map(f"h{n}"))
        )
        for n in range(30)
    ]
    try:
        for writer in writers:
            writer.start()
        time.sleep(0.3)
        begun = time.monotonic()
        api.ok("POST", leases, lease)
        assert api.ok("GET", "configmaps/c")["metadata"]["name"] == "c"
        assert time.monotonic() - begun < 3
    finally:
        own_server.redis["durable"].send(signal.SIGCONT)
        for writer in writers:
            writer.join()
    assert len(api.ok("GET", "configmaps")["items"]) == 31
