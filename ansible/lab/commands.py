"""What each command of the lab does, and the options that it knows."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from lab import artifacts, choose, facts, leaks, paths, state, up
from lab.console import Steps
from lab.facts import Lab
from lab.provider import Provider
from lab.run import LabError, shown

Values = Mapping[str, str]


@dataclass(frozen=True)
class Command:
    """One command: its options, and what runs it. `run` takes the lab's name and the options' values."""

    options: tuple[str, ...]
    run: Callable[[str, Values], int]


@contextmanager
def alone(name: str) -> Iterator[None]:
    """Let one command at a time change a lab."""
    paths.LABS.mkdir(exist_ok=True)
    paths.LABS.chmod(0o700)
    with artifacts.locked(paths.LABS / f".{name}.lock"):
        yield


def bring_up(name: str, values: Values) -> int:
    """Machines, then what runs on them."""
    steps = Steps()
    record, provider = choose.choose(name, values, steps)
    with alone(name):
        lab, inventory_path = up.machines(name, record, provider, steps)
        up.provision(lab, provider.name, inventory_path, steps, always=bool(values.get("always")))
    steps.say(f"lab {name} is up after {steps.total_s():.1f} s")
    return 0


def bring_down(name: str, values: Values) -> int:
    """Everything of the lab away, whatever state it is in."""
    del values
    steps = Steps()
    record = state.record(name)
    with alone(name):
        provider = choose.standing(name)
        everything = facts.lab(state.table(), name, record.slot if record else 0, state.table().max_workers)
        provider.down(everything, steps)
        shutil.rmtree(paths.lab_dir(name), ignore_errors=True)
    left = leaks.of(name)
    if left:
        raise LabError("left on the host:\n" + "\n".join(f"  {item}" for item in left))
    (paths.LABS / f".{name}.lock").unlink(missing_ok=True)
    steps.say(f"lab {name} is gone after {steps.total_s():.1f} s")
    return 0


def standing(name: str) -> tuple[Lab, Provider]:
    """The lab and its provider. Raises: LabError when there is none."""
    return state.load(name), choose.standing(name)


def nodes_of(lab: Lab, values: Values) -> list[str]:
    """The nodes that NODE= names. Raises: LabError, FactsError."""
    names = [lab.node(word.strip()).name for word in values["node"].split(",") if word.strip()]
    if not names:
        raise LabError(f"say which: NODE=worker-1 or NODE=worker-1,worker-2 (there are {_names(lab)})")
    return names


def _names(lab: Lab) -> str:
    return ", ".join(node.name for node in lab.nodes)


def power_off(name: str, values: Values) -> int:
    """Cut the power."""
    lab, provider = standing(name)
    nodes = nodes_of(lab, values)
    steps = Steps()
    with steps.step(f"power cut: {', '.join(nodes)}"):
        provider.power_off(lab, nodes)
    return 0


def power_on(name: str, values: Values) -> int:
    """Boot."""
    lab, provider = standing(name)
    nodes = nodes_of(lab, values)
    steps = Steps()
    with steps.step(f"power on: {', '.join(nodes)}"):
        provider.power_on(lab, nodes)
    return 0


def cut(name: str, values: Values) -> int:
    """Cut from the network."""
    lab, provider = standing(name)
    nodes = nodes_of(lab, values)
    direction = values["dir"] or "both"
    if direction not in ("in", "out", "both"):
        raise LabError(f"DIR={direction}: in, out or both")
    steps = Steps()
    with steps.step(f"network cut ({direction}): {', '.join(nodes)}"):
        provider.cut(lab, nodes, direction)
    return 0


def heal(name: str, values: Values) -> int:
    """Join to the network again."""
    lab, provider = standing(name)
    nodes = nodes_of(lab, values)
    steps = Steps()
    with steps.step(f"network healed: {', '.join(nodes)}"):
        provider.heal(lab, nodes)
    return 0


def ssh(name: str, values: Values) -> int:
    """A shell, or one command, on a machine."""
    lab, provider = standing(name)
    return shown(provider.shell(lab, nodes_of(lab, values)[0], values["cmd"]))


def client(name: str, values: Values) -> int:
    """A command as the public would run it."""
    lab, provider = standing(name)
    if not values["cmd"]:
        raise LabError("say what: CMD='curl http://…'")
    return provider.client(lab, values["cmd"])


def status(name: str, values: Values) -> int:
    """The lab in a few lines."""
    del values
    lab, provider = standing(name)
    print(f"lab {name} ({provider.name}), nodes {lab.node_range}, pods {lab.pod_range}, services {lab.service_range}")
    states = provider.states(lab)
    for node in lab.nodes:
        print(f"  {node.name:<10} {node.address:<12} {states[node.name]}")
    return 0


def env(name: str, values: Values) -> int:
    """Lines for the person's shell."""
    del values
    state.load(name)
    folder = paths.lab_dir(name)
    print(f"export KUBECONFIG={folder / 'kubeconfig'}")
    print(f"export PATH={folder / 'bin'}:$PATH")
    return 0


def list_leaks(name: str, values: Values) -> int:
    """What of the lab is on the host: nothing, after `down`."""
    del values
    found = leaks.of(name)
    print("\n".join(found) if found else f"nothing of lab {name} is on this host")
    return 1 if found else 0


COMMANDS = {
    "up": Command(("provider", "workers", "inventory", "always"), bring_up),
    "down": Command((), bring_down),
    "status": Command((), status),
    "env": Command((), env),
    "ssh": Command(("node", "cmd"), ssh),
    "off": Command(("node",), power_off),
    "on": Command(("node",), power_on),
    "cut": Command(("node", "dir"), cut),
    "heal": Command(("node",), heal),
    "client": Command(("cmd",), client),
    "leaks": Command((), list_leaks),
}
