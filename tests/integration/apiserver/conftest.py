"""One running API server for the suite; each test has a namespace of its own."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from tests.integration.apiserver.support import Api
from tests.support.server import RunningServer, free_port, running_server

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server that all tests share: a test leaves it running and usable."""
    with running_server(tmp_path_factory.mktemp("api"), kubelet_port=free_port()) as running:
        yield running


@pytest.fixture
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server that the test may kill."""
    with running_server(tmp_path_factory.mktemp("own")) as running:
        yield running


@pytest.fixture
def api(server: RunningServer) -> Api:
    """The API as the administrator, in a new namespace."""
    api = Api(server.session("admin"), f"t{next(_numbers)}")
    api.ok("POST", "/api/v1/namespaces", {"metadata": {"name": api.namespace}})
    return api
