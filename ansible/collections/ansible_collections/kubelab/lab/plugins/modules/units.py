#!/usr/bin/python
# Copyright: the kubelab authors. Licensed under the Apache License 2.0.
"""Units that run, are enabled, and are not older than what they read: `kubelab.lab.units`.

What always holds: after success each unit runs with what lies on the disk now, however earlier runs ended. (A handler
would be lost with the run that notified it.) Failure says what the unit itself said last.
"""

from __future__ import annotations

import glob
import os
import socket
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
---
module: units
short_description: Units that run with what is on the disk
description:
  - Enables and starts systemd units, and restarts those whose main process is older than a file that they read or
    than their own unit file.
  - All are started or restarted in one transaction, which is over when each has said that it is ready
    (C(Type=notify)).
version_added: 0.1.0
author: The kubelab authors (@kubelab)
attributes:
  check_mode: {support: full, description: Says what would be done.}
options:
  units:
    description:
      - C(name), and optionally C(reads) (paths or patterns of what it reads at its start) and C(answers)
        (C(address:port) that must accept a connection before the task is over).
    type: list
    elements: dict
    required: true
  patience_s:
    description: How long to wait for C(answers), in seconds.
    type: int
    default: 20
"""

EXAMPLES = r"""
- name: Run the API server
  kubelab.lab.units:
    units:
      - {name: kubelab-apiserver.service, reads: [/etc/kubelab/apiserver.toml, /etc/kubelab/pki/*]}
"""

RETURN = r"""
done:
  description: What was done to which unit.
  returned: always
  type: list
  elements: str
"""

PROPERTIES = "Id,LoadState,UnitFileState,ActiveState,NeedDaemonReload,ExecMainStartTimestamp,FragmentPath,DropInPaths"
STAMP = "%a %Y-%m-%d %H:%M:%S.%f UTC"


class Problem(Exception):
    """A unit that doesn't run, in words for the person who started the playbook."""


@dataclass(frozen=True)
class State:
    """What systemd says of a unit.

    `started_s` is the Unix time at which its main process was started, 0 if never; `files` are its own.
    """

    loaded: bool
    enabled: bool
    active: bool
    stale: bool
    started_s: float
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What is to be done, by unit name."""

    reload: bool
    enable: tuple[str, ...]
    start: tuple[str, ...]
    restart: tuple[str, ...]


def unix_time(stamp: str) -> float:
    """systemd's way to write a moment, as Unix time; 0 for none."""
    try:
        return datetime.strptime(stamp, STAMP).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return 0.0


def parse(text: str) -> dict[str, State]:
    """The output of `systemctl show`, one block a unit."""
    states = {}
    for block in text.strip().split("\n\n"):
        values = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        paths = [values.get("FragmentPath", ""), *values.get("DropInPaths", "").split()]
        states[values["Id"]] = State(
            loaded=values["LoadState"] == "loaded",
            enabled=values["UnitFileState"] in ("enabled", "static", "alias", "indirect", "generated"),
            active=values["ActiveState"] in ("active", "reloading"),
            stale=values["NeedDaemonReload"] == "yes",
            started_s=unix_time(values.get("ExecMainStartTimestamp", "")),
            files=tuple(path for path in paths if path),
        )
    return states


def plan(states: dict[str, State], newest_s: dict[str, float]) -> Plan:
    """What brings every unit to run with what it reads. `newest_s`: time of the youngest file that each reads."""
    start, restart = [], []
    for name, state in states.items():
        if not state.active:
            start.append(name)
        elif state.stale or newest_s[name] > state.started_s > 0:
            restart.append(name)
    return Plan(
        reload=any(state.stale or not state.loaded for state in states.values()),
        enable=tuple(name for name, state in states.items() if not state.enabled),
        start=tuple(start),
        restart=tuple(restart),
    )


def newest(patterns: list[str]) -> float:
    """Modification time of the youngest file that the patterns match, 0 when none does."""
    return max((os.stat(path).st_mtime for pattern in patterns for path in glob.glob(pattern)), default=0.0)


def wait_for(address: str, patience_s: float) -> None:
    """Return when a connection to `host:port` is accepted. Raises: Problem after `patience_s`."""
    host, _, port = address.rpartition(":")
    deadline = time.monotonic() + patience_s
    while True:
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
            return
        except OSError as error:
            if time.monotonic() > deadline:
                raise Problem(f"nothing answers at {address}: {error}") from error
            time.sleep(0.05)


class Systemd:
    """systemctl and journalctl."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module

    def show(self, names: list[str]) -> dict[str, State]:
        command = ["systemctl", "show", "--timestamp=us+utc", f"--property={PROPERTIES}", "--", *names]
        _, out, _ = self.module.run_command(command, check_rc=True)
        return parse(out)

    def call(self, verb: str, names: tuple[str, ...]) -> None:
        """Raises: Problem with the last words of the units that are to blame."""
        code, _, err = self.module.run_command(["systemctl", verb, *(["--", *names] if names else [])])
        if code != 0:
            words = [line for line in err.strip().splitlines() if not line.startswith("See ")]
            raise Problem(f"systemctl {verb}: " + "\n".join([*words, self.last_words(names)]))

    def last_words(self, names: tuple[str, ...]) -> str:
        states = self.show(list(names)) if names else {}
        words = []
        for name in (name for name, state in states.items() if not state.active):
            _, out, _ = self.module.run_command(["journalctl", "--no-pager", "-n", "20", "-o", "cat", "-u", name])
            words.append(f"{name} said last:\n{out.rstrip()}")
        return "\n".join(words)


def carry_out(todo: Plan, systemd: Systemd) -> None:
    if todo.reload:
        systemd.call("daemon-reload", ())
    if todo.enable:
        systemd.call("enable", todo.enable)
    if todo.start:
        systemd.call("start", todo.start)
    if todo.restart:
        systemd.call("restart", todo.restart)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "units": {"type": "list", "elements": "dict", "required": True},
            "patience_s": {"type": "int", "default": 20},
        },
        supports_check_mode=True,
    )
    wanted: list[dict[str, Any]] = module.params["units"]
    systemd = Systemd(module)
    states = systemd.show([unit["name"] for unit in wanted])
    if missing := {unit["name"] for unit in wanted} - set(states):
        module.fail_json(msg=f"give units by their full, own names: {', '.join(sorted(missing))}")
    reads = {unit["name"]: [*(unit.get("reads") or []), *states[unit["name"]].files] for unit in wanted}
    todo = plan(states, {name: newest(patterns) for name, patterns in reads.items()})
    done = [f"{verb} {name}" for verb in ("enable", "start", "restart") for name in getattr(todo, verb)]
    try:
        if not module.check_mode:
            carry_out(todo, systemd)
            for unit in wanted:
                if unit.get("answers"):
                    wait_for(unit["answers"], module.params["patience_s"])
    except Problem as problem:
        module.fail_json(msg=str(problem), done=done)
    module.exit_json(changed=bool(done), done=done)


if __name__ == "__main__":
    main()
