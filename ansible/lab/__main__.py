"""The lab's commands (python3 -m lab COMMAND), called by the Makefile; `make help` is the menu.

Options come through the environment as KUBELAB_NODE, KUBELAB_CMD, …, just as they were typed after `make`.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

from lab import commands, console, state
from lab.facts import FactsError
from lab.run import LabError

INTERRUPTED = 130


def main(arguments: list[str]) -> int:
    """Run one command; mistakes and missing things end in a plain sentence and exit 1."""
    if len(arguments) != 1 or arguments[0] not in commands.COMMANDS:
        console.fail(f"one of: {' '.join(commands.COMMANDS)}")
        return 2
    command = arguments[0]
    signal.signal(signal.SIGTERM, _interrupt)
    name = option("LAB") or state.table().default_lab
    try:
        return commands.COMMANDS[command](name, option)
    except (LabError, FactsError) as error:
        console.fail(f"\n{command}: {error}")
        return 1
    except KeyboardInterrupt:
        console.fail(f"\n{command}: interrupted; run it again to go on from here")
        return INTERRUPTED


def option(name: str) -> str:
    """The value of an option, "" where it wasn't given."""
    return os.environ.get(f"KUBELAB_{name}", "").strip()


def _interrupt(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
