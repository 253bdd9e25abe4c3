"""A web server that takes messages of Apprise's ``json://``, or does not: it refuses, it hangs, or it is down."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any, Literal

Mood = Literal["takes", "refuses", "hangs"]


class MessageListener:
    """Listens on a port of its own, and keeps what came there. It can go down, and come back on the same port."""

    def __init__(self) -> None:
        self.mood: Mood = "takes"
        self.bodies: list[tuple[str, dict[str, Any]]] = []
        """The path and the content of each message that was taken."""
        self.tries = 0
        self._released = Event()
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = int(probe.getsockname()[1])
        self._server: ThreadingHTTPServer | None = None
        self._thread: Thread | None = None

    @property
    def url(self) -> str:
        """Its URL, with a secret in each place where Apprise takes one."""
        return f"json://some-user:some-password@127.0.0.1:{self.port}/some-token?cto=1&rto=1"

    @property
    def messages(self) -> list[dict[str, Any]]:
        """What was taken, in its order."""
        return [body for _, body in self.bodies]

    @property
    def titles(self) -> list[str]:
        """The titles of what was taken, in their order."""
        return [body["title"] for body in self.messages]

    def start(self) -> None:
        """Come up."""
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                listener.tries += 1
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                if listener.mood == "hangs":
                    listener._released.wait(30)
                    return
                if listener.mood == "takes":
                    listener.bodies.append((self.path, body))
                self.send_response(200 if listener.mood == "takes" else 500)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def stop(self) -> None:
        """Go down."""
        self._released.set()
        if self._server and self._thread:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
        self._server = None


@contextmanager
def message_listener() -> Iterator[MessageListener]:
    """A listener that is up, until the end."""
    listener = MessageListener()
    listener.start()
    try:
        yield listener
    finally:
        listener.stop()
