"""`POST /kubelab/terms/{name}`: a new leader's term, counted in the durable store.

The manager asks for it when it becomes the leader and sends it with each write (`Kubelab-Term: manager=7`); every
write script refuses a lower one, so a leader that was replaced can't do harm.
"""

from __future__ import annotations

from flask import Flask, Response

from controlplane.api import names
from controlplane.api.errors import ApiError
from controlplane.apiserver.backend import Backend
from controlplane.apiserver.respond import answer_object


def register(app: Flask, backend: Backend) -> None:
    """Adds the route."""

    @app.post("/kubelab/terms/<name>")
    def next_term(name: str) -> Response:
        if names.dns_label(name):
            raise ApiError.bad_request(f"{name!r} is no name of a leader")
        return answer_object({"term": backend.durable.store.next_term(name)})
