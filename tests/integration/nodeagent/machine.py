"""A machine for one test run: a network namespace with a private containerd, nerdctl and a few images.

Everything lies in one temporary folder and one namespace, so that `stop` can remove all of it. The cgroups are made
below the caller's own, so that its limits hold for the containers, too.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path

POD_CIDR = "10.244.77.0/24"
GATEWAY = "10.244.77.1"
IMAGES = ("docker.io/library/pause:latest", "docker.io/library/busybox:latest")

_CONTAINERD = """version = 2
root = "{root}/containerd"
state = "{root}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt",
  "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper"]
[grpc]
  address = "{root}/containerd.sock"
[ttrpc]
  address = "{root}/containerd.sock.ttrpc"
"""
_NERDCTL = """address = "{root}/containerd.sock"
namespace = "k8s.io"
data_root = "{root}/nerdctl"
cni_path = "/usr/lib/cni"
cni_netconfpath = "{root}/cni"
hosts_dir = ["{root}/certs.d"]
cgroup_manager = "cgroupfs"
"""


@dataclass
class Machine:
    """A running machine: where its things are and what to pass to the agent."""

    root: Path
    namespace: str
    containerd: subprocess.Popen[bytes]

    @property
    def nerdctl(self) -> tuple[str, ...]:
        """The command that the adapter runs, entered into the machine."""
        return (*self._enter(), "env", f"NERDCTL_TOML={self.root}/nerdctl.toml", find_nerdctl())

    @property
    def cgroup_parent(self) -> str:
        return f"{own_cgroup()}/{self.namespace}/kubelab".replace("//", "/")

    def _enter(self) -> tuple[str, ...]:
        return ("nsenter", f"--net=/run/netns/{self.namespace}")

    def run(self, *command: str) -> str:
        """Run a command in the machine's network."""
        return subprocess.run((*self._enter(), *command), check=True, capture_output=True, text=True).stdout

    def ctl(self, *args: str) -> str:
        """Run nerdctl there."""
        return subprocess.run((*self.nerdctl, *args), check=True, capture_output=True, text=True).stdout


def find_nerdctl() -> str:
    """The nerdctl on the PATH, where `make test` puts the one that it built.

    Raises: FileNotFoundError, saying what to do.
    """
    found = shutil.which("nerdctl")
    if found is None:
        raise FileNotFoundError(
            "nerdctl is not on the PATH: `make test` builds it and puts it there; for a run by hand put the "
            "folder of the one that `make up` built there (nerdctl-… in the cache folder of the lab program)"
        )
    return found


def own_cgroup() -> str:
    """The cgroup of this process that limits its memory (v1), or its only one (v2)."""
    paths = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        paths[controllers] = path
    return next((path for names, path in paths.items() if "memory" in names.split(",")), paths.get("", "/"))


def start(root: Path) -> Machine:
    """Start a machine below `root`; `stop` must be called afterwards."""
    namespace = f"klh7-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", namespace], check=True)
    prefix = ["nsenter", f"--net=/run/netns/{namespace}"]
    for command in (
        "ip link set lo up",
        "ip link add kubelab0 address 02:77:00:00:00:01 type bridge",
        f"ip addr add {GATEWAY}/24 dev kubelab0",
        "ip link set kubelab0 up",
    ):
        subprocess.run([*prefix, *command.split()], check=True)
    for folder in ("cni", "certs.d"):
        (root / folder).mkdir(parents=True)
    (root / "config.toml").write_text(_CONTAINERD.format(root=root))
    (root / "nerdctl.toml").write_text(_NERDCTL.format(root=root))
    (root / "cni/10-kubelab.conflist").write_text(json.dumps(_cni(root)))
    machine = Machine(root, namespace, _start_containerd(root, namespace))
    try:
        _wait_for(root / "containerd.sock")
        for name, tree in _image_trees(root).items():
            archive = root / "image.tar"
            write_image(archive, name, tree)
            machine.ctl("load", "-i", str(archive))
    except BaseException:
        stop(machine)
        raise
    return machine


def restart_containerd(machine: Machine) -> None:
    """kill -9, and start it again as systemd would."""
    machine.containerd.kill()
    machine.containerd.wait()
    (machine.root / "containerd.sock").unlink(missing_ok=True)
    machine.containerd = _start_containerd(machine.root, machine.namespace)
    _wait_for(machine.root / "containerd.sock")


def _start_containerd(root: Path, namespace: str) -> subprocess.Popen[bytes]:
    with (root / "containerd.log").open("ab") as log:
        return subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{namespace}", "containerd", "--config", str(root / "config.toml")],
            stdout=log,
            stderr=log,
        )


def stop(machine: Machine) -> None:
    """Remove every container, process, mount, cgroup and the namespace."""
    ids = subprocess.run((*machine.nerdctl, "ps", "-aq"), check=False, capture_output=True, text=True).stdout.split()
    if ids:
        subprocess.run((*machine.nerdctl, "rm", "-f", *ids), check=False, capture_output=True)
    machine.containerd.send_signal(signal.SIGTERM)
    try:
        machine.containerd.wait(10)
    except subprocess.TimeoutExpired:
        machine.containerd.kill()
        machine.containerd.wait()
    for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
        target = line.split()[1]
        if target.startswith(str(machine.root)):
            subprocess.run(["umount", "-l", target], check=False)
    subprocess.run(["ip", "netns", "del", machine.namespace], check=False)
    top = machine.cgroup_parent.removesuffix("/kubelab").lstrip("/")
    for controller in (Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").iterdir()):
        for folder, _, _ in os.walk(controller / top, topdown=False):
            Path(folder).rmdir()


def write_image(archive: Path, name: str, tree: Path) -> None:
    """A docker archive of one layer made from a folder."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        tar.add(tree, arcname=".")
    digest = hashlib.sha256(layer.getvalue()).hexdigest()
    config = {"Env": ["PATH=/bin"], "Cmd": ["/bin/sh"]}
    if (tree / "catatonit").exists():
        config = {"Entrypoint": ["/catatonit", "-P"]}
    body = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
            "history": [{"created_by": "kubelab test"}],
        }
    ).encode()
    hashed = hashlib.sha256(body).hexdigest()
    manifest = [{"Config": f"{hashed}.json", "RepoTags": [name], "Layers": [f"{digest}/layer.tar"]}]
    with tarfile.open(archive, "w") as tar:
        for path, data in (
            (f"{hashed}.json", body),
            (f"{digest}/layer.tar", layer.getvalue()),
            ("manifest.json", json.dumps(manifest).encode()),
        ):
            info = tarfile.TarInfo(path)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def _image_trees(root: Path) -> dict[str, Path]:
    """Root file systems from Debian packages: static busybox, and catatonit as the pause process."""
    debs = root / "debs"
    debs.mkdir()
    subprocess.run(["apt-get", "download", "busybox-static", "catatonit"], cwd=debs, check=True, capture_output=True)
    for deb in debs.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", str(deb), str(debs / deb.name.split("_")[0])], check=True)
    busybox = root / "images/busybox"
    for folder in ("bin", "tmp", "proc", "sys", "dev", "etc"):
        (busybox / folder).mkdir(parents=True)
    binary = next(p for p in (debs / "busybox-static").rglob("busybox") if p.is_file() and os.access(p, os.X_OK))
    shutil.copy(binary, busybox / "bin/busybox")
    names = subprocess.run([binary, "--list"], check=True, capture_output=True, text=True).stdout.split()
    for name in names:
        if name != "busybox":
            (busybox / "bin" / name).symlink_to("busybox")
    pause = root / "images/pause"
    pause.mkdir(parents=True)
    found = next(p for p in (debs / "catatonit").rglob("catatonit") if p.is_file() and os.access(p, os.X_OK))
    shutil.copy(found, pause / "catatonit")
    return dict(zip(IMAGES, (pause, busybox), strict=True))


def _cni(root: Path) -> dict[str, object]:
    ipam = {"type": "host-local", "dataDir": f"{root}/ipam", "ranges": [[{"subnet": POD_CIDR, "gateway": GATEWAY}]]}
    bridge = {
        "type": "bridge",
        "bridge": "kubelab0",
        "hairpinMode": True,
        "isGateway": False,
        "ipMasq": False,
        "ipam": ipam,
    }
    return {"cniVersion": "1.0.0", "name": "kubelab", "plugins": [bridge]}


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + 15
    while not path.exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{path} did not appear")
        time.sleep(0.05)
