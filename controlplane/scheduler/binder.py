"""The scheduler's effects: bindings, conditions and events, written by a few threads beside the cycle.

A binding is a POST that the API refuses when the pod already has a node (409) or is gone (404), so a pod is never
bound twice, whoever dies between choosing and binding. When no answer came, nobody knows whether it happened: the
binder asks the API what the pod looks like before anything assumed is given back.
After pkg/scheduler/framework/plugins/defaultbinder and schedule_one.go (bindingCycle, handleSchedulingFailure).
"""

from __future__ import annotations

import enum
import logging
import time
from concurrent.futures import ThreadPoolExecutor

from controlplane.api import conditions
from controlplane.api.errors import ApiError
from controlplane.api.resources import PODS
from controlplane.api.types import ObjectReference, Pod
from controlplane.client import Client, Clock, Recorder, Unreachable
from controlplane.daemon import event
from controlplane.scheduler.cycle import Placement, Unfit
from controlplane.scheduler.demand import Demand

log = logging.getLogger(__name__)

PLACEMENT_ANNOTATION = "kubelab.io/placement"
"""On a bound pod: how its node was chosen, as the cycle saw it."""


class Outcome(enum.Enum):
    """What became of a binding."""

    BOUND = "bound"
    TAKEN = "taken"
    """Somebody else bound it, or it is gone: the informer will tell."""
    FAILED = "failed"
    """It has no node: try again."""


class Binder:
    """Writes what the cycle decided. Thread-safe."""

    def __init__(self, client: Client, recorder: Recorder, clock: Clock, threads: int = 4) -> None:
        self._client = client
        self._recorder = recorder
        self._clock = clock
        self.pool = ThreadPoolExecutor(threads, thread_name_prefix="bind")

    def bind(self, demand: Demand, placement: Placement) -> Outcome:
        """Binds the pod.

        Raises: ApiError StaleTerm when another manager leads.
        """
        namespace, name = demand.key
        started = time.monotonic()
        body = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {
                "name": name,
                "namespace": namespace,
                "uid": demand.uid,
                "annotations": {PLACEMENT_ANNOTATION: placement.record()},
            },
            "target": {"apiVersion": "v1", "kind": "Node", "name": placement.node},
        }
        error: ApiError | None = None
        try:
            self._client.post(PODS.path(namespace, name, "binding"), body)
            outcome = Outcome.BOUND
        except Unreachable as lost:
            error, outcome = lost, self._look(demand, placement.node)
        except ApiError as refused:
            if refused.reason == "StaleTerm":
                raise
            error, outcome = refused, Outcome.TAKEN if refused.code in (404, 409) else Outcome.FAILED
        event(
            log, "bind", level=logging.INFO if outcome is Outcome.BOUND else logging.WARNING,
            key=f"{namespace}/{name}", node=placement.node, outcome=outcome.value, why=placement.record(),
            duration_s=time.monotonic() - started, error=error.message if error else None,
        )  # fmt: skip
        if outcome is Outcome.BOUND:
            text = f"Successfully assigned {namespace}/{name} to {placement.node}"
            self._recorder.event(about(demand), "Normal", "Scheduled", text)
        return outcome

    def _look(self, demand: Demand, node: str) -> Outcome:
        """What the API says of a pod whose binding got no answer; asks until it answers, for half a minute."""
        namespace, name = demand.key
        for _ in range(30):
            try:
                pod: Pod = self._client.get(PODS, name, namespace)
            except Unreachable:
                time.sleep(1.0)
                continue
            except ApiError as error:
                if error.code == 404:
                    return Outcome.TAKEN
                time.sleep(1.0)
                continue
            if pod.metadata.uid != demand.uid or pod.spec.node_name not in ("", node):
                return Outcome.TAKEN
            return Outcome.BOUND if pod.spec.node_name == node else Outcome.FAILED
        return Outcome.FAILED

    def explain(self, demand: Demand, unfit: Unfit) -> None:
        """Tells the refusal: condition PodScheduled=False and event FailedScheduling.

        Raises: ApiError when the condition could not be written; a pod that is gone or another one is no error.
        """
        namespace, name = demand.key
        message = unfit.message()
        event(log, "unschedulable", key=f"{namespace}/{name}", why=message)
        self._recorder.event(about(demand), "Warning", "FailedScheduling", message)
        condition = conditions.wire(
            "PodScheduled", "False", self._clock.now(), reason="Unschedulable", message=message
        )
        body = {"metadata": {"uid": demand.uid}, "status": {"conditions": [condition]}}
        try:
            self._client.patch(PODS, demand.key, body, kind="strategic", subresource="status")
        except ApiError as error:
            if error.code != 404 and error.reason != "Conflict":
                raise


def about(demand: Demand) -> ObjectReference:
    """The pod, for an event."""
    return ObjectReference(kind="Pod", api_version="v1", namespace=demand.key[0], name=demand.key[1], uid=demand.uid)
