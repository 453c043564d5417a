"""Creating and changing objects: the one path that every write takes, whatever its verb.

    create   default → admit → prepare → name and metadata → validate → allocate → claims → store
    change   read → change → default → admit → prepare → metadata → validate → allocate → claims → store

A change is a function from the old object to the new one; when another writer was faster it is applied again to what
is there then, unless the client named the revision that it saw. What changes nothing is not written.

Follows apiserver/pkg/registry/generic/registry/store.go (Create, Update) and pkg/registry/rest.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from controlplane.api import errors
from controlplane.api.document import Document
from controlplane.api.errors import ApiError
from controlplane.apiserver import metadata
from controlplane.apiserver.backend import Backend
from controlplane.apiserver.call import Call
from controlplane.apiserver.registry import Context, Obj, Resource, Strategy
from controlplane.apiserver.render import encode
from controlplane.store import Claim, ClaimTaken, Key

OBJECT_LIMIT_BYTES = 1536 * 1024
TRIES = 20
"""So often a change without a named revision is applied anew, and drawn claims are drawn anew."""
LOCKS = 64
"""Who lost a race for an object tries again one after another; this many objects at once."""

Part = Literal["main", "status", "raw"]
"""What a change may touch; a raw one is the server's own (binding, finalize) and passes no strategy."""
Change = Callable[[Document], Obj]
"""Makes the new object from the old one; called again after a conflict. It may raise ApiError."""


@dataclass(frozen=True)
class Target:
    """The object that a request writes."""

    resource: Resource
    namespace: str
    name: str

    @property
    def key(self) -> Key:
        return Key(self.resource.key, self.namespace, self.name)

    def not_found(self) -> ApiError:
        return ApiError.not_found(self.resource.plural, self.name, self.resource.group)

    def conflict(self, why: str = "") -> ApiError:
        words = {"why": why} if why else {}
        return ApiError.conflict(self.resource.plural, self.name, group=self.resource.group, **words)


class Writes:
    """The write paths over one backend; safe to use from several threads."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._losers = [threading.Lock() for _ in range(LOCKS)]

    def create(self, call: Call, resource: Resource, namespace: str, obj: Obj) -> Document:
        """Stores a new object.

        Raises: ApiError 404 for a missing namespace, 403 in one that ends, 409, 413, 422, 503.
        """
        backend, strategy = self._backend, resource.strategy
        ctx = backend.context(call.requester.name)
        metadata.check_place(obj, resource, namespace)
        if resource.namespaced:
            self._check_namespace(resource, namespace, str(obj["metadata"].get("name", "")))
        strategy.default(obj)
        strategy.admit(obj, None, ctx)
        strategy.prepare_create(obj, ctx)
        metadata.begin(obj, ctx, strategy.has_generation)
        self._refuse_invalid(resource, obj, None)
        call.warnings += strategy.warnings(obj, None)
        name = str(obj["metadata"]["name"])
        target = Target(resource, namespace, name)

        def store(claims: tuple[Claim, ...]) -> Document:
            check_size(obj, len(call.body))
            if call.dry_run:
                if self.current(target) is not None:
                    raise ApiError.already_exists(resource.plural, name, resource.group)
                return Document.of(obj)
            return backend.store(resource).create(target.key, obj, claims, call.term)

        return self._with_claims(target, obj, None, ctx, store)

    def change(self, call: Call, target: Target, change: Change, part: Part = "main") -> Document:
        """Applies a change to an object; returns it as it is then.

        The first try starts from the cache, which may be behind. So only what it wrote counts: a refusal, or a change
        that changes nothing, is judged again by what the store has.

        Raises: ApiError 404, 409, 413, 422, 503.
        """
        told = len(call.warnings)
        try:
            return self._once(call, target, change, part, fresh=False)
        except _Stale:
            pass
        except ApiError as error:
            if error.code >= 500:
                raise
        del call.warnings[told:]
        with self._losers[hash(target.key) % LOCKS]:
            for _ in range(TRIES):
                try:
                    return self._once(call, target, change, part, fresh=True)
                except _Stale:
                    break
                except LostRace:
                    continue
        raise target.conflict()

    def _once(self, call: Call, target: Target, change: Change, part: Part, fresh: bool) -> Document:
        old = self.current(target, fresh)
        if old is None:
            raise target.not_found()
        document = self._attempt(call, target, old, change(old), part)
        if document is old and not fresh:
            raise _Stale
        return document

    def current(self, target: Target, fresh: bool = False) -> Document | None:
        """The object as the cache has it; `fresh`, or what the cache doesn't have: as the store has it."""
        resource = target.resource
        if not fresh:
            found = self._backend.cache(resource).get(target.key)
            if found is not None:
                return found
        return self._backend.store(resource).get(target.key)

    def _attempt(self, call: Call, target: Target, old: Document, obj: Obj, part: Part) -> Document:
        resource, before = target.resource, old.obj
        strategy = resource.strategy
        self._check_preconditions(target, obj, old)
        ctx = self._backend.context(call.requester.name)
        if part != "raw":
            strategy.default(obj)
        if part == "main":
            strategy.admit(obj, before, ctx)
            strategy.prepare_update(obj, before, ctx)
        elif part == "status":
            strategy.prepare_status_update(obj, before, ctx)
        metadata.carry(obj, before)
        if part == "main" and strategy.generation_changes(obj, before):
            obj["metadata"]["generation"] = int(before["metadata"].get("generation", 0)) + 1
        if part == "status":
            causes = strategy.validate_status(obj, before)
            if causes:
                raise ApiError.invalid(resource.kind, target.name, causes, resource.group)
        if part == "main":
            self._refuse_invalid(resource, obj, before)
            call.warnings += strategy.warnings(obj, before)
        obj["metadata"]["resourceVersion"] = old.resource_version
        if obj == before:
            return old
        return self._store_change(call, target, old, obj, part, ctx)

    def _store_change(
        self, call: Call, target: Target, old: Document, obj: Obj, part: Part, ctx: Context
    ) -> Document:
        store = self._backend.store(target.resource)
        revision = int(old.resource_version)

        def write(claims: tuple[Claim, ...] | None) -> Document:
            check_size(obj, len(call.body) + len(old.raw))
            if call.dry_run:
                return Document.of(obj)
            try:
                if may_go(obj):
                    store.delete(target.key, revision, call.term)
                    return Document.of(obj)
                return store.update(target.key, obj, revision, claims, call.term)
            except ApiError as error:
                raise lost_race(error) from None

        if part != "main":
            return write(None)
        return self._with_claims(target, obj, old.obj, ctx, write)

    def _with_claims(
        self,
        target: Target,
        obj: Obj,
        old: Obj | None,
        ctx: Context,
        store: Callable[[tuple[Claim, ...]], Document],
    ) -> Document:
        """Draws open values, claims everything, and draws again while somebody else is faster."""
        strategy = target.resource.strategy
        draws = type(strategy).allocate is not Strategy.allocate
        before = Document.of(obj).raw if draws else b""
        for _ in range(TRIES):
            drawn = strategy.allocate(obj, old, ctx)
            try:
                return store(strategy.claims(obj))
            except ClaimTaken as taken:
                if taken.claim not in drawn:
                    cause = strategy.claim_taken(obj, taken.claim)
                    raise ApiError.invalid(
                        target.resource.kind, target.name, [cause], target.resource.group
                    ) from None
                obj.clear()
                obj.update(Document(before).obj)
        raise ApiError.internal("no free value was found in several tries")

    def _check_namespace(self, resource: Resource, namespace: str, name: str) -> None:
        """As upstream's NamespaceLifecycle admission."""
        found = self._backend.lookup("namespaces", "", namespace)
        if found is None:
            raise ApiError.not_found("namespaces", namespace)
        if found.deletion_timestamp:
            cause = errors.Cause(
                "metadata.namespace", "NamespaceTerminating", f"namespace {namespace} is being terminated"
            )
            raise ApiError.forbidden(
                f'{resource.qualified} "{name}" is forbidden: unable to create new content in namespace {namespace} '
                "because it is being terminated",
                {"name": name, "kind": resource.plural, "group": resource.group, "causes": [cause.as_dict()]},
            )

    def _check_preconditions(self, target: Target, obj: Obj, old: Document) -> None:
        """The revision and the uid that the client says it saw."""
        meta = obj["metadata"]
        seen = meta.get("resourceVersion")
        if seen and seen not in ("0", old.resource_version):
            raise _Stale
        uid = meta.get("uid")
        if uid and uid != old.uid:
            raise target.conflict(f"Precondition failed: UID in precondition: {uid}, UID in object meta: {old.uid}")

    def _refuse_invalid(self, resource: Resource, obj: Obj, old: Obj | None) -> None:
        causes = resource.validate(obj, old)
        if causes:
            meta = obj["metadata"]
            name = str(meta.get("name") or meta.get("generateName", ""))
            raise ApiError.invalid(resource.kind, name, causes, resource.group)


class _Stale(Exception):
    """What was read may be old, and it decides: the client saw another revision, or nothing would be written."""


class LostRace(ApiError):
    """Somebody else changed the object between our read and our write."""


def lost_race(error: ApiError) -> ApiError:
    """Marks the store's conflict about the revision; every other error stays what it is."""
    if error.code == 409 and error.reason == "Conflict" and not isinstance(error, ClaimTaken):
        return LostRace(error.code, error.reason, error.message, error.details)
    return error


def may_go(obj: Obj) -> bool:
    """Whether a write lets an object go whose deletion has begun and waits for nothing more."""
    meta = obj["metadata"]
    if not meta.get("deletionTimestamp") or meta.get("finalizers") or meta.get("deletionGracePeriodSeconds"):
        return False
    spec = obj.get("spec")
    return not (obj["kind"] == "Namespace" and isinstance(spec, dict) and spec.get("finalizers"))


def check_size(obj: Obj, hint_bytes: int) -> None:
    """Only an object made from much is measured: encoding costs.

    Raises: ApiError 413 for an object beyond the limit.
    """
    if hint_bytes < OBJECT_LIMIT_BYTES // 6:
        return
    size = len(encode(obj))
    if size > OBJECT_LIMIT_BYTES:
        raise ApiError.too_large(
            f"Request entity too large: the object has {size} bytes, the limit is {OBJECT_LIMIT_BYTES}"
        )
