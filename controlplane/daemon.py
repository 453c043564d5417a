"""What every daemon of kubelab does the same way: read its configuration, log decisions, tell systemd it is ready.

A configuration file is flat TOML, decoded strictly into the daemon's own struct: a mistake is one clear line and
exit code 2. A log line is one decision, as `action key=value …`. Imports nothing else of ours; every daemon's
`main` and every component that logs uses it.
"""

from __future__ import annotations

import argparse
import logging
import os
import socket
import sys
from pathlib import Path
from typing import TypeVar

import msgspec

C = TypeVar("C", bound=msgspec.Struct)


def load_config(prog: str, struct: type[C], argv: list[str] | None = None) -> C:
    """The configuration named by `--config FILE`, decoded into `struct`; exits with 2 and one line on bad input."""
    parser = argparse.ArgumentParser(prog=prog)
    parser.add_argument("--config", required=True, type=Path, metavar="FILE", help="the daemon's TOML configuration")
    path: Path = parser.parse_args(argv).config
    try:
        return msgspec.toml.decode(path.read_bytes(), type=struct)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        sys.stderr.write(f"{prog}: {path}: {error}\n")
        raise SystemExit(2) from None


def setup_logging(level: int = logging.INFO) -> None:
    """Log to stderr, which systemd keeps in the journal with its own time stamps."""
    logging.basicConfig(level=level, format="%(levelname).1s %(name)s %(message)s", stream=sys.stderr, force=True)
    logging.getLogger("urllib3").setLevel(logging.ERROR)


def event(log: logging.Logger, action: str, /, level: int = logging.INFO, **fields: object) -> None:
    """One line for one decision: `bind kind=Pod key=default/web duration_s=0.012`."""
    if log.isEnabledFor(level):
        log.log(level, "%s", " ".join([action, *(f"{k}={_shown(v)}" for k, v in fields.items() if v is not None)]))


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    text = str(value)
    return repr(text) if any(c.isspace() or c == '"' for c in text) or not text else text


def notify(state: str) -> None:
    """Send `state` (`READY=1`, `STATUS=…`) to systemd, as sd_notify(3); nothing happens outside of a unit."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.sendto(state.encode(), address)
