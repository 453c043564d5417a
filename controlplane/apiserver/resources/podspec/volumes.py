"""Validation of a pod's volumes. After `ValidateVolumes` upstream.

No path here may leave its volume: `..` and absolute paths are refused before any node sees them.
"""

from __future__ import annotations

from typing import Any, Final

from controlplane.api import names, quantity, schema
from controlplane.api.causes import duplicate, each, forbidden, invalid, not_supported, required
from controlplane.api.errors import Cause

Obj = dict[str, Any]

HOST_PATH_TYPES: Final = (
    "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket",
)  # fmt: skip
MODE_RANGE: Final = "must be a number between 0 and 0777 (octal), both inclusive"
MEDIUMS: Final = ("", "HugePages", "Memory")


def validate(volumes: Any, at: str) -> list[Cause]:
    """All that is wrong with a pod's volumes."""
    causes: list[Cause] = []
    seen: set[str] = set()
    for index, volume in enumerate(volumes):
        where = f"{at}[{index}]"
        name = volume.get("name", "")
        causes += each(f"{where}.name", name, names.dns_label(name)) if name else [required(f"{where}.name")]
        if name in seen:
            causes.append(duplicate(f"{where}.name", name))
        seen.add(name)
        causes += _source(volume, where)
    return causes


def _source(volume: Obj, at: str) -> list[Cause]:
    kinds = schema.get("core.v1.VolumeSource").fields
    present = [kind for kind in volume if kind in kinds]
    if not present:
        return [required(at, "must specify a volume type")]
    if len(present) > 1:
        return [forbidden(f"{at}.{present[1]}", "may not specify more than 1 volume type")]
    kind, source, where = present[0], volume[present[0]], f"{at}.{present[0]}"
    if kind == "hostPath":
        return _host_path(source, where)
    if kind == "emptyDir":
        return _empty_dir(source, where)
    if kind in ("secret", "configMap", "downwardAPI"):
        return _files(source, where, "secretName" if kind == "secret" else "name" if kind == "configMap" else "")
    if kind == "projected":
        return _projected(source, where)
    if kind == "persistentVolumeClaim" and not source.get("claimName"):
        return [required(f"{where}.claimName")]
    if kind == "nfs":
        causes = [required(f"{where}.{name}") for name in ("server", "path") if not source.get(name)]
        path = source.get("path", "")
        return causes + (each(f"{where}.path", path, names.absolute_path(path)) if path else [])
    return []


def _host_path(source: Obj, at: str) -> list[Cause]:
    path = source.get("path", "")
    if not path:
        return [required(f"{at}.path")]
    problems = ["must not contain '..'"] if ".." in path.split("/") else []
    causes = each(f"{at}.path", path, problems + names.plain_text(path))
    if source.get("type", "") not in HOST_PATH_TYPES:
        causes.append(not_supported(f"{at}.type", source["type"], HOST_PATH_TYPES))
    return causes


def _empty_dir(source: Obj, at: str) -> list[Cause]:
    causes: list[Cause] = []
    if "sizeLimit" in source and quantity.parse(source["sizeLimit"]) < 0:
        causes.append(forbidden(f"{at}.sizeLimit", "SizeLimit field must be a valid resource quantity"))
    medium = source.get("medium", "")
    if medium not in MEDIUMS and not medium.startswith("HugePages-"):
        causes.append(not_supported(f"{at}.medium", medium, MEDIUMS))
    return causes


def _mode(holder: Obj, name: str, at: str) -> list[Cause]:
    mode = holder.get(name)
    return [] if mode is None or 0 <= mode <= 0o777 else [invalid(f"{at}.{name}", mode, MODE_RANGE)]


def _files(source: Obj, at: str, name_field: str) -> list[Cause]:
    """Secrets, config maps and downward API: a name, a mode, items with a path each."""
    causes = _mode(source, "defaultMode", at)
    if name_field:
        name = source.get(name_field, "")
        where = f"{at}.{name_field}"
        causes += each(where, name, names.dns_subdomain(name)) if name else [required(where)]
    for index, item in enumerate(source.get("items") or ()):
        where = f"{at}.items[{index}]"
        if name_field and not item.get("key"):
            causes.append(required(f"{where}.key"))
        path = item.get("path", "")
        if not path:
            causes.append(required(f"{where}.path"))
        else:
            problems = names.relative_path(path)
            if path.startswith(".."):
                problems = ["must not start with '..'"]
            causes += each(f"{where}.path", path, problems)
        causes += _mode(item, "mode", where)
    return causes


def _projected(source: Obj, at: str) -> list[Cause]:
    causes = _mode(source, "defaultMode", at)
    for index, projection in enumerate(source.get("sources") or ()):
        where = f"{at}.sources[{index}]"
        present = [kind for kind, value in projection.items() if value is not None]
        if len(present) > 1:
            causes.append(forbidden(f"{where}.{present[1]}", "may not specify more than 1 volume type"))
            continue
        for kind, name_field in (("secret", "name"), ("configMap", "name"), ("downwardAPI", "")):
            if projection.get(kind) is not None:
                causes += _files(projection[kind], f"{where}.{kind}", name_field)
        token = projection.get("serviceAccountToken")
        if token is not None and not token.get("path"):
            causes.append(required(f"{where}.serviceAccountToken.path"))
    return causes
