"""The pod fields that we keep as stored but don't act on yet, each named in a `Warning:`.

Written as what *is* honoured, so that a field nobody thought of is named too. Whoever implements a field adds it
here. What touches data, isolation or health is refused by the node agent on top (`nodeagent/refuse.py`); a test
holds that whatever it refuses is warned of here, so that a person hears of it at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

Obj = dict[str, Any]

POD: Final = frozenset(
    ("containers", "enableServiceLinks", "hostAliases", "hostname", "nodeName", "nodeSelector", "priority",
     "restartPolicy", "schedulerName", "serviceAccount", "serviceAccountName", "shareProcessNamespace",
     "terminationGracePeriodSeconds", "tolerations")
)  # fmt: skip
CONTAINER: Final = frozenset(
    ("args", "command", "env", "image", "imagePullPolicy", "livenessProbe", "name", "ports", "readinessProbe",
     "resources", "startupProbe", "terminationMessagePath", "terminationMessagePolicy", "tty", "volumeMounts",
     "workingDir")
)  # fmt: skip
VALUES: Final[dict[str, tuple[Any, ...]]] = {
    "automountServiceAccountToken": (False,),
    "dnsPolicy": ("ClusterFirst", "Default"),
    "hostUsers": (True,),
    "os": ({"name": "linux"},),
    "preemptionPolicy": ("PreemptLowerPriority",),
}
"""Fields of which only these values are honoured."""
MOUNT: Final = frozenset(("mountPath", "name", "readOnly"))
RESOURCES: Final = {
    "requests": frozenset(("cpu", "ephemeral-storage", "memory")),
    "limits": frozenset(("cpu", "memory")),
}
PROBES: Final = ("livenessProbe", "readinessProbe", "startupProbe")


def warnings(spec: Obj, at: str = "spec") -> list[str]:
    """One text for each field in use that we don't implement."""
    return [f"{path}: kubelab keeps this field as stored but does not implement it yet" for path in _pod(spec, at)]


def _asks(value: Any) -> bool:
    """Whether a value asks for anything."""
    return value not in (None, "", [], {}, False)


def _pod(spec: Obj, at: str) -> Iterator[str]:
    for name, value in spec.items():
        if name in VALUES:
            if value is not None and value not in VALUES[name]:
                yield f"{at}.{name}"
        elif name == "securityContext":
            yield from (f"{at}.{name}.{inner}" for inner, asked in value.items() if _asks(asked))
        elif name == "volumes":
            for index, volume in enumerate(value):
                yield from _volume(volume, f"{at}.volumes[{index}]")
        elif name not in POD and _asks(value):
            yield f"{at}.{name}"
    for index, container in enumerate(spec.get("containers") or ()):
        yield from _container(container, f"{at}.containers[{index}]")


def _volume(volume: Obj, at: str) -> Iterator[str]:
    for name, source in volume.items():
        if name == "emptyDir":
            if source.get("sizeLimit") and source.get("medium") != "Memory":
                yield f"{at}.emptyDir.sizeLimit"
            if source.get("medium", "") not in ("", "Memory"):
                yield f"{at}.emptyDir.medium"
        elif name != "name":
            yield f"{at}.{name}"


def _container(container: Obj, at: str) -> Iterator[str]:
    for name, value in container.items():
        if name == "securityContext":
            yield from (f"{at}.{name}.{inner}" for inner, asked in value.items() if _asks(asked))
        elif name not in CONTAINER and _asks(value):
            yield f"{at}.{name}"
    for kind in PROBES:
        if (container.get(kind) or {}).get("grpc") is not None:
            yield f"{at}.{kind}.grpc"
    for index, env in enumerate(container.get("env") or ()):
        for source in env.get("valueFrom") or ():
            if source != "fieldRef":
                yield f"{at}.env[{index}].valueFrom.{source}"
    for index, port in enumerate(container.get("ports") or ()):
        if port.get("hostPort"):
            yield f"{at}.ports[{index}].hostPort"
    for index, mount in enumerate(container.get("volumeMounts") or ()):
        for name, value in mount.items():
            if name not in MOUNT and _asks(value) and (name, value) != ("mountPropagation", "None"):
                yield f"{at}.volumeMounts[{index}].{name}"
    for kind, amounts in (container.get("resources") or {}).items():
        known = RESOURCES.get(kind)
        if known is None and _asks(amounts):
            yield f"{at}.resources.{kind}"
        elif known is not None:
            yield from (f"{at}.resources.{kind}[{name}]" for name in amounts if name not in known)
