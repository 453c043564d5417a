"""How a component talks to the API server: HTTP client, informer, work queue, events, leader lease.

The shapes are client-go's, so that what a reader learns here is true there.
"""

from controlplane.client.clock import Clock, SystemClock
from controlplane.client.events import Recorder, reference
from controlplane.client.http import Client, ClientConfig, Listing, Unreachable, WatchEvent
from controlplane.client.informer import Informer
from controlplane.client.leader import LeaderConfig, LeaderLease
from controlplane.client.workqueue import Key, WorkQueue, run_controller

__all__ = [
    "Client",
    "ClientConfig",
    "Clock",
    "Informer",
    "Key",
    "LeaderConfig",
    "LeaderLease",
    "Listing",
    "Recorder",
    "SystemClock",
    "Unreachable",
    "WatchEvent",
    "WorkQueue",
    "reference",
    "run_controller",
]
