"""`pods/log` against an agent of the test's own: passed on piece by piece, and clear words when it is away."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.integration.apiserver.support import MERGE, Api, pod
from tests.support.server import RunningServer


class Agent(ThreadingHTTPServer):
    """Speaks as a node's agent; what it says, and when, is the test's."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, server: RunningServer, port: int) -> None:
        super().__init__(("127.0.0.1", port), AgentHandler)
        serving = server.authority.server("agent", ("127.0.0.1",))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(serving.cert, serving.key)
        context.load_verify_locations(server.ca)
        context.verify_mode = ssl.CERT_REQUIRED
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.asked: Queue[tuple[str, dict[str, list[str]], str]] = Queue()
        self.lines: Queue[bytes | None] = Queue()
        self.gone = threading.Event()
        self.code = 200


class AgentHandler(BaseHTTPRequestHandler):
    """Answers with chunks from the queue until None."""

    protocol_version = "HTTP/1.1"
    server: Agent

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        certificate = self.connection.getpeercert()
        user = dict(part[0] for part in certificate["subject"])["commonName"]
        self.server.asked.put((url.path, parse_qs(url.query), user))
        if self.server.code != 200:
            self.send_response(self.server.code)
            self.send_header("Content-Length", "10")
            self.end_headers()
            self.wfile.write(b"not my pod")
            return
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            while (line := self.server.lines.get(timeout=20)) is not None:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.server.gone.set()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def agent(server: RunningServer, api: Api) -> Iterator[Agent]:
    """An agent for node `log-node` with a pod `p` bound to it."""
    running = Agent(server, kubelet_port(server))
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    make_pod(api)
    yield running
    running.shutdown()
    running.server_close()


def kubelet_port(server: RunningServer) -> int:
    return int(next(line.split("=")[1] for line in server.config.read_text().splitlines() if "kubelet_port" in line))


def make_pod(api: Api) -> None:
    api.call("POST", "/api/v1/nodes", {"metadata": {"name": "log-node"}})
    address = {"status": {"addresses": [{"type": "InternalIP", "address": "127.0.0.1"}]}}
    api.ok("PATCH", "/api/v1/nodes/log-node/status", address, MERGE)
    api.ok("POST", "pods", pod(containers=[{"name": "main", "image": "a"}, {"name": "side", "image": "b"}]))
    api.ok("POST", "pods/p/binding", {"target": {"name": "log-node"}})


def test_a_log_is_passed_on(api: Api, agent: Agent) -> None:
    for line in (b"one\n", b"two\n", None):
        agent.lines.put(line)
    query = {"container": "side", "tailLines": "5", "previous": "true", "limitBytes": "99", "colour": "red"}
    response = api.call("GET", "pods/p/log", params=query)
    assert (response.status_code, response.text) == (200, "one\ntwo\n")
    assert response.headers["Content-Type"].startswith("text/plain")
    path, asked, user = agent.asked.get(timeout=5)
    assert path == f"/containerLogs/{api.namespace}/p/side"
    assert asked == {"tailLines": ["5"], "previous": ["true"], "limitBytes": ["99"]}
    assert user == "kube-apiserver-kubelet-client"


def test_following_gives_each_line_at_once_and_ends_with_the_reader(api: Api, agent: Agent) -> None:
    response = api.call("GET", "pods/p/log", params={"container": "main", "follow": "true"}, stream=True)
    for number in range(3):
        agent.lines.put(b"line %d\n" % number)
        assert response.raw.readline() == b"line %d\n" % number
    response.close()
    end = time.monotonic() + 10
    while not agent.gone.is_set() and time.monotonic() < end:
        agent.lines.put(b"more\n")
        agent.gone.wait(0.05)
    assert agent.gone.is_set()


def test_kubectl_logs(server: RunningServer, api: Api, agent: Agent) -> None:
    for line in (b"hello from the pod\n", None):
        agent.lines.put(line)
    assert server.kubectl("-n", api.namespace, "logs", "p", "-c", "main").stdout == "hello from the pod\n"


def test_the_agents_refusal_is_told(api: Api, agent: Agent) -> None:
    agent.code = 404
    assert "not my pod" in api.refused(404, "NotFound", "GET", "pods/p/log", params={"container": "main"})["message"]
    agent.code = 500
    assert (
        "not my pod"
        in api.refused(502, "InternalError", "GET", "pods/p/log", params={"container": "main"})["message"]
    )


def test_a_dead_agent_is_a_clear_error(api: Api) -> None:
    make_pod(api)
    body = api.refused(502, "InternalError", "GET", "pods/p/log", params={"container": "main"})
    assert "the agent of node log-node can't be reached at 127.0.0.1" in body["message"]


def test_the_container_is_the_pods(api: Api) -> None:
    """Bad input 15: nothing that a client sends leads anywhere else."""
    make_pod(api)
    body = api.refused(400, "BadRequest", "GET", "pods/p/log")
    assert body["message"] == "a container name must be specified for pod p, choose one of: [main side]"
    for name in ("nobody", "../../x", "main/../side", "main?x=y", ""):
        api.refused(400, "BadRequest", "GET", "pods/p/log", params={"container": name})
    api.refused(404, "NotFound", "GET", "pods/q/log")
    for wrong in ({"tailLines": "-1"}, {"sinceTime": "now"}, {"follow": "maybe"}):
        api.refused(400, "BadRequest", "GET", "pods/p/log", params={"container": "main", **wrong})
    api.ok("POST", "pods", pod("unbound"))
    api.refused(400, "BadRequest", "GET", "pods/unbound/log")
