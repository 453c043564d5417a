"""Names of containers and cgroups on the machine, as dockershim had them where they fit. Pure.

nerdctl takes at most 76 characters of letters, digits and single separators; labels carry the exact identity, so a
name only has to be unique and readable.
"""

from __future__ import annotations

import hashlib
import re

_MAX = 76
_VALID = re.compile(r"[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*")


def container_name(container: str, pod: str, namespace: str, uid: str, attempt: int) -> str:
    """`k8s_CONTAINER_POD_NAMESPACE_UID_ATTEMPT`, or a shortened form with a hash of it."""
    full = f"k8s_{container}_{pod}_{namespace}_{uid}_{attempt}"
    if len(full) <= _MAX and _VALID.fullmatch(full):
        return full
    digest = hashlib.sha256(full.encode()).hexdigest()[:10]
    return f"k8s_{_part(container, 18)}_{_part(pod, 26)}_{digest}_{attempt}"


def _part(text: str, length: int) -> str:
    """`text` cut to `length`, with every run of separators made a single one."""
    return re.sub(r"[^A-Za-z0-9]+", "-", text)[:length].strip("-") or "x"
