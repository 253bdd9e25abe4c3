"""The stack's client of Airflow's API: what it asks for is done once, however often it has to ask."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from stack.api import Api
from stack.errors import StackError

Serve = Callable[[int, set[str]], "SlowServer"]


class SlowServer(ThreadingHTTPServer):
    """Makes pools, and is so busy that the first answers are lost."""

    daemon_threads = True

    def __init__(self, *, lost: int, known: set[str]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.lost, self.known, self.made = lost, known, list[str]()


class Handler(BaseHTTPRequestHandler):
    server: SlowServer

    def do_GET(self) -> None:
        self._answer(200, {"pools": [], "total_entries": 0})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/auth/token":
            self._answer(201, {"access_token": "x"})
            return
        is_new = body["name"] not in self.server.known
        if is_new:
            self.server.known.add(body["name"])
            self.server.made.append(body["name"])
        if self.server.lost:
            self.server.lost -= 1
            self.close_connection = True
            return
        self._answer(201 if is_new else 409, {})

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self, status: int, body: object) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def serve() -> Iterator[Serve]:
    """``serve(lost, known)`` starts a server."""
    servers: list[SlowServer] = []
    threads: list[Thread] = []

    def start(lost: int, known: set[str]) -> SlowServer:
        server = SlowServer(lost=lost, known=known)
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        servers.append(server)
        threads.append(thread)
        return server

    yield start
    for server, thread in zip(servers, threads, strict=True):
        server.shutdown()
        thread.join()
        server.server_close()


def api_of(server: SlowServer) -> Api:
    return Api(f"http://127.0.0.1:{server.server_port}", user="admin", password="x", log="read the log")


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_pool_is_made_once_though_answers_are_lost(serve: Serve, lost: int) -> None:
    server = serve(lost, set())
    api_of(server).make_pool("rewrite", slots=4)
    assert server.made == ["rewrite"]


def test_a_conflict_with_somebody_else_is_an_error(serve: Serve) -> None:
    server = serve(0, {"rewrite"})
    with pytest.raises(StackError, match="is answered with 409"):
        api_of(server).make_pool("rewrite", slots=4)
