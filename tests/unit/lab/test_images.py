"""Image archives: whole, executable, and the same bytes for the same inputs; and names in the registry."""

import io
import json
import tarfile

import pytest

from lab.images import Entry, docker_archive
from lab.push import base_names, registry_name
from lab.run import LabError

ENTRIES = {"bin/tool": Entry(data=b"#!"), "bin/alias": Entry(link="tool"), "www/a/page": Entry(mode=0o644, data=b"x")}
RECIPE: dict[str, object] = {"entrypoint": ["/bin/tool"], "command": ["-x"], "ports": ["80/tcp"]}


def test_an_archive_holds_its_layer_and_settings() -> None:
    with tarfile.open(fileobj=io.BytesIO(docker_archive("library/t:1", ENTRIES, RECIPE))) as archive:
        manifest = json.load(archive.extractfile("manifest.json") or io.BytesIO())[0]
        config = json.load(archive.extractfile(manifest["Config"]) or io.BytesIO())
        layer = (archive.extractfile(manifest["Layers"][0]) or io.BytesIO()).read()
    assert manifest["RepoTags"] == ["library/t:1"]
    assert config["config"]["Entrypoint"] == ["/bin/tool"]
    assert config["config"]["Cmd"] == ["-x"]
    assert config["config"]["ExposedPorts"] == {"80/tcp": {}}
    with tarfile.open(fileobj=io.BytesIO(layer)) as files:
        names = files.getnames()
        assert {"bin", "www", "www/a", "tmp", "proc", "etc"} <= set(names)
        assert names.index("www") < names.index("www/a/page")
        assert files.getmember("bin/tool").mode == 0o755
        assert files.getmember("bin/alias").linkname == "tool"


def test_the_same_inputs_make_the_same_bytes() -> None:
    assert docker_archive("t:1", ENTRIES, RECIPE) == docker_archive("t:1", dict(reversed(ENTRIES.items())), RECIPE)


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("web", "library/web:latest"),
        ("web:2", "library/web:2"),
        ("docker.io/library/nginx:1.27", "library/nginx:1.27"),
        ("me/app", "me/app:latest"),
        ("localhost/built:latest", "library/built:latest"),
    ],
)
def test_where_a_name_lies_in_the_registry(name: str, there: str) -> None:
    assert registry_name(name) == there


@pytest.mark.parametrize("name", ["--privileged", "Web", "a b", "a:b:c", "../x", "x/", "", "quay.io/me/app", "a\nb"])
def test_names_out_of_form_are_refused(name: str) -> None:
    with pytest.raises(LabError):
        registry_name(name)


def test_what_a_dockerfile_starts_from() -> None:
    recipe = """
    # FROM commented
    FROM --platform=linux/amd64 busybox AS build
    from docker.io/library/web:1
    FROM build
    FROM scratch
    FROM $BASE
    FROM quay.io/other/thing
    COPY --from=build /a /b
    """
    assert base_names(recipe) == ["busybox", "docker.io/library/web:1"]
