"""The project's own wheel: what pip needs in it, and the same bytes for the same sources."""

import tomllib
import zipfile
from pathlib import Path

from lab import build, paths

PROJECT = tomllib.loads((paths.REPO / "pyproject.toml").read_text())["project"]


def test_the_wheel_is_whole_and_repeatable(tmp_path: Path) -> None:
    folders = [paths.REPO / "loadbalancer"]
    for name in ("a.whl", "b.whl"):
        build.write_wheel(tmp_path / name, PROJECT, folders)
    assert (tmp_path / "a.whl").read_bytes() == (tmp_path / "b.whl").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.whl") as wheel:
        names = wheel.namelist()
        record = wheel.read(f"kubelab-{PROJECT['version']}.dist-info/RECORD").decode().splitlines()
        scripts = wheel.read(f"kubelab-{PROJECT['version']}.dist-info/entry_points.txt").decode()
    assert "loadbalancer/__init__.py" in names
    assert not any("__pycache__" in name for name in names)
    assert [line.split(",")[0] for line in record] == names
    assert "kubelab-proxy = loadbalancer.main:main" in scripts
