"""The Flask views: one module for each kind of path."""

from __future__ import annotations

from flask import request

from controlplane.apiserver.call import ENVIRON_KEY, Call


def current_call() -> Call:
    """The call that is being answered."""
    call: Call = request.environ[ENVIRON_KEY]
    return call
