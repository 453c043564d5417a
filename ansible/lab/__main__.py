"""The lab's commands (python3 -m lab COMMAND …), called by the Makefile; `make help` is the menu."""

from __future__ import annotations

import argparse
import os
import sys

from lab import commands, console, state
from lab.facts import FactsError
from lab.run import LabError


def parser() -> argparse.ArgumentParser:
    """The command line: one sub-command a make target, options by the names of make's variables."""
    top = argparse.ArgumentParser(prog="lab")
    top.add_argument("--lab", default=os.environ.get("LAB") or state.table().default_lab)
    commands_ = top.add_subparsers(dest="command", required=True)
    for name, options in commands.COMMANDS.items():
        sub = commands_.add_parser(name)
        for option in options.options:
            sub.add_argument(f"--{option}", default="")
    return top


def main(arguments: list[str]) -> int:
    """Run one command; mistakes and missing things end in a plain sentence and exit 1."""
    options = parser().parse_args(arguments)
    chosen = commands.COMMANDS[options.command]
    values = {option: getattr(options, option.replace("-", "_")) for option in chosen.options}
    try:
        return chosen.run(options.lab, values)
    except (LabError, FactsError) as error:
        console.fail(f"\n{options.command}: {error}")
        return 1
    except KeyboardInterrupt:
        console.fail(f"\n{options.command}: interrupted; run it again to go on from here")
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
