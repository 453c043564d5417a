"""Deleting objects: at once, gracefully, or when the last finalizer is gone.

    options and preconditions → grace period → begin_delete → finalizers by policy → gone, or marked

A marked object has its deletionTimestamp and stays until whoever must act has acted: an agent stops a bound pod and
deletes it with grace 0, a controller takes its finalizer away. Policies: Background (the default; dependents are
collected afterwards), Foreground and Orphan (each a finalizer that the garbage collector works off).

Follows apiserver/pkg/registry/generic/registry/store.go (Delete, deletionFinalizersForGarbageCollection).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from controlplane.api import decoding, times
from controlplane.api.document import Document
from controlplane.api.errors import ApiError, Cause
from controlplane.apiserver import codec
from controlplane.apiserver.backend import Backend
from controlplane.apiserver.call import Call, check_dry_run
from controlplane.apiserver.registry import Obj
from controlplane.apiserver.writes import TRIES, LostRace, Target, Writes, lost_race, may_go

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"
POLICIES = ("Background", "Foreground", "Orphan")
OPTION_VERSIONS_ANY = "DeleteOptions"
GRACE_LIMIT_S = 2**31
LASTING_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
"""Every cluster has these; nobody may delete them."""


@dataclass(frozen=True)
class Options:
    """DeleteOptions of one request."""

    grace_s: int | None = None
    policy: str = ""
    uid: str = ""
    resource_version: str = ""
    dry_run: bool = False

    def as_obj(self) -> Obj:
        """What a strategy sees of it."""
        return {} if self.grace_s is None else {"gracePeriodSeconds": self.grace_s}


@dataclass(frozen=True)
class Deleted:
    """What became of the object: its last or present state, and whether it is gone."""

    document: Document
    gone: bool


def options_of(call: Call) -> Options:
    """From the body, else from the query.

    Raises: ApiError 400, 415, 422.
    """
    body: Any = codec.parse(call) if call.body.strip() else {}
    if type(body) is not dict:
        raise ApiError.bad_request("DeleteOptions must be an object")
    if body.get("kind", OPTION_VERSIONS_ANY) != OPTION_VERSIONS_ANY:
        raise ApiError.bad_request(f"expected DeleteOptions, not {str(body.get('kind'))[:100]}")
    body.pop("kind", None)
    body.pop("apiVersion", None)
    decoding.decode("meta.v1.DeleteOptions", body, OPTION_VERSIONS_ANY)
    return options_from(call, body)


def options_from(call: Call, body: Obj) -> Options:
    """From decoded DeleteOptions and the query, which counts where the body says nothing."""
    grace_s = body.get("gracePeriodSeconds", call.number("gracePeriodSeconds"))
    if grace_s is not None and not 0 <= grace_s < GRACE_LIMIT_S:
        grace_s = 1 if grace_s < 0 else GRACE_LIMIT_S - 1
    policy = body.get("propagationPolicy") or call.text("propagationPolicy")
    orphan = body.get("orphanDependents")
    if orphan is None and "orphanDependents" in call.query:
        orphan = call.flag("orphanDependents")
    if policy and orphan is not None:
        raise _invalid("propagationPolicy", policy, "orphanDependents and deletionPropagation cannot be both set")
    if policy and policy not in POLICIES:
        raise _invalid("propagationPolicy", policy, f"needs to be one of {', '.join(POLICIES)} or nil")
    if orphan:
        policy = "Orphan"
    preconditions = body.get("preconditions") or {}
    return Options(
        grace_s=grace_s,
        policy=policy,
        uid=str(preconditions.get("uid") or ""),
        resource_version=str(preconditions.get("resourceVersion") or ""),
        dry_run=check_dry_run(body.get("dryRun") or []) or call.dry_run,
    )


class Deletes:
    """The delete path over one backend; safe to use from several threads."""

    def __init__(self, backend: Backend, writes: Writes) -> None:
        self._backend = backend
        self._writes = writes

    def delete(self, call: Call, target: Target, options: Options) -> Deleted:
        """Deletes an object, or begins to.

        Raises: ApiError 404, 409 for a precondition, 403 for what may not go.
        """
        if target.resource.key == "namespaces" and target.name in LASTING_NAMESPACES:
            raise ApiError.forbidden(
                f'namespaces "{target.name}" is forbidden: this namespace may not be deleted',
                {"name": target.name, "kind": "namespaces"},
            )
        fresh = False
        for _ in range(TRIES):
            old = self._writes.current(target, fresh)
            if old is None:
                raise target.not_found()
            try:
                self._check(target, options, old, fresh)
                return self._attempt(call, target, options, old, fresh)
            except LostRace:
                fresh = True
        raise target.conflict()

    def _check(self, target: Target, options: Options, old: Document, fresh: bool) -> None:
        """The preconditions; what an old read would refuse is read anew first."""
        why = ""
        if options.uid and options.uid != old.uid:
            why = f"Precondition failed: UID in precondition: {options.uid}, UID in object meta: {old.uid}"
        elif options.resource_version and options.resource_version != old.resource_version:
            why = (
                f"Precondition failed: ResourceVersion in precondition: {options.resource_version}, "
                f"ResourceVersion in object meta: {old.resource_version}"
            )
        if why:
            error = target.conflict(why)
            raise error if fresh else lost_race(error)

    def _attempt(self, call: Call, target: Target, options: Options, old: Document, fresh: bool) -> Deleted:
        strategy = target.resource.strategy
        ctx = self._backend.context(call.requester.name)
        obj = old.copy()
        meta = obj["metadata"]
        grace_s = strategy.graceful_delete(obj, options.as_obj(), ctx) or 0
        begun = bool(meta.get("deletionTimestamp"))
        if begun:
            grace_s = min(grace_s, int(meta.get("deletionGracePeriodSeconds") or 0))
        stays = strategy.begin_delete(obj, ctx)
        _apply_policy(meta, options.policy)
        if not begun or grace_s < int(meta.get("deletionGracePeriodSeconds") or 0):
            meta["deletionTimestamp"] = times.time(ctx.now + timedelta(seconds=grace_s))
            meta["deletionGracePeriodSeconds"] = grace_s
            if not begun and meta.get("generation"):
                meta["generation"] += 1
        store, revision = self._backend.store(target.resource), int(old.resource_version)
        try:
            if may_go(obj) and not stays:
                return Deleted(old if options.dry_run else store.delete(target.key, revision, call.term), True)
            if obj == old.obj:
                if not fresh:
                    raise LostRace(409, "Conflict", "what was read may be old")
                return Deleted(old, False)
            document = (
                Document.of(obj) if options.dry_run else store.update(target.key, obj, revision, None, call.term)
            )
            return Deleted(document, False)
        except ApiError as error:
            raise lost_race(error) from None


def _apply_policy(meta: Obj, policy: str) -> None:
    """Adds and removes the garbage collector's finalizers as the policy says; none given leaves them alone."""
    if not policy:
        return
    finalizers = [name for name in meta.get("finalizers") or () if name not in (FOREGROUND, ORPHAN)]
    if policy == "Foreground":
        finalizers.append(FOREGROUND)
    elif policy == "Orphan":
        finalizers.append(ORPHAN)
    if finalizers:
        meta["finalizers"] = finalizers
    else:
        meta.pop("finalizers", None)


def _invalid(field: str, value: str, why: str) -> ApiError:
    cause = Cause(field, "FieldValueInvalid", f'Invalid value: "{value}": {why}')
    return ApiError.invalid("DeleteOptions", "", [cause], "meta.k8s.io")
