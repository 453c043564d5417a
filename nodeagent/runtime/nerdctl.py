"""The runtime through nerdctl: builds argument lists, reads JSON, and knows nerdctl's ways.

What must hold: no value from a pod is ever read as an option (images and commands come after `--`, every other value
is the argument of its option), labels and environment go through unchanged, and a failed start leaves nothing behind.
Follows nerdctl 1.7.7; why it is that version stands in docs/decisions.
"""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from nodeagent.runtime import parse, process, settle
from nodeagent.runtime.base import (
    LABEL_POD_UID,
    Container,
    ContainerSpec,
    EventKind,
    ExecResult,
    Image,
    Limits,
    RuntimeEvent,
    RuntimeFailure,
    SandboxSpec,
)

_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]{0,511}")
_GONE = re.compile(r"no such container|not found|not running|already finished|no such process", re.IGNORECASE)
_EXEC_CODE = re.compile(r'exec failed with exit code (\d+)"?\s*$')
_FATAL = re.compile(r'level=fatal msg="((?:[^"\\]|\\.)*)"')
_TOTAL = re.compile(rb"total:\s*([0-9.]+ ?[KMGT]?i?B?)")
_OUTPUT_MAX = 10 * 1024

RUN_TIMEOUT_S = 120.0
CALL_TIMEOUT_S = 30.0
PULL_TIMEOUT_S = 1800.0


@dataclass(frozen=True)
class NerdctlConfig:
    """How to call nerdctl and what every container gets."""

    command: tuple[str, ...]
    runtime: str
    network: str
    log_max_size: str = "10m"
    log_max_files: int = 3
    oom_score_min: int = -1000
    """The lowest oom_score_adj that the machine lets containers have."""
    stores: tuple[str, ...] = ()
    """Where images and containers lie: brought to the disk after each pull and start."""


def valid_image(name: str) -> bool:
    """Whether `name` can be an image reference, and never an option."""
    return _IMAGE.fullmatch(name) is not None


class Nerdctl:
    """The `Runtime` of a real node. Thread-safe: each call is a process of its own."""

    def __init__(self, config: NerdctlConfig) -> None:
        self._config = config
        self._settler = settle.Settler(config.stores)
        self._events: subprocess.Popen[bytes] | None = None
        self._events_stopped = threading.Event()

    # --- containers ----------------------------------------------------------------------------------------------

    def containers(self) -> list[Container]:
        ids = self._call("ps", "-aq", "--no-trunc", "--filter", f"label={LABEL_POD_UID}").split()
        if not ids:
            return []
        done = process.run([*self._config.command, "container", "inspect", *ids], CALL_TIMEOUT_S)
        if done.exit_code and not done.stdout.strip():
            raise RuntimeFailure(_reason(done.stderr))
        return parse.containers(done.stdout)

    def run_sandbox(self, spec: SandboxSpec) -> Container:
        # The agent pulls containers' images, and says so in events; the sandbox's comes with the first pod.
        options = ["--pull", "missing", "--hostname", spec.hostname, "--network", self._config.network]
        options += ["--log-driver", "file:///dev/null"]
        options += self._limits(Limits(cpu_shares=2, oom_score_adj=-998))
        for host, address in spec.hosts:
            options += ["--add-host", f"{host}:{address}"]
        if spec.dns is not None:
            options += ["--dns", spec.dns.server]
            options += [word for domain in spec.dns.search for word in ("--dns-search", domain)]
            options += [word for option in spec.dns.options for word in ("--dns-option", option)]
        container_id = self._run(spec.name, spec.image, spec.labels, spec.cgroup_parent, options, ())
        found = parse.containers(self._call("container", "inspect", container_id))
        if not found or not found[0].running or not found[0].ip:
            self.remove([container_id])
            raise RuntimeFailure(f"sandbox {spec.name} got no address or ended at once")
        return found[0]

    def run_container(self, spec: ContainerSpec) -> str:
        sandbox = spec.sandbox
        options = ["--pull", "never", "--network", f"container:{sandbox.id}", "--runtime", self._config.runtime]
        options += ["--label", f"kubelab/ipc=/proc/{sandbox.pid}/ns/ipc"]
        options += ["--log-opt", f"max-size={self._config.log_max_size}"]
        options += ["--log-opt", f"max-file={self._config.log_max_files}"]
        options += self._limits(spec.limits)
        if spec.share_pid:
            options += ["--pid", f"container:{sandbox.id}"]
        if spec.tty:
            options.append("--tty")
        if spec.working_dir:
            options += ["--workdir", spec.working_dir]
        for name, value in (spec.env or {}).items():
            options += ["--env", f"{name}={value}"]
        for mount in spec.mounts:
            options += ["--volume", f"{mount.source}:{mount.target}" + (":ro" if mount.read_only else "")]
        for word in spec.command:
            options += ["--entrypoint", word]
        return self._run(spec.name, spec.image, spec.labels, spec.cgroup_parent, options, spec.args)

    def _limits(self, limits: Limits) -> list[str]:
        return limit_options(replace(limits, oom_score_adj=max(limits.oom_score_adj, self._config.oom_score_min)))

    def _run(
        self,
        name: str,
        image: str,
        labels: Mapping[str, str],
        cgroup_parent: str,
        options: Sequence[str],
        args: Sequence[str],
    ) -> str:
        if not valid_image(image):
            raise RuntimeFailure(f"{image!r} is not an image name")
        argv = ["run", "--detach", "--name", name, "--cgroup-parent", cgroup_parent]
        for key, value in labels.items():
            argv += ["--label", f"{key}={value}"]
        argv += [*options, "--", image, *args]
        if any("\0" in word for word in argv):
            raise RuntimeFailure("a NUL byte can't be passed to a container")
        done = process.run([*self._config.command, *argv], RUN_TIMEOUT_S)
        if done.exit_code:
            if "is already used by" not in done.stderr:
                process.run([*self._config.command, "rm", "--force", name], CALL_TIMEOUT_S)
            raise RuntimeFailure(_reason(done.stderr))
        self._settler.soon()
        return done.stdout.strip().splitlines()[-1]

    def kill(self, container_id: str, signal: str) -> None:
        self._call("kill", "--signal", signal, container_id, gone_is_fine=True)

    def remove(self, container_ids: Sequence[str]) -> None:
        if container_ids:
            self._call("rm", "--force", *container_ids, gone_is_fine=True)

    def exec(self, container_id: str, command: Sequence[str], timeout_s: float) -> ExecResult:
        argv = [*self._config.command, "exec", container_id, *command]
        try:
            done = process.run(argv, timeout_s)
        except RuntimeFailure as failure:
            return ExecResult(-1, str(failure), timed_out=True)
        code = _EXEC_CODE.search(done.stderr)
        errors = _EXEC_CODE.sub("", done.stderr) if code else done.stderr
        if code:
            errors = "\n".join(line for line in errors.splitlines() if "level=fatal" not in line)
        output = (done.stdout + errors).strip()[:_OUTPUT_MAX]
        return ExecResult(int(code.group(1)) if code else done.exit_code, output)

    def log_path(self, container_id: str) -> str:
        found = parse.containers(self._call("container", "inspect", container_id))
        return found[0].log_path if found else ""

    # --- images --------------------------------------------------------------------------------------------------

    def images(self) -> list[Image]:
        return parse.images(self._call("images", "--no-trunc", "--format", "{{json .}}"))

    def pull(self, image: str, progress: Callable[[str], None]) -> None:
        if not valid_image(image):
            raise RuntimeFailure(f"{image!r} is not an image name")
        child = process.stream([*self._config.command, "pull", "--", image])
        watchdog = threading.Timer(PULL_TIMEOUT_S, child.kill)
        watchdog.daemon = True
        watchdog.start()
        tail: list[bytes] = []
        try:
            with child:
                for line in child.stdout or ():
                    total = _TOTAL.search(line)
                    if total:
                        progress(total.group(1).decode().strip())
                    elif b"level=" in line:
                        tail = [*tail[-20:], line]
        finally:
            watchdog.cancel()
        if child.returncode:
            raise RuntimeFailure(_reason(b"".join(tail).decode(errors="replace")))
        self._settler.soon()

    # --- the rest ------------------------------------------------------------------------------------------------

    def events(self) -> Iterator[RuntimeEvent]:
        if self._events_stopped.is_set():
            return
        with process.stream([*self._config.command, "events", "--format", "{{json .}}"]) as child:
            self._events = child
            try:
                yield RuntimeEvent(EventKind.CONNECTED)
                for line in child.stdout or ():
                    yield from parse.events(line)
            finally:
                self._events = None
                child.kill()

    def stop_events(self) -> None:
        self._events_stopped.set()
        child = self._events
        if child is not None:
            child.kill()

    def version(self) -> str:
        answer = msgspec.json.decode(self._call("version", "--format", "{{json .}}"))
        for component in (answer.get("Server") or {}).get("Components") or ():
            if component.get("Name") == "containerd":
                return f"containerd://{component.get('Version', '').lstrip('v')}"
        raise RuntimeFailure("containerd did not tell its version")

    def _call(self, *args: str, gone_is_fine: bool = False) -> str:
        done = process.run([*self._config.command, *args], CALL_TIMEOUT_S)
        if done.exit_code and not (gone_is_fine and _GONE.search(done.stderr)):
            raise RuntimeFailure(_reason(done.stderr))
        return done.stdout


def limit_options(limits: Limits) -> list[str]:
    """nerdctl's options for cgroup limits; without swap, so that a memory limit means the same everywhere."""
    options = ["--oom-score-adj", str(limits.oom_score_adj)]
    if limits.cpu_shares is not None:
        options += ["--cpu-shares", str(limits.cpu_shares)]
    if limits.cpu_quota_us is not None:
        options += ["--cpu-period", "100000", "--cpu-quota", str(limits.cpu_quota_us)]
    if limits.memory_bytes is not None:
        options += ["--memory", f"{limits.memory_bytes}b", "--memory-swap", f"{limits.memory_bytes}b"]
    return options


def _reason(stderr: str) -> str:
    """What went wrong, for people: the last fatal message of nerdctl's log lines, else the last line."""
    fatal = _FATAL.findall(stderr)
    if fatal:
        return str(fatal[-1]).replace('\\"', '"').replace("\\n", "\n").strip()
    lines = [line for line in stderr.strip().splitlines() if line.strip()]
    return lines[-1] if lines else "nerdctl failed without a word"
