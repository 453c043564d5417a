"""The store: Redis used as a log, and the watch cache that follows it. See README.md.

Only the API server imports this package, and only this package imports redis.
"""

from controlplane.store.cache import WatchCache
from controlplane.store.model import Change, Claim, ClaimTaken, Health, Key, StoreConfig, Term, with_revision
from controlplane.store.store import Store
from controlplane.store.table import Listing
from controlplane.store.watch import Watcher

__all__ = [
    "Change",
    "Claim",
    "ClaimTaken",
    "Health",
    "Key",
    "Listing",
    "Store",
    "StoreConfig",
    "Term",
    "WatchCache",
    "Watcher",
    "with_revision",
]
