"""Puts images into the lab's registry: the lab's own at `make up`, a person's with `make push IMAGE=…`.

The registry is reached from inside the lab's network, over TLS with the lab's own authority. A person's image may be
an archive (docker or OCI), a build context (a folder with a Dockerfile or Containerfile), or a name upstream.
"""

from __future__ import annotations

import json
import re
import shutil
import tarfile
import tempfile
from pathlib import Path

from lab import images, paths, setup
from lab.console import Steps
from lab.facts import Lab
from lab.provider import Provider
from lab.run import LabError, attempt, run

_NAME = re.compile(r"[a-z0-9]+(?:[._/-]+[a-z0-9]+)*(?::[\w][\w.-]{0,127})?")
_ANY_POLICY = {"default": [{"type": "insecureAcceptAnything"}]}


def own_images(lab: Lab, provider: Provider, steps: Steps) -> None:
    """Build the lab's images where their sources changed, and push what the registry hasn't got yet."""
    mark = paths.lab_dir(lab.name) / "pushed.json"
    pushed = json.loads(mark.read_text()) if mark.exists() else {}
    with steps.step("images in the lab's registry") as note:
        for name in images.names():
            image = images.build(name)
            if pushed.get(name) == image.archive.name:
                continue
            for tag in (image.version, "latest"):
                _copy(lab, provider, f"docker-archive:{image.archive}", f"library/{name}:{tag}")
            pushed[name] = image.archive.name
            mark.write_text(json.dumps(pushed))
            note.append(name)
        if not note:
            note.append("all there")


def _copy(lab: Lab, provider: Provider, source: str, name: str) -> None:
    """Copy one image into the registry as `name`. Raises: LabError."""
    target = f"docker://{lab.master.address}:{lab.registry_port}/{name}"
    options = ["--policy", str(_policy(lab)), "copy", "--quiet", f"--dest-cert-dir={_certificates(lab)}"]
    run([*provider.inside(lab), "skopeo", *options, source, target])


def _certificates(lab: Lab) -> Path:
    """The folder that tells clients of the registry which authority to believe."""
    folder = paths.lab_dir(lab.name) / "registry-ca"
    folder.mkdir(exist_ok=True)
    shutil.copy(paths.lab_dir(lab.name) / "pki" / "ca.crt", folder / "ca.crt")
    return folder


def _policy(lab: Lab) -> Path:
    """Images in the lab's registry are unsigned."""
    policy = paths.lab_dir(lab.name) / "skopeo-policy.json"
    policy.write_text(json.dumps(_ANY_POLICY))
    return policy


def person_image(lab: Lab, provider: Provider, what: str, wanted_name: str, steps: Steps) -> str:
    """Push a person's image and return the name by which pods find it. Raises: LabError."""
    if what.startswith("-") or not what:
        raise LabError("say which: IMAGE=archive.tar, IMAGE=folder-with-a-Dockerfile or IMAGE=name-upstream")
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(what)
        if path.is_file():
            source, name = _archive(path)
        elif path.is_dir():
            source, name = _context(lab, provider, path, Path(scratch), steps)
        else:
            source, name = _upstream(what, Path(scratch), steps)
        name = registry_name(wanted_name or name)
        with steps.step(f"push {name}"):
            _copy(lab, provider, source, name)
    return name


def registry_name(name: str) -> str:
    """The image's path and tag in the lab's registry. Raises: LabError for a name out of form.

    Unqualified and docker.io names are looked up there first: `web` lies at `library/web:latest`.
    """
    for prefix in ("docker.io/", "index.docker.io/", "localhost/"):
        name = name.removeprefix(prefix)
    if not _NAME.fullmatch(name):
        raise LabError(
            f"{name!r} is no image name: small letters and digits, with . _ - / between, and a tag after a colon"
        )
    first = name.split("/", 1)[0]
    if "/" in name and ("." in first or ":" in first):
        raise LabError(f"{name}: give it a name without a registry: NAME={name.split('/', 1)[1]}")
    with_tag = name if ":" in name.rsplit("/", 1)[-1] else f"{name}:latest"
    return with_tag if "/" in with_tag else f"library/{with_tag}"


def _archive(path: Path) -> tuple[str, str]:
    """The source for skopeo and the image's name, of a docker or an OCI archive."""
    try:
        with tarfile.open(path) as archive:
            members = set(archive.getnames())
            stem = path.name.split(".", 1)[0].lower()
            if "oci-layout" in members:
                return f"oci-archive:{path.absolute()}", stem
            if "manifest.json" in members and (manifest := archive.extractfile("manifest.json")):
                tags = json.load(manifest)[0].get("RepoTags") or [stem]
                return f"docker-archive:{path.absolute()}", str(tags[0])
    except (tarfile.TarError, ValueError, LookupError) as error:
        raise LabError(f"{path}: no image archive") from error
    raise LabError(f"{path}: neither a docker archive (manifest.json) nor an OCI archive (oci-layout)")


def _context(lab: Lab, provider: Provider, folder: Path, scratch: Path, steps: Steps) -> tuple[str, str]:
    """Build a folder with a Dockerfile or Containerfile (buildah, without a daemon).

    What it starts FROM is looked up in the lab's registry first, as pods' images are.
    """
    recipes = [folder / name for name in ("Containerfile", "Dockerfile") if (folder / name).is_file()]
    if not recipes:
        raise LabError(f"{folder}: no Dockerfile or Containerfile in it")
    if shutil.which("buildah") is None:
        with steps.step("Debian package buildah on the host"):
            setup.install(["buildah"])
    archive = scratch / "image.tar"
    store = ["--root", str(scratch / "store"), "--runroot", str(scratch / "run"), "--storage-driver", "vfs"]
    with steps.step(f"build {folder}"):
        for name in base_names(recipes[0].read_text()):
            there = f"{lab.master.address}:{lab.registry_port}/{registry_name(name)}"
            fetch = ["--signature-policy", str(_policy(lab)), "pull", "-q", f"--cert-dir={_certificates(lab)}", there]
            if attempt([*provider.inside(lab), "buildah", *store, *fetch]).returncode == 0:
                run(["buildah", *store, "tag", there, f"docker.io/{registry_name(name)}"])
        build = ["bud", "--isolation", "chroot", "--layers=false", "-t", "localhost/built:latest", str(folder)]
        run(["buildah", *store, *build])
        run(["buildah", *store, "push", "localhost/built:latest", f"docker-archive:{archive}"])
    return f"docker-archive:{archive}", folder.resolve().name.lower()


def base_names(recipe: str) -> list[str]:
    """The unqualified and docker.io images that a Dockerfile starts from, its own stages and variables excepted."""
    stages = set()
    names = []
    for row in recipe.splitlines():
        words = [word for word in row.split() if not word.startswith("--")]
        if len(words) < 2 or words[0].upper() != "FROM":
            continue
        name = words[1]
        first = name.split("/", 1)[0]
        foreign = "/" in name and "." in first and first != "docker.io"
        if name != "scratch" and name not in stages and "$" not in name and "@" not in name and not foreign:
            names.append(name)
        if len(words) == 4 and words[2].upper() == "AS":
            stages.add(words[3])
    return names


def _upstream(name: str, scratch: Path, steps: Steps) -> tuple[str, str]:
    """Fetch an image from its own registry, where the host has a way out to it."""
    qualified = name if "." in name.split("/", 1)[0] else f"docker.io/{registry_name(name)}"
    archive = scratch / "image.tar"
    with steps.step(f"fetch {qualified}"):
        done = attempt(["skopeo", "copy", "--quiet", f"docker://{qualified}", f"docker-archive:{archive}"])
        if done.returncode:
            reason = done.stderr.strip()[-400:]
            raise LabError(f"{name}: no such file or folder here, and its registry doesn't give it:\n{reason}")
    rest = qualified.split("/", 1)[1]
    return f"docker-archive:{archive}", rest.split("@", 1)[0]
