"""What is built on the host for the nodes, which have no way out: wheelhouse, the project's own wheel, nerdctl.

Everything that is fetched is checked against a committed hash (requirements/node.lock, go.sum).
"""

from __future__ import annotations

import base64
import hashlib
import platform
import re
import shutil
import tomllib
import zipfile
from pathlib import Path

from lab import artifacts, paths
from lab.facts import Facts
from lab.run import LabError, attempt, logged

NODE_PYTHON = "3.11"
_EPOCH = (1980, 1, 1, 0, 0, 0)


def wheelhouse() -> tuple[Path, bool]:
    """Return the folder of wheels for the nodes' Python, exactly those of node.lock, and whether it was made."""
    lock = paths.REPO / "requirements/node.lock"
    return artifacts.cached("wheelhouse", paths.digest([lock], NODE_PYTHON), lambda part: _download(lock, part))


def _download(lock: Path, part: Path) -> None:
    machine = platform.machine()
    libc = [f"manylinux_2_{minor}_{machine}" for minor in range(36, 16, -1)]
    platforms = [*libc, f"manylinux2014_{machine}", f"linux_{machine}"]
    args = [paths.venv_bin("python"), "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--require-hashes"]
    args += [
        "--implementation",
        "cp",
        "--python-version",
        NODE_PYTHON,
        "--abi",
        "cp311",
        "--abi",
        "abi3",
        "--abi",
        "none",
    ]
    for name in platforms:
        args += ["--platform", name]
    logged([*args, "-r", str(lock), "-d", str(part)], paths.cache() / "log" / "wheelhouse.log")


def own_wheel() -> tuple[Path, bool]:
    """Return the project's own wheel, made from the sources as they are, and whether it was made."""
    project = tomllib.loads((paths.REPO / "pyproject.toml").read_text())["project"]
    name = f"{project['name']}-{project['version']}-py3-none-any.whl"
    folders = [paths.REPO / package for package in ("controlplane", "nodeagent", "loadbalancer")]
    key = paths.digest([paths.REPO / "pyproject.toml", Path(__file__), *folders])

    def build(part: Path) -> None:
        part.mkdir()
        write_wheel(part / name, project, folders)

    folder, made = artifacts.cached("wheel", key, build)
    return folder / name, made


def write_wheel(target: Path, project: dict[str, object], folders: list[Path]) -> None:
    """Write a pure-Python wheel, byte for byte the same for the same sources (PEP 427), without a build back end."""
    info = f"{project['name']}-{project['version']}.dist-info"
    scripts = project.get("scripts", {})
    entries = "\n".join(f"{k} = {v}" for k, v in scripts.items()) if isinstance(scripts, dict) else ""
    files: dict[str, bytes] = {}
    for path in sorted(p for folder in folders for p in folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            files[str(path.relative_to(paths.REPO))] = path.read_bytes()
    meta = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    wheel = "Wheel-Version: 1.0\nGenerator: kubelab\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files[f"{info}/METADATA"] = meta.encode()
    files[f"{info}/WHEEL"] = wheel.encode()
    files[f"{info}/entry_points.txt"] = f"[console_scripts]\n{entries}\n".encode()
    record = "".join(f"{name},sha256={_b64(data)},{len(data)}\n" for name, data in files.items())
    files[f"{info}/RECORD"] = (record + f"{info}/RECORD,,\n").encode()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def nerdctl(facts: Facts) -> tuple[Path, bool]:
    """Return nerdctl, built from a Go module whose every byte go.sum checks, and whether it had to be built."""
    version = facts.word("versions", "nerdctl")
    module = paths.ANSIBLE / "tools" / "nerdctl"
    key = paths.digest([module / "go.mod", module / "go.sum", module / "tools.go"], version, platform.machine())

    def build(part: Path) -> None:
        part.mkdir()
        _go_build(find_go(facts), module, version, part / "nerdctl")

    folder, made = artifacts.cached("nerdctl", key, build)
    return folder / "nerdctl", made


def _go_build(go: str, module: Path, version: str, target: Path) -> None:
    work = target.parent / "src"
    shutil.copytree(module, work)
    package = "github.com/containerd/nerdctl"
    flags = f"-s -w -X {package}/pkg/version.Version=v{version}"
    args = [go, "build", "-trimpath", "-mod=readonly", "-ldflags", flags, "-o", str(target), f"{package}/cmd/nerdctl"]
    env = {"CGO_ENABLED": "0", "GOFLAGS": "", "GOTOOLCHAIN": "local", "GOWORK": "off"}
    logged(args, paths.cache() / "log" / "nerdctl.log", env=env, cwd=work)
    shutil.rmtree(work)


def find_go(facts: Facts) -> str:
    """Return a Go that is new enough: the person's, else the one of the host's virtual environment."""
    wanted = _numbers(facts.word("versions", "go_at_least"))
    for go in (shutil.which("go"), paths.venv_bin("go")):
        if go and Path(go).exists():
            done = attempt([go, "env", "GOVERSION"], env={"GOTOOLCHAIN": "local"})
            if done.returncode == 0 and _numbers(done.stdout) >= wanted:
                return go
    raise LabError(
        f"no Go {facts.word('versions', 'go_at_least')} found, though the host's environment should have one"
    )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])
