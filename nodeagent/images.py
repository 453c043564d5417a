"""Images on this node: what is there, what is being pulled, and what couldn't be, with its back-off.

Pulls run on a few threads of their own, so that no pod waits for another one's image; people follow them through the
pod's events. What is there is listed once and again after the runtime says that images changed. A miss of an image
that can only come from the lab's registry says how to put it there.

`agent.py` asks for `state`, `apply.py` for `request`. Follows pkg/kubelet/images/image_manager.go.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal, Protocol

from controlplane.client.clock import Clock
from nodeagent import backoff
from nodeagent.plan import ImageFailed, ImageNeeded, ImagePulling, ImageReady, ImageState
from nodeagent.pods import Container, Pod
from nodeagent.runtime.base import Image, Runtime, RuntimeFailure
from nodeagent.runtime.nerdctl import valid_image

_PARALLEL_PULLS = 3
_PROGRESS_EVERY_S = 10.0
_MISSED = re.compile(r"not found|unreachable|no such host|connection refused|i/o timeout|failed to resolve")


class PodEvents(Protocol):
    """Where events about pods go."""

    def __call__(self, pod: Pod, type: Literal["Normal", "Warning"], reason: str, message: str) -> None: ...


@dataclass(frozen=True)
class _Pull:
    """The newest pull of one image."""

    pulling: bool
    progress: str = ""
    failures: int = 0
    message: str = ""
    retry_at: float = 0.0
    next_try: datetime | None = None


def normal_name(image: str) -> str:
    """The full name that the runtime knows an image by: `busybox` is `docker.io/library/busybox:latest`."""
    head, slash, rest = image.partition("/")
    if not slash:
        image = f"docker.io/library/{image}"
    elif not ("." in head or ":" in head or head == "localhost"):
        image = f"docker.io/{head}/{rest}"
    last = image.rsplit("/", 1)[-1]
    return image if ":" in last or "@" in last else f"{image}:latest"


def image_id(image: Image) -> str:
    """`docker.io/library/busybox@sha256:…`, as upstream's imageID with containerd."""
    repository = image.name.partition("@")[0]
    head, _, last = repository.rpartition("/")
    return f"{head}/{last.partition(':')[0]}@{image.digest}" if head else f"{last.partition(':')[0]}@{image.digest}"


class ImageManager:
    """Thread-safe. `on_change(pod uid)` is called when a pull that a pod waits for has moved on."""

    def __init__(self, runtime: Runtime, clock: Clock, events: PodEvents, on_change: Callable[[str], None]) -> None:
        self._runtime = runtime
        self._clock = clock
        self._events = events
        self._on_change = on_change
        self._lock = threading.Lock()
        self._present: dict[str, Image] | None = None
        self._pulls: dict[str, _Pull] = {}
        self._waiting: dict[str, dict[str, Pod]] = {}
        self._fresh: set[tuple[str, str, int]] = set()
        """(pod uid, container, attempt) that had its pull with policy Always."""
        self._pool = ThreadPoolExecutor(_PARALLEL_PULLS, thread_name_prefix="pull")

    def stop(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    # --- what is there -------------------------------------------------------------------------------------------

    def changed(self) -> None:
        """The runtime's images changed: list them again when somebody asks."""
        with self._lock:
            self._present = None

    def list(self) -> tuple[Image, ...]:
        return tuple(self._images().values())

    def find(self, image: str) -> Image | None:
        """The image if it is on the node."""
        return self._images().get(normal_name(image))

    def _images(self) -> dict[str, Image]:
        present = self._present
        if present is None:
            present = {normal_name(i.name): i for i in self._runtime.images()}
            with self._lock:
                self._present = present
        return present

    # --- what a container needs ----------------------------------------------------------------------------------

    def state(self, pod: Pod, container: Container, attempt: int) -> ImageState:
        """What stands between the container's next start and its image."""
        if not valid_image(container.image):
            message = f"Failed to apply default image tag {container.image!r}: invalid reference format"
            return ImageFailed("InvalidImageName", message, None)
        here = self.find(container.image)
        policy = container.pull_policy
        if here is not None and (policy != "Always" or (pod.uid, container.name, attempt) in self._fresh):
            return ImageReady()
        if policy == "Never":
            message = f"Container image {container.image!r} is not present with pull policy of Never"
            return ImageFailed("ErrImageNeverPull", message, None)
        pull = self._join(pod, container, attempt)
        if pull is None:
            return ImageNeeded()
        if pull.pulling:
            return ImagePulling(pull.progress)
        if pull.retry_at <= self._clock.monotonic():
            return ImageNeeded()
        return ImageFailed(*self._failure(container.image, pull), pull.retry_at)

    def _join(self, pod: Pod, container: Container, attempt: int) -> _Pull | None:
        """The newest pull of the container's image; while it runs the pod waits for it, too."""
        name = normal_name(container.image)
        with self._lock:
            pull = self._pulls.get(name)
            if pull is not None and pull.pulling:
                self._waiting.setdefault(name, {})[pod.uid] = pod
                self._fresh.add((pod.uid, container.name, attempt))
            return pull

    def _failure(self, image: str, pull: _Pull) -> tuple[str, str]:
        again = f" (next try at {pull.next_try:%H:%M:%S} UTC)" if pull.next_try else ""
        return "ImagePullBackOff", f"Back-off pulling image {image!r}: {pull.message}{again}"

    def pulled_for(self, pod: Pod, container: str, attempt: int) -> bool:
        """Whether a pull was made for this very start."""
        return (pod.uid, container, attempt) in self._fresh

    def forget(self, uid: str) -> None:
        """The pod is gone."""
        with self._lock:
            self._fresh = {key for key in self._fresh if key[0] != uid}
            for waiting in self._waiting.values():
                waiting.pop(uid, None)

    # --- pulling -------------------------------------------------------------------------------------------------

    def request(self, pod: Pod, container: Container, attempt: int) -> None:
        """Begin to pull the container's image, or join the pull that runs."""
        name = normal_name(container.image)
        with self._lock:
            pull = self._pulls.get(name)
            self._waiting.setdefault(name, {})[pod.uid] = pod
            self._fresh.add((pod.uid, container.name, attempt))
            if pull is not None and pull.pulling:
                return
            self._pulls[name] = _Pull(True, failures=pull.failures if pull else 0)
        self._events(pod, "Normal", "Pulling", f'Pulling image "{container.image}"')
        self._pool.submit(self._pull, name, container.image)

    def _pull(self, name: str, shown: str) -> None:
        began = time.monotonic()
        told = [began]

        def progress(amount: str) -> None:
            now = time.monotonic()
            if now - told[0] >= _PROGRESS_EVERY_S:
                told[0] = now
                words = f'Pulling image "{shown}": {amount} after {now - began:.0f}s'
                with self._lock:
                    self._pulls[name] = replace(self._pulls[name], progress=words)
                self._tell(name, "Normal", "Pulling", words)

        try:
            self._runtime.pull(name, progress)
        except RuntimeFailure as failure:
            self._failed(name, shown, str(failure))
            return
        self.changed()
        with self._lock:
            self._pulls.pop(name, None)
        here = self._images().get(name)
        size = f" Image size: {here.size_bytes} bytes." if here else ""
        took = f"{time.monotonic() - began:.3f}s"
        self._finish(name, "Normal", "Pulled", f'Successfully pulled image "{shown}" in {took}.{size}')

    def _failed(self, name: str, shown: str, why: str) -> None:
        message = explain_miss(shown, why)
        with self._lock:
            failures = self._pulls[name].failures + 1
            delay_s = backoff.pull_delay_s(failures)
            next_try = self._clock.now() + timedelta(seconds=delay_s)
            self._pulls[name] = _Pull(
                False, "", failures, message, self._clock.monotonic() + delay_s, next_try.replace(microsecond=0)
            )
            self._fresh = {key for key in self._fresh if key[0] not in self._waiting.get(name, {})}
        self._tell(name, "Warning", "Failed", f'Failed to pull image "{shown}": {message}')
        self._tell(name, "Warning", "Failed", "Error: ErrImagePull")
        self._finish(name, "Normal", "BackOff", f'Back-off pulling image "{shown}" for {backoff.shown(delay_s)}')

    def _tell(self, name: str, type: Literal["Normal", "Warning"], reason: str, message: str) -> None:
        for pod in list(self._waiting.get(name, {}).values()):
            self._events(pod, type, reason, message)

    def _finish(self, name: str, type: Literal["Normal", "Warning"], reason: str, message: str) -> None:
        self._tell(name, type, reason, message)
        with self._lock:
            waiting = self._waiting.pop(name, {})
        for uid in waiting:
            self._on_change(uid)


def explain_miss(image: str, why: str) -> str:
    """The failure in words that help: an image that the lab's registry doesn't have says how to put it there."""
    if normal_name(image).startswith("docker.io/") and _MISSED.search(why):
        return f"{image} is not in the lab's registry: `make push IMAGE={image}` ({_short(why)})"
    return why


def _short(why: str) -> str:
    """The end of a chain of wrapped errors, where its cause is."""
    text = " ".join(why.split())
    return text if len(text) <= 300 else "…" + text[-300:]
