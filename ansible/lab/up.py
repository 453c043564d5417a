"""`make up`: checks, set-up, machines, site.yml, health, images. Every part may be interrupted and repeated."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from lab import artifacts, base, build, facts, health, inventory, own, paths, push, rootfs, setup, ssh, state
from lab.console import Steps
from lab.facts import Facts, Lab
from lab.hosts import Hosts
from lab.inventory import Artifacts, Variables
from lab.provider import Provider
from lab.run import logged


@dataclass(frozen=True)
class Built:
    """What was built, or found built, on the host."""

    wheelhouse: Path
    wheel: Path
    nerdctl: Path
    base: Path | None


def prepare_host(steps: Steps, *, for_tests: bool = False, for_vms: bool = False) -> None:
    """Debian packages and the virtual environment."""
    tests = setup.TEST_PACKAGES if for_tests else {}
    programs = {**setup.PACKAGES, **tests, **(setup.VM_PACKAGES if for_vms else {})}
    missing = setup.missing_packages(programs) + setup.python_packages()
    if missing:
        with steps.step("Debian packages on the host") as note:
            note.append(" ".join(missing))
            setup.install(missing)
    with steps.step("the host's virtual environment") as note:
        note.append("made" if setup.venv()[1] else "there")


def build_all(facts_: Facts, steps: Steps, with_base: bool) -> Built:
    """Wheels, nerdctl and, for local machines, the base image; two at a time."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        plain = pool.submit(_rootfs, facts_, steps) if with_base else None
        nerdctl = pool.submit(_nerdctl, facts_, steps)
        with steps.step("wheels for the nodes") as note:
            wheelhouse, made = build.wheelhouse()
            wheel, made_own = build.own_wheel()
            note.append("made" if made else "there")
            note.append(f"own wheel {'made' if made_own else 'there'}")
        binary = nerdctl.result()
        root = plain.result() if plain else None
    image = None
    if root is not None:
        with steps.step("base image (package stage)") as note:
            variables = inventory.package_variables(wheelhouse, binary)
            image, made = base.base_image(root, variables)
            note.append("made" if made else "there")
    return Built(wheelhouse, wheel, binary, image)


def _rootfs(facts_: Facts, steps: Steps) -> Path:
    with steps.step("base root file system") as note:
        root, made = rootfs.root_file_system(facts_)
        note.append("made" if made else "there")
    return root


def _nerdctl(facts_: Facts, steps: Steps) -> Path:
    with steps.step(f"nerdctl {facts_.word('versions', 'nerdctl')}") as note:
        binary, made = build.nerdctl(facts_)
        note.append("built" if made else "there")
    return binary


def inventory_path(lab: Lab, provider: Provider) -> Path:
    """Where the lab's inventory is: the person's own file for machines of their own."""
    return provider.inventory if isinstance(provider, Hosts) else paths.lab_dir(lab.name) / "inventory.yml"


def write_inventory(lab: Lab, provider: Provider, built: Built) -> Path:
    """Write the lab's inventory (for a person's own, only what was built for it) and return its path."""
    folder = paths.lab_dir(lab.name)
    for artifact in (built.wheelhouse, built.wheel.parent, built.nerdctl.parent):
        artifacts.claim_instead(artifact, folder)
    made = Artifacts(built.wheelhouse, built.wheel, built.nerdctl, folder)
    connections = provider.connections(lab)
    hosts: dict[str, Variables] = {
        n.name: inventory.node_variables(n, connections[n.name]) for n in lab.nodes if n.name in connections
    }
    variables = inventory.lab_variables(lab, made, provider.name)
    if isinstance(provider, Hosts):
        (folder / "extra.json").write_text(json.dumps(variables | {"lab_dir": str(folder)}, indent=1))
        return provider.inventory
    path = inventory_path(lab, provider)
    path.write_text(inventory.text(inventory.document(hosts, [lab.master.name], variables)))
    path.chmod(0o600)
    return path


def fingerprint(lab: Lab, inventory_file: Path) -> str:
    """The hash of everything that site.yml depends on: the same again means that a run would change nothing."""
    names = ("site.yml", "ansible.cfg", "roles", "collections", "group_vars")
    of_own_machines = [state.listing_path(lab.name), paths.lab_dir(lab.name) / "extra.json"]
    return paths.digest([*(paths.ANSIBLE / name for name in names), inventory_file, *of_own_machines])


def provision(lab: Lab, provider: str, inventory_file: Path, steps: Steps, *, always: bool) -> None:
    """Run site.yml, unless nothing that it depends on changed since it last ended well on this lab."""
    if not (paths.ANSIBLE / "site.yml").exists():
        return
    mark = paths.lab_dir(lab.name) / "provisioned"
    now = fingerprint(lab, inventory_file)
    if not always and mark.exists() and mark.read_text() == now:
        steps.say("  · site.yml: nothing changed since its last run (make provision runs it anyway)")
        return
    mark.unlink(missing_ok=True)
    log = state.log(lab.name, "site")
    command = [paths.venv_bin("ansible-playbook"), "-i", str(inventory_file), "site.yml"]
    if provider == "local":
        # Clones of the base image have the packages already, and no way to any others.
        command.append("--skip-tags=packages")
    if provider == "hosts":
        command += ["-e", f"@{paths.lab_dir(lab.name) / 'extra.json'}"]
    with steps.step("site.yml: software on the machines") as note:
        logged(command, log, env=ssh.ansible_environment(lab.name), cwd=paths.ANSIBLE)
        note.append(f"log: {os.path.relpath(log)}")
    mark.write_text(now)


def machines(name: str, record: state.Record, provider: Provider, steps: Steps) -> tuple[Lab, Path]:
    """Set-up, builds, machines and inventory: everything below site.yml."""
    if isinstance(provider, Hosts):
        lab = of_own_machines(name, record, provider, steps)
    else:
        # First of all, so that no other lab takes its number meanwhile.
        state.save(name, record)
        lab = facts.lab(state.table(), name, record.slot, record.workers)
        prepare_host(steps, for_vms=provider.name == "vagrant")
    built = build_all(state.table(), steps, with_base=provider.wants_base)
    provider.up(lab, built.base, steps)
    return lab, write_inventory(lab, provider, built)


def of_own_machines(name: str, record: state.Record, provider: Hosts, steps: Steps) -> Lab:
    """The lab of a person's inventory, kept once nothing is wrong with it. Raises: LabError, FactsError."""
    prepare_host(steps)
    with steps.step("the inventory is right") as note:
        listing = provider.read()
        lab = own.lab(state.table(), listing, name, record.slot)
        note.append(f"{lab.master.name} {lab.master.address} and {len(lab.workers)} workers")
        note.append(f"public addresses {lab.pool}")
    state.save(name, replace(record, workers=len(lab.workers)))
    state.save_listing(name, listing)
    return lab


def finish(lab: Lab, provider: Provider, steps: Steps) -> None:
    """What a lab needs once its software runs: kubectl at hand, images in the registry, every node Ready."""
    health.link_kubectl(lab.name)
    if not (paths.lab_dir(lab.name) / "kubeconfig").exists():
        return
    push.own_images(lab, provider, steps)
    with steps.step("every node is Ready"):
        health.wait_ready(lab, provider.ready_within_s(lab))
