"""What a binding's answer means, with a client that answers as the API may."""

from __future__ import annotations

from typing import Any

import pytest

from controlplane.api.errors import ApiError
from controlplane.api.types import Pod
from controlplane.client import SystemClock, Unreachable
from controlplane.scheduler.binder import Binder, Outcome
from controlplane.scheduler.cycle import Placement, Rating, Unfit
from tests.unit.scheduler.build import demand, pod

PLACEMENT = Placement("worker-1", 1, 2, (Rating("worker-1", 5, (("least-allocated", 5),)),))


class FakeClient:
    """Answers a POST with `error`, and then shows `pod`."""

    def __init__(self, error: ApiError | None = None, pod: Pod | None = None) -> None:
        self.error = error
        self.pod = pod
        self.sent: list[Any] = []

    def post(self, path: str, body: Any) -> bytes:
        self.sent.append((path, body))
        if self.error:
            raise self.error
        return b""

    def patch(self, resource: Any, key: Any, body: Any, **kwargs: Any) -> None:
        self.sent.append((key, body, kwargs))
        if self.error:
            raise self.error

    def get(self, resource: Any, name: str, namespace: str) -> Pod:
        if self.pod is None:
            raise ApiError.not_found("pods", name)
        return self.pod


class FakeRecorder:
    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []

    def event(self, about: Any, type: str, reason: str, message: str) -> None:
        self.events.append((reason, message))


def binder(client: FakeClient) -> tuple[Binder, FakeRecorder]:
    recorder = FakeRecorder()
    return Binder(client, recorder, SystemClock()), recorder  # type: ignore[arg-type]  # stand-ins for both


LOST = Unreachable("POST: timed out")


@pytest.mark.parametrize(
    ("error", "shown", "outcome"),
    [
        pytest.param(None, None, Outcome.BOUND, id="bound"),
        pytest.param(ApiError.conflict("pods", "web"), None, Outcome.TAKEN, id="has a node already"),
        pytest.param(ApiError.not_found("pods", "web"), None, Outcome.TAKEN, id="gone"),
        pytest.param(ApiError.unavailable("frozen"), None, Outcome.FAILED, id="refused for now"),
        pytest.param(LOST, pod(), Outcome.FAILED, id="no answer, not bound"),
        pytest.param(LOST, pod(node_name="worker-1"), Outcome.BOUND, id="no answer, but bound"),
        pytest.param(LOST, pod(node_name="worker-2"), Outcome.TAKEN, id="no answer, bound elsewhere"),
        pytest.param(LOST, None, Outcome.TAKEN, id="no answer, gone"),
    ],
)
def test_outcomes(error: ApiError | None, shown: Pod | None, outcome: Outcome) -> None:
    made, recorder = binder(FakeClient(error, shown))
    assert made.bind(demand(), PLACEMENT) is outcome
    expected = [("Scheduled", "Successfully assigned default/web to worker-1")] if outcome is Outcome.BOUND else []
    assert recorder.events == expected


def test_the_binding_names_the_very_pod_and_how_it_was_chosen() -> None:
    client = FakeClient()
    binder(client)[0].bind(demand(), PLACEMENT)
    ((path, body),) = client.sent
    assert path == "/api/v1/namespaces/default/pods/web/binding"
    assert body["metadata"]["uid"] == "uid-web"
    assert body["metadata"]["annotations"] == {
        "kubelab.io/placement": "1 of 2 nodes fit: worker-1 5 (least-allocated 5)"
    }


def test_a_stale_leader_is_told() -> None:
    made, _ = binder(FakeClient(ApiError.stale_term("manager", 1, 2)))
    with pytest.raises(ApiError, match="another instance"):
        made.bind(demand(), PLACEMENT)


@pytest.mark.parametrize(
    ("error", "raises"),
    [
        pytest.param(None, False, id="written"),
        pytest.param(ApiError.not_found("pods", "web"), False, id="gone"),
        pytest.param(ApiError.unavailable("frozen"), True, id="to be tried again"),
    ],
)
def test_a_refusal_is_told_in_condition_and_event(error: ApiError | None, raises: bool) -> None:
    client = FakeClient(error)
    made, recorder = binder(client)
    unfit = Unfit(0, "no nodes available to schedule pods", (), frozenset())
    if raises:
        with pytest.raises(ApiError):
            made.explain(demand(), unfit)
    else:
        made.explain(demand(), unfit)
    assert recorder.events == [("FailedScheduling", "no nodes available to schedule pods")]
    condition = client.sent[0][1]["status"]["conditions"][0]
    assert (condition["type"], condition["status"], condition["reason"]) == ("PodScheduled", "False", "Unschedulable")
