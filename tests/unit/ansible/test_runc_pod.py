"""runc-pod, the pods' OCI runtime: runc, but a container may join its sandbox's IPC namespace."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

RUNC_POD = Path(__file__).resolve().parents[3] / "ansible/roles/containerd/files/runc-pod"
JOINED = "/proc/4242/ns/ipc"


def call(
    tmp_path: Path, annotations: dict[str, str], *words: str, env: tuple[str, ...] = ()
) -> tuple[list[str], Any]:
    """Run it on a bundle, with a runc that writes down its arguments; these and the container's namespaces."""
    (tmp_path / "runc").write_text('#!/bin/sh\nprintf "%s\\n" "$@" > "$SEEN"\n')
    (tmp_path / "runc").chmod(0o755)
    config = {
        "process": {"env": list(env)},
        "annotations": annotations,
        "linux": {"namespaces": [{"type": "pid"}, {"type": "ipc"}, {"type": "mount"}]},
    }
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "config.json").write_text(json.dumps(config, separators=(",", ":")))
    seen = tmp_path / "seen"
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SEEN": str(seen)}
    arguments = [word.replace("BUNDLE", str(bundle)) for word in words]
    subprocess.run([str(RUNC_POD), *arguments], env=environment, check=True)
    namespaces = json.loads((bundle / "config.json").read_text())["linux"]["namespaces"]
    assert seen.read_text().splitlines() == arguments, "runc gets what it was given"
    return arguments, {entry["type"]: entry.get("path") for entry in namespaces}


@pytest.mark.parametrize("flag", ["--bundle", "-b"])
def test_a_container_joins_its_sandboxs_ipc(tmp_path: Path, flag: str) -> None:
    _, namespaces = call(tmp_path, {"kubelab/ipc": JOINED}, "--root", "/run/x", "create", flag, "BUNDLE", "id")
    assert namespaces == {"pid": None, "ipc": JOINED, "mount": None}


def test_other_containers_keep_their_own(tmp_path: Path) -> None:
    _, namespaces = call(tmp_path, {"other": "x"}, "create", "--bundle", "BUNDLE", "id")
    assert namespaces["ipc"] is None


@pytest.mark.parametrize("value", ["/etc/passwd", "/proc/1/ns/net", "/proc/self/ns/ipc", 'x","path":"/y', "#e id#"])
def test_nothing_but_a_processs_ipc_namespace_is_joined(tmp_path: Path, value: str) -> None:
    _, namespaces = call(tmp_path, {"kubelab/ipc": value}, "create", "--bundle", "BUNDLE", "id")
    assert namespaces["ipc"] is None


def test_a_users_environment_has_no_say(tmp_path: Path) -> None:
    env = (f'A="kubelab/ipc":"{JOINED}"',)
    _, namespaces = call(tmp_path, {}, "create", "--bundle", "BUNDLE", "id", env=env)
    assert namespaces["ipc"] is None


def test_other_commands_pass_through(tmp_path: Path) -> None:
    arguments, namespaces = call(tmp_path, {"kubelab/ipc": JOINED}, "kill", "id", "9")
    assert arguments == ["kill", "id", "9"]
    assert namespaces["ipc"] is None
