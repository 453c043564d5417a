"""The lab's network: one bridge in a network namespace of its own, a cable to each machine, and the client machine.

Nothing outside that namespace gets an address of the lab. Names on the host start with the lab's; inside the lab's
namespace the bridge is `br0` and a machine's cable end `p-NODE`. A cut drops a machine's frames at the bridge, in one
direction or both, and takes effect for all the named machines in one transaction; the machine keeps its carrier,
as it would behind a broken switch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from lab.facts import Lab
from lab.run import attempt, run

BRIDGE = "br0"
INTERFACE = "host0"
NETNS = Path("/run/netns")
_CUTS = """
table bridge lab {
  set cannot_send { type ifname; }
  set cannot_receive { type ifname; }
  chain from_machine { type filter hook prerouting priority -300; policy accept; iifname @cannot_send drop; }
  chain to_machine { type filter hook postrouting priority 300; policy accept; oifname @cannot_receive drop; }
}
"""


def namespace(lab: str, machine: str = "") -> str:
    return f"{lab}-{machine}" if machine else lab


def namespace_path(lab: str, machine: str = "") -> Path:
    return NETNS / namespace(lab, machine)


def inside(lab: str, machine: str = "") -> list[str]:
    """The start of a command that runs in the lab's network (or a machine's)."""
    return ["nsenter", f"--net={namespace_path(lab, machine)}"]


def cable(node: str) -> str:
    """The bridge's end of a machine's cable."""
    return f"p-{node}"


def make(lab: Lab) -> None:
    """Make the lab's namespace, its bridge and the client machine; what is there already stays."""
    if not namespace_path(lab.name).exists():
        run(["ip", "netns", "add", lab.name])
    if attempt([*inside(lab.name), "ip", "link", "show", BRIDGE]).returncode:
        prefix = lab.node_range.split("/")[1]
        commands = [
            "link set lo up",
            f"link add {BRIDGE} type bridge",
            f"addr add {lab.gateway}/{prefix} dev {BRIDGE}",
            f"link set {BRIDGE} up",
        ]
        run([*inside(lab.name), "ip", "-batch", "-"], stdin="\n".join(commands))
    if attempt([*inside(lab.name), "nft", "list", "table", "bridge", "lab"]).returncode:
        run([*inside(lab.name), "nft", "-f", "-"], stdin=_CUTS)
    if not namespace_path(lab.name, "client").exists():
        connect(lab, "client")
        prefix = lab.node_range.split("/")[1]
        run([*inside(lab.name, "client"), "ip", "addr", "add", f"{lab.client_address}/{prefix}", "dev", INTERFACE])
        run([*inside(lab.name, "client"), "ip", "link", "set", INTERFACE, "up"])


def connect(lab: Lab, machine: str) -> None:
    """Give a machine a fresh network namespace with a cable to the bridge; nothing of an earlier boot is in it."""
    disconnect(lab.name, machine)
    run(["ip", "netns", "add", namespace(lab.name, machine)])
    end = cable(machine)
    pair = [
        "link",
        "add",
        end,
        "type",
        "veth",
        "peer",
        "name",
        INTERFACE,
        "address",
        hardware_address(lab.name, machine),
    ]
    run(["ip", "-n", lab.name, *pair, "netns", namespace(lab.name, machine)])
    run(["ip", "-n", lab.name, "link", "set", end, "master", BRIDGE, "up"])
    run(["ip", "-n", namespace(lab.name, machine), "link", "set", "lo", "up"])


def hardware_address(lab: str, machine: str) -> str:
    """A machine keeps its MAC over power cuts, as real ones do: else others send to the old one for a minute."""
    digest = hashlib.sha256(f"{lab}/{machine}".encode()).digest()
    return ":".join(["02", *(f"{byte:02x}" for byte in digest[:5])])


def disconnect(lab: str, machine: str) -> None:
    """Remove a machine's namespace and cable. The cable first: the namespace may outlive its name for a moment."""
    if namespace_path(lab).exists():
        attempt(["ip", "-n", lab, "link", "del", cable(machine)])
    if namespace_path(lab, machine).exists():
        run(["ip", "netns", "del", namespace(lab, machine)])


def cut(lab: str, nodes: Iterable[str], direction: str) -> None:
    """Drop what the machines send (out), what is sent to them (in), or both, from now on and all at once."""
    ends = ", ".join(cable(node) for node in nodes)
    sets = {"out": ["cannot_send"], "in": ["cannot_receive"]}.get(direction, ["cannot_send", "cannot_receive"])
    _nft(lab, [f"add element bridge lab {name} {{ {ends} }}" for name in sets])


def heal(lab: str, nodes: Iterable[str]) -> None:
    """Undo every cut of the machines, all at once."""
    lines = []
    for name in ("cannot_send", "cannot_receive"):
        for node in nodes:
            # Adding first makes the deletion right whether it was there or not.
            lines += [f"{verb} element bridge lab {name} {{ {cable(node)} }}" for verb in ("add", "delete")]
    _nft(lab, lines)


def cuts(lab: str) -> dict[str, str]:
    """The machines that are cut now, and in which direction."""
    found: dict[str, str] = {}
    for name, direction in (("cannot_send", "out"), ("cannot_receive", "in")):
        text = attempt([*inside(lab), "nft", "list", "set", "bridge", "lab", name]).stdout
        for word in text.replace(",", " ").replace('"', " ").split():
            if word.startswith("p-"):
                node = word[2:]
                found[node] = "both" if node in found else direction
    return found


def _nft(lab: str, lines: list[str]) -> None:
    run([*inside(lab), "nft", "-f", "-"], stdin="\n".join(lines) + "\n")


def namespaces(lab: str) -> list[str]:
    """The names of the lab's namespaces that exist, machines first."""
    if not NETNS.is_dir():
        return []
    names = [p.name for p in NETNS.iterdir() if p.name == lab or p.name.startswith(f"{lab}-")]
    return sorted(names, key=lambda name: -len(name))
