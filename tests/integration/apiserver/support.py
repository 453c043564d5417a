"""Words for the API tests: objects, requests with checked answers, watches as lists of events."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from queue import Empty, Queue
from typing import Any

import requests

from tests.support.server import Session

Obj = dict[str, Any]
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
STRATEGIC = "application/strategic-merge-patch+json"
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"


def pod(name: str = "p", **spec: Any) -> Obj:
    labels = spec.pop("labels", {"app": name})
    spec.setdefault("containers", [{"name": "main", "image": "busybox"}])
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": spec}


def config_map(name: str = "c", **data: str) -> Obj:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def controller(name: str = "rc", replicas: int = 1) -> Obj:
    template = {"metadata": {"labels": {"app": name}}, "spec": pod()["spec"]}
    spec = {"replicas": replicas, "selector": {"app": name}, "template": template}
    return {"apiVersion": "v1", "kind": "ReplicationController", "metadata": {"name": name}, "spec": spec}


def assert_status(response: requests.Response, code: int, reason: str = "") -> Obj:
    """The answer is a Status with this code, as JSON."""
    assert response.status_code == code, f"{response.status_code}: {response.text[:1000]}"
    body: Obj = response.json()
    assert body["kind"] == "Status", body
    assert body["apiVersion"] == "v1"
    assert body["status"] == "Failure"
    assert body["code"] == code
    assert body["message"]
    if reason:
        assert body["reason"] == reason
    return body


class Api:
    """Requests in one namespace."""

    def __init__(self, session: Session, namespace: str) -> None:
        self.session = session
        self.namespace = namespace

    def path(self, plural: str, name: str = "", sub: str = "") -> str:
        group, _, plural = plural.rpartition("/")
        base = f"/apis/{group}/v1" if group else "/api/v1"
        return "/".join(part for part in (f"{base}/namespaces/{self.namespace}/{plural}", name, sub) if part)

    def call(
        self, method: str, path: str, body: Any = None, kind: str = "application/json", **options: Any
    ) -> requests.Response:
        """Any request; `path` absolute, or a resource's name in the namespace (`pods`, `pods/p/status`)."""
        if not path.startswith("/"):
            path = f"/api/v1/namespaces/{self.namespace}/{path}"
        if body is not None:
            options.setdefault("headers", {}).setdefault("Content-Type", kind)
            options["data"] = body if isinstance(body, bytes | str) else json.dumps(body)
        return self.session.request(method, path, **options)

    def ok(self, method: str, path: str, body: Any = None, kind: str = "application/json", **options: Any) -> Obj:
        response = self.call(method, path, body, kind, **options)
        assert response.ok, f"{method} {path}: {response.status_code} {response.text[:1000]}"
        answer: Obj = response.json()
        return answer

    def refused(
        self,
        code: int,
        reason: str,
        method: str,
        path: str,
        body: Any = None,
        kind: str = "application/json",
        **options: Any,
    ) -> Obj:
        return assert_status(self.call(method, path, body, kind, **options), code, reason)

    @contextmanager
    def watch(self, path: str, **parameters: str) -> Iterator[Watch]:
        response = self.call("GET", path, params={"watch": "true", **parameters}, stream=True)
        watch = Watch(response)
        try:
            yield watch
        finally:
            watch.close()


class Watch:
    """The events of a watch, read in a thread."""

    def __init__(self, response: requests.Response) -> None:
        self.response = response
        assert response.status_code == 200, response.text
        connection = response.raw.connection
        assert connection is not None
        self._socket: socket.socket = connection.sock
        self._events: Queue[Obj | None] = Queue()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def next(self, timeout_s: float = 10) -> Obj:
        """The next event. Raises: AssertionError when none comes or the watch ends."""
        try:
            event = self._events.get(timeout=timeout_s)
        except Empty:
            raise AssertionError("no event came") from None
        assert event is not None, "the watch ended"
        return event

    def named(self, count: int) -> list[tuple[str, str]]:
        """The next events as (type, name)."""
        events = [self.next() for _ in range(count)]
        return [(event["type"], event["object"]["metadata"].get("name", "")) for event in events]

    def ended(self, timeout_s: float = 10) -> list[Obj]:
        """What is left, once the watch has ended."""
        left: list[Obj] = []
        while True:
            try:
                event = self._events.get(timeout=timeout_s)
            except Empty:
                raise AssertionError("the watch goes on") from None
            if event is None:
                return left
            left.append(event)

    def close(self) -> None:
        """Cuts the connection under the reader (closing the response would wait for it)."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(timeout=5)
        self.response.close()

    def _read(self) -> None:
        try:
            for line in self.response.iter_lines(chunk_size=1):
                if line:
                    self._events.put(json.loads(line))
        except (requests.RequestException, AttributeError, ValueError, OSError):
            pass  # closed under our hands
        self._events.put(None)
