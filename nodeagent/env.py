"""A container's environment: values, `$(VAR)` references and fields of the pod, resolved in the order of the spec.

Pure. Called when a container is about to be created, since `status.podIP` is known only then.

Follows third_party/forked/golang/expansion and pkg/fieldpath of kubernetes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from nodeagent.pods import Container, Pod

_REFERENCE = re.compile(r"\$(\$|\(([^)]*)\))")
_KEYED = re.compile(r"^metadata\.(labels|annotations)\['([^']*)'\]$")


@dataclass(frozen=True)
class Place:
    """Where the pod runs: what `status.*` and `spec.nodeName` references resolve to."""

    node_name: str
    host_ip: str
    pod_ip: str


def expand(text: str, known: Mapping[str, str]) -> str:
    """Replace `$(NAME)` by its value and `$$` by `$`; a reference to nothing stays as it is written."""

    def replace(match: re.Match[str]) -> str:
        if match.group(1) == "$":
            return "$"
        return known.get(match.group(2), match.group(0))

    return _REFERENCE.sub(replace, text)


def field_value(pod: Pod, path: str, place: Place) -> str:
    """The value of a downward-API field; "" where the pod has none."""
    keyed = _KEYED.match(path)
    if keyed:
        return (pod.labels if keyed.group(1) == "labels" else pod.annotations).get(keyed.group(2), "")
    return {
        "metadata.name": pod.name,
        "metadata.namespace": pod.namespace,
        "metadata.uid": pod.uid,
        "spec.nodeName": place.node_name,
        "spec.serviceAccountName": pod.spec.service_account_name,
        "status.podIP": place.pod_ip,
        "status.podIPs": place.pod_ip,
        "status.hostIP": place.host_ip,
        "status.hostIPs": place.host_ip,
    }.get(path, "")


def environment(pod: Pod, container: Container, place: Place) -> dict[str, str]:
    """All variables of the container, in order; a later one may refer to those before it."""
    values: dict[str, str] = {}
    for var in container.env or ():
        if var.value_from is not None and var.value_from.field_ref is not None:
            values[var.name] = field_value(pod, var.value_from.field_ref.field_path, place)
        else:
            values[var.name] = expand(var.value, values)
    return values
