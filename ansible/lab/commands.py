"""What each command of the lab does. A command takes the lab's name and a way to ask for its options."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lab import artifacts, base, choose, facts, health, leaks, locks, paths, push, state, testing, up, vagrant, vmtest
from lab.console import Steps
from lab.facts import Lab
from lab.hosts import Hosts
from lab.provider import Provider
from lab.run import LabError, shown

Options = Callable[[str], str]
Command = Callable[[str, Options], int]


@contextmanager
def alone(name: str) -> Iterator[None]:
    """Let one command at a time change a lab."""
    paths.LABS.mkdir(exist_ok=True)
    paths.LABS.chmod(0o700)
    with artifacts.locked(paths.LABS / f".{name}.lock"):
        yield


def standing(name: str) -> tuple[Lab, Provider]:
    """The lab and its provider. Raises: LabError when there is none."""
    return state.load(name), choose.standing(name)


def nodes_of(lab: Lab, option: Options) -> list[str]:
    """The nodes that NODE= names. Raises: LabError, FactsError."""
    names = [lab.node(word.strip()).name for word in option("NODE").split(",") if word.strip()]
    if not names:
        there = ", ".join(node.name for node in lab.nodes)
        raise LabError(f"say which: NODE=worker-1 or NODE=worker-1,worker-2 (there are {there})")
    return names


def show_help(name: str, option: Options) -> int:
    """The menu, from the Makefile's own comments."""
    del option
    print("make TARGET [OPTION=value …]; every target takes LAB=name (labs stand side by side)\n")
    for row in (paths.REPO / "Makefile").read_text().splitlines():
        if match := re.match(r"^([a-z-]+):.*?## (.*)$", row):
            print(f"  {match[1]:<10} {match[2]}")
    print(f'\nfirst steps: make up && eval "$(make env)" && kubectl get nodes     (lab: {name})')
    return 0


def bring_up(name: str, option: Options) -> int:
    """Machines, then what runs on them."""
    steps = Steps()
    _here_it_is(_up(name, option, steps), steps)
    return 0


def _up(name: str, option: Options, steps: Steps) -> Lab:
    record, provider = choose.choose(name, option, steps)
    with alone(name):
        lab, inventory_path = up.machines(name, record, provider, steps)
        up.provision(lab, provider.name, inventory_path, steps, always=False)
        up.finish(lab, provider, steps)
    return lab


def provision(name: str, option: Options) -> int:
    """site.yml again."""
    del option
    lab, provider = standing(name)
    steps = Steps()
    with alone(name):
        path = up.inventory_path(lab, provider)
        if isinstance(provider, Hosts) and provider.read() != state.listing(name):
            raise LabError(f"{path} has changed since `make up`: run that, it looks at all of it")
        up.provision(lab, provider.name, path, steps, always=True)
        up.finish(lab, provider, steps)
    return 0


def _here_it_is(lab: Lab, steps: Steps) -> None:
    suffix = "" if lab.name == state.table().default_lab else f" LAB={lab.name}"
    steps.say(
        f"\nHere is your cluster, after {steps.total_s():.1f} s: {lab.master.name} and {len(lab.workers)} workers, "
        "all Ready.\n"
        f'  eval "$(make env{suffix})"        # KUBECONFIG and PATH for this shell\n'
        "  kubectl get nodes -o wide\n"
        "  kubectl run hello --image=web && kubectl get pods -o wide --watch"
    )


def bring_down(name: str, option: Options) -> int:
    """Everything of the lab away, whatever state it is in."""
    del option
    steps = Steps()
    _down(name, steps)
    steps.say(f"lab {name} is gone after {steps.total_s():.1f} s")
    return 0


def _down(name: str, steps: Steps) -> None:
    record = state.record(name)
    with alone(name):
        everything = facts.lab(state.table(), name, record.slot if record else 0, state.table().max_workers)
        choose.standing(name).down(everything, steps)
        shutil.rmtree(paths.lab_dir(name), ignore_errors=True)
        (paths.LABS / f".{name}.lock").unlink(missing_ok=True)
    left = leaks.of(name)
    if left:
        raise LabError("left on the host:\n" + "\n".join(f"  {item}" for item in left))


def power_off(name: str, option: Options) -> int:
    """Cut the power."""
    lab, provider = standing(name)
    nodes = nodes_of(lab, option)
    with Steps().step(f"power cut: {', '.join(nodes)}"):
        provider.power_off(lab, nodes)
    return 0


def power_on(name: str, option: Options) -> int:
    """Boot."""
    lab, provider = standing(name)
    nodes = nodes_of(lab, option)
    with Steps().step(f"power on: {', '.join(nodes)}"):
        provider.power_on(lab, nodes)
    return 0


def cut(name: str, option: Options) -> int:
    """Cut from the network."""
    lab, provider = standing(name)
    nodes = nodes_of(lab, option)
    direction = option("DIR") or "both"
    if direction not in ("in", "out", "both"):
        raise LabError(f"DIR={direction}: in, out or both")
    with Steps().step(f"network cut ({direction}): {', '.join(nodes)}"):
        provider.cut(lab, nodes, direction)
    return 0


def heal(name: str, option: Options) -> int:
    """Join to the network again."""
    lab, provider = standing(name)
    nodes = nodes_of(lab, option)
    with Steps().step(f"network healed: {', '.join(nodes)}"):
        provider.heal(lab, nodes)
    return 0


def ssh(name: str, option: Options) -> int:
    """A shell, or one command, on a machine."""
    lab, provider = standing(name)
    return shown(provider.shell(lab, nodes_of(lab, option)[0], option("CMD")))


def client(name: str, option: Options) -> int:
    """A command as the public would run it."""
    lab, provider = standing(name)
    if not option("CMD"):
        raise LabError("say what: CMD='curl http://…'")
    return provider.client(lab, option("CMD"))


def push_image(name: str, option: Options) -> int:
    """A person's image into the lab's registry."""
    lab, provider = standing(name)
    found = push.person_image(lab, provider, option("IMAGE"), option("NAME"), Steps())
    print(f"pods find it as {found.removeprefix('library/')}")
    return 0


def status(name: str, option: Options) -> int:
    """The lab in a few lines."""
    del option
    lab, provider = standing(name)
    print(f"lab {name} ({provider.name}): nodes {lab.node_range}, pods {lab.pod_range}, services {lab.service_range}")
    print(f"API https://127.0.0.1:{lab.forward_port}, public addresses {lab.pool}")
    machines = provider.states(lab)
    try:
        nodes = health.node_states(name)
        silent = ""
    except LabError as error:
        nodes, silent = {}, f"the API does not answer: {error}"
    print(f"\n  {'NAME':<10} {'ADDRESS':<15} {'MACHINE':<11} NODE")
    for node in lab.nodes:
        ready = {"True": "Ready", "False": "NotReady"}.get(nodes.get(node.name, "-"), nodes.get(node.name, "-"))
        print(f"  {node.name:<10} {node.address:<15} {machines[node.name]:<11} {ready}")
    if silent:
        print(f"\n{silent}")
    return 0


def env(name: str, option: Options) -> int:
    """Lines for the person's shell."""
    del option
    state.load(name)
    folder = paths.lab_dir(name)
    print(f"export KUBECONFIG='{folder / 'kubeconfig'}'")
    print(f"export PATH='{folder / 'bin'}':\"$PATH\"")
    return 0


def bench(name: str, option: Options) -> int:
    """Measure the standing lab, or the parts of it that ARGS names."""
    standing(name)
    environment = {**base.ansible_environment(), "LAB": name}
    return shown(
        [paths.venv_bin("python"), "-m", "tests.bench", *shlex.split(option("ARGS"))], env=environment, cwd=paths.REPO
    )


def list_leaks(name: str, option: Options) -> int:
    """What of the lab is on the host: nothing, after `down`."""
    del option
    found = leaks.of(name)
    print("\n".join(found) if found else f"nothing of lab {name} is on this host")
    return 1 if found else 0


def nodes(name: str, option: Options) -> int:
    """The node table of the lab as it stands or would be made, for the Vagrantfile."""
    wanted = choose.wanted_record(name, option, state.record(name), state.slots())
    print(json.dumps(vagrant.document(facts.lab(state.table(), name, wanted.slot, wanted.workers)), indent=1))
    return 0


def vm_test(name: str, option: Options) -> int:
    """The Vagrantfile, proved."""
    del name, option
    steps = Steps()
    return vmtest.prove(steps, lambda: _up(vmtest.LAB, vmtest.option, steps), lambda: _down(vmtest.LAB, steps))


def test(name: str, option: Options) -> int:
    """Everything, with a lab of its own."""
    del name
    steps = Steps()
    choose.choose(testing.LAB, _local, steps)
    return testing.everything(
        option("ARGS"), steps, lambda: _up(testing.LAB, _local, steps), lambda: _down(testing.LAB, steps)
    )


def lint(name: str, option: Options) -> int:
    """The checks that need no lab."""
    del name, option
    steps = Steps()
    up.prepare_host(steps)
    return 1 if testing.lint(steps) else 0


def lock(name: str, option: Options) -> int:
    """Renew the locks."""
    del name, option
    locks.renew(Steps())
    return 0


def _local(name: str) -> str:
    """The options of the lab that `make test` makes: of the usual size, and never virtual machines."""
    return "local" if name == "PROVIDER" else ""


COMMANDS: dict[str, Command] = {
    "help": show_help,
    "up": bring_up,
    "provision": provision,
    "down": bring_down,
    "status": status,
    "env": env,
    "ssh": ssh,
    "off": power_off,
    "on": power_on,
    "cut": cut,
    "heal": heal,
    "client": client,
    "push": push_image,
    "nodes": nodes,
    "test": test,
    "vm-test": vm_test,
    "bench": bench,
    "lint": lint,
    "lock": lock,
    "leaks": list_leaks,
}
