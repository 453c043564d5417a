"""The HTTP client of our own components: typed verbs on resources, over one kept-alive connection a thread.

Every refusal is an `ApiError`; no answer at all is `Unreachable`, which is one too, so that a reconciler's error
handling is one `except`. Dead peers are noticed by TCP keep-alive within about six seconds, so a watch on a
machine that lost its power doesn't hang.

Follows client-go/rest and client-go/kubernetes/typed.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

import msgspec
import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError

from controlplane.api.errors import ApiError
from controlplane.api.resources import ResourceType
from controlplane.api.types import Object, learn

T = TypeVar("T", bound=Object)

PatchKind = Literal["merge", "strategic", "json"]
_PATCH_TYPES: dict[PatchKind, str] = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "json": "application/json-patch+json",
}
_KEEPALIVE = [
    *HTTPConnection.default_socket_options,
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 3),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 6000),
]


class Unreachable(ApiError):
    """No answer: refused, timed out, or gone in the middle. Whether a write happened is unknown."""

    def __init__(self, message: str) -> None:
        super().__init__(503, "Unreachable", message)


@dataclass(frozen=True)
class ClientConfig:
    """Where the API server is and who we are. A client certificate or a token, as the component was given."""

    server: str
    ca_file: str
    cert_file: str = ""
    key_file: str = ""
    token: str = ""
    user_agent: str = "kubelab"
    timeout_s: float = 5.0


@dataclass(frozen=True)
class Listing(Generic[T]):
    """The objects of one list, and the revision to watch from."""

    items: list[T]
    resource_version: str


@dataclass(frozen=True)
class WatchEvent(Generic[T]):
    """One line of a watch: ADDED, MODIFIED, DELETED or BOOKMARK, and the object with it."""

    type: str
    object: T


class _ListBody(msgspec.Struct):
    items: list[msgspec.Raw] | None = None
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)


class _WatchLine(msgspec.Struct):
    type: str
    object: msgspec.Raw


learn(_ListBody)
learn(_WatchLine)


class _KeepAliveAdapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, socket_options=_KEEPALIVE, **kwargs)


class Client:
    """Typed access to the API. Thread-safe: each thread has a session, and so a connection, of its own."""

    def __init__(self, config: ClientConfig) -> None:
        self.config = config
        self._local = threading.local()
        self._headers: dict[str, str] = {"Accept": "application/json", "User-Agent": config.user_agent}
        if config.token:
            self._headers["Authorization"] = f"Bearer {config.token}"

    def lead(self, name: str, term: int) -> None:
        """From now on send the leader's term with every request: the store refuses the writes of a stale one."""
        self._headers["Kubelab-Term"] = f"{name}={term}"

    # --- verbs ---------------------------------------------------------------------------------------------------

    def get(self, resource: ResourceType[T], name: str, namespace: str = "") -> T:
        return self._decode(resource, self.request("GET", resource.path(namespace, name)))

    def list(
        self,
        resource: ResourceType[T],
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
    ) -> Listing[T]:
        """All objects of one consistent revision; every namespace when `namespace` is empty."""
        params = _selectors(label_selector, field_selector)
        body = msgspec.json.decode(self.request("GET", resource.path(namespace), params=params), type=_ListBody)
        items = [self._decode(resource, raw) for raw in body.items or ()]
        return Listing(items, str(body.metadata.get("resourceVersion", "")))

    def create(self, resource: ResourceType[T], obj: T | Mapping[str, Any], namespace: str = "") -> T:
        return self._decode(resource, self.request("POST", resource.path(namespace), body=_whole(resource, obj)))

    def update(self, resource: ResourceType[T], obj: T, subresource: str = "") -> T:
        """Replace an object that the caller owns whole; a resourceVersion in it is checked."""
        path = resource.path(obj.metadata.namespace, obj.metadata.name, subresource)
        return self._decode(resource, self.request("PUT", path, body=_whole(resource, obj)))

    def patch(
        self,
        resource: ResourceType[T],
        key: tuple[str, str],
        body: object,
        *,
        kind: PatchKind = "merge",
        subresource: str = "",
    ) -> T:
        """Patch the object with key (namespace, name), or a sub-resource of it such as `status`."""
        path = resource.path(key[0], key[1], subresource)
        answer = self.request("PATCH", path, body=body, content_type=_PATCH_TYPES[kind])
        return self._decode(resource, answer)

    def delete(
        self,
        resource: ResourceType[T],
        key: tuple[str, str],
        *,
        uid: str = "",
        grace_period_s: int | None = None,
        propagation: str = "",
    ) -> None:
        """Delete an object; with `uid` only that very one (409 otherwise). A missing object raises NotFound."""
        options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if uid:
            options["preconditions"] = {"uid": uid}
        if grace_period_s is not None:
            options["gracePeriodSeconds"] = grace_period_s
        if propagation:
            options["propagationPolicy"] = propagation
        self.request("DELETE", resource.path(*key), body=options)

    def post(self, path: str, body: object) -> bytes:
        """POST to any path: bindings, evictions, terms."""
        return self.request("POST", path, body=body)

    def watch(
        self,
        resource: ResourceType[T],
        namespace: str = "",
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
        timeout_s: int = 600,
    ) -> Watch[T]:
        """A stream of events after `resource_version`, with bookmarks; iterate it, `close()` it from any thread."""
        params = {
            **_selectors(label_selector, field_selector),
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(timeout_s),
        }
        response = self._send("GET", resource.path(namespace), params=params, stream=True, timeout_s=timeout_s + 30)
        return Watch(response, resource)

    # --- transport -----------------------------------------------------------------------------------------------

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: object = None,
        content_type: str = "application/json",
        timeout_s: float | None = None,
    ) -> bytes:
        """One request and its whole answer.

        Raises: ApiError for every refusal, Unreachable when there is no answer.
        """
        data = None if body is None else msgspec.json.encode(body)
        headers = {"Content-Type": content_type} if data is not None else None
        response = self._send(method, path, params=params, data=data, headers=headers, timeout_s=timeout_s)
        return response.content

    def _send(
        self,
        method: str,
        path: str,
        *,
        timeout_s: float | None = None,
        stream: bool = False,
        **kwargs: Any,
    ) -> requests.Response:
        wait_s = self.config.timeout_s if timeout_s is None else timeout_s
        try:
            response = self._session().request(
                method, self.config.server + path, timeout=(self.config.timeout_s, wait_s), stream=stream, **kwargs
            )
        except (requests.RequestException, HTTPError, OSError) as error:
            raise Unreachable(f"{method} {self.config.server}{path}: {error}") from error
        if response.status_code >= 400:
            raise _refusal(response)
        return response

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = requests.Session()
            session.trust_env = False
            session.verify = self.config.ca_file
            if self.config.cert_file:
                session.cert = (self.config.cert_file, self.config.key_file)
            session.headers = self._headers  # type: ignore[assignment]  # shared, so that `lead` reaches all threads
            session.mount("https://", _KeepAliveAdapter(pool_connections=1, pool_maxsize=2))
            self._local.session = session
        return session

    @staticmethod
    def _decode(resource: ResourceType[T], raw: bytes | msgspec.Raw) -> T:
        return decode(resource, raw)


class Watch(Generic[T]):
    """A running watch. Iterating ends when the server ends it; a 410 or another ERROR event raises `ApiError`."""

    def __init__(self, response: requests.Response, resource: ResourceType[T]) -> None:
        self._response = response
        self._resource = resource

    def __iter__(self) -> Iterator[WatchEvent[T]]:
        decoder = msgspec.json.Decoder(_WatchLine)
        for line in self._lines():
            event = decoder.decode(line)
            if event.type == "ERROR":
                raise ApiError.from_status(msgspec.json.decode(event.object, type=dict[str, Any]), 500)
            yield WatchEvent(event.type, decode(self._resource, event.object))

    def _lines(self) -> Iterator[bytes]:
        pending = b""
        try:
            for chunk in self._response.iter_content(chunk_size=None):
                *lines, pending = (pending + chunk).split(b"\n")
                yield from (line for line in lines if line)
        except (requests.RequestException, HTTPError, OSError, AttributeError) as error:
            # AttributeError: urllib3 lost its socket because close() was called while it read
            raise Unreachable(f"watch of {self._resource.qualified}: {error}") from error
        finally:
            self._response.close()

    def close(self) -> None:
        """End the watch from another thread: the reader sees the end of the stream at once."""
        connection = getattr(self._response.raw, "connection", None)
        sock = getattr(connection, "sock", None)
        if sock is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)


def decode(resource: ResourceType[T], raw: bytes | msgspec.Raw) -> T:
    """An object of `resource` from its JSON; items of a list come without kind, so it is filled in."""
    obj = msgspec.json.decode(raw, type=resource.struct)
    obj.kind = resource.kind
    obj.api_version = resource.api_version
    return obj


def _whole(resource: ResourceType[T], obj: T | Mapping[str, Any]) -> object:
    if isinstance(obj, Object):
        obj.kind, obj.api_version = resource.kind, resource.api_version
        return obj
    return {**obj, "kind": resource.kind, "apiVersion": resource.api_version}


def _selectors(label_selector: str, field_selector: str) -> dict[str, str]:
    params = {}
    if label_selector:
        params["labelSelector"] = label_selector
    if field_selector:
        params["fieldSelector"] = field_selector
    return params


def _refusal(response: requests.Response) -> ApiError:
    try:
        return ApiError.from_status(msgspec.json.decode(response.content, type=dict[str, Any]), response.status_code)
    except (msgspec.MsgspecError, requests.RequestException, HTTPError, OSError):
        return ApiError(
            response.status_code, "Unknown", f"{response.request.method} {response.url}: no Status came back"
        )
    finally:
        response.close()
