"""The lab's own images: one layer of files from Debian packages, made without a public registry or a runtime.

The sources are folders of ansible/images. The result is a docker-archive, byte for byte the same for the same
inputs, in the cache; push.py copies it into the lab's registry.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from lab import artifacts, paths
from lab.run import run

SOURCES = paths.ANSIBLE / "images"
_EXECUTABLE = 0o755
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class Image:
    """One built image: its name and version in the registry, and its archive."""

    name: str
    version: str
    archive: Path


@dataclass(frozen=True)
class Entry:
    """One file, folder or link of an image."""

    mode: int = _EXECUTABLE
    data: bytes = b""
    link: str = ""
    folder: bool = False


def names() -> list[str]:
    """The lab's images, those first that pods need first."""
    return sorted(
        (path.parent.name for path in SOURCES.glob("*/image.json")), key=lambda name: (name != "pause", name)
    )


def build(name: str) -> Image:
    """Return the image, built if its sources changed."""
    source = SOURCES / name
    recipe = json.loads((source / "image.json").read_text())
    key = paths.digest([source, Path(__file__)])

    def make(part: Path) -> None:
        entries = _from_packages(recipe["packages"])
        if recipe.get("busybox_links"):
            entries |= _busybox_links(entries["bin/busybox"].data)
        entries |= _from_folder(source / "root")
        part.write_bytes(docker_archive(f"library/{name}:{recipe['version']}", entries, recipe))

    archive, _ = artifacts.cached(f"image-{name}", key, make)
    return Image(name, recipe["version"], archive)


def _from_packages(packages: dict[str, dict[str, str]]) -> dict[str, Entry]:
    """Take files out of Debian packages, downloaded from the host's own sources and checked by apt."""
    entries = {}
    for package, files in packages.items():
        with tempfile.TemporaryDirectory() as folder:
            Path(folder).chmod(_EXECUTABLE)
            run(["env", "-C", folder, "apt-get", "download", "-q", package])
            archive = next(Path(folder).glob("*.deb"))
            run(["dpkg-deb", "--extract", archive, Path(folder) / "files"])
            for inside, target in files.items():
                entries[target] = Entry(data=(Path(folder) / "files" / inside).read_bytes())
    return entries


def _busybox_links(binary: bytes) -> dict[str, Entry]:
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "busybox"
        program.write_bytes(binary)
        program.chmod(_EXECUTABLE)
        applets = run([program, "--list"]).split()
    return {f"bin/{name}": Entry(link="busybox") for name in applets if name != "busybox"}


def _from_folder(root: Path) -> dict[str, Entry]:
    entries = {}
    for path in sorted(root.rglob("*")) if root.is_dir() else []:
        if path.is_file():
            mode = _EXECUTABLE if path.stat().st_mode & 0o100 else 0o644
            entries[str(path.relative_to(root))] = Entry(mode=mode, data=path.read_bytes())
    return entries


def docker_archive(tag: str, entries: dict[str, Entry], recipe: dict[str, object]) -> bytes:
    """Return a docker-archive with one layer."""
    layer = _tar(_with_folders(entries))
    digest = hashlib.sha256(layer).hexdigest()
    config: dict[str, object] = {"Env": ["PATH=/bin"], "WorkingDir": "/"}
    for key, field in (("entrypoint", "Entrypoint"), ("command", "Cmd")):
        if key in recipe:
            config[field] = recipe[key]
    ports = recipe.get("ports")
    if isinstance(ports, list):
        config["ExposedPorts"] = {port: {} for port in ports}
    image = {
        "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "kubelab"}],
    }
    data = json.dumps(image, sort_keys=True).encode()
    name = f"{hashlib.sha256(data).hexdigest()}.json"
    manifest = [{"Config": name, "RepoTags": [tag], "Layers": [f"{digest}.tar"]}]
    files = {
        name: Entry(0o644, data),
        f"{digest}.tar": Entry(0o644, layer),
        "manifest.json": Entry(0o644, json.dumps(manifest).encode()),
    }
    return _tar(files)


def _with_folders(entries: dict[str, Entry]) -> dict[str, Entry]:
    """The entries with the folders above them and those that every container expects, in order."""
    folders = {str(parent) for name in entries for parent in Path(name).parents} - {"."}
    folders |= {"proc", "sys", "dev", "etc", "root"}
    whole = {name: Entry(folder=True) for name in folders}
    whole["tmp"] = Entry(mode=0o1777, folder=True)
    return dict(sorted((whole | entries).items()))


def _tar(entries: dict[str, Entry]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, entry in entries.items():
            info = tarfile.TarInfo(name)
            info.mode = entry.mode
            info.size = len(entry.data)
            if entry.link:
                info.type, info.linkname = tarfile.SYMTYPE, entry.link
            elif entry.folder:
                info.type = tarfile.DIRTYPE
            archive.addfile(info, io.BytesIO(entry.data))
    return out.getvalue()
