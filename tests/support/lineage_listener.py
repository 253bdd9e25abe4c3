"""A server that takes the events of OpenLineage's HTTP transport."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any


class LineageListener:
    """Keeps the events that come to its port."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.hangs = False
        """Whether events that a task sends by itself get no answer."""
        self.hung = 0
        self._released = Event()
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                event = json.loads(self.rfile.read(int(self.headers["content-length"])))
                if listener.hangs and event["eventType"] == "RUNNING":
                    listener.hung += 1
                    listener._released.wait(120)
                    return
                listener.events.append(event)
                self.send_response(201)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def transport(self) -> str:
        """Airflow's setting of it."""
        return json.dumps({"type": "http", "url": f"http://127.0.0.1:{self.server.server_port}"})

    def release(self) -> None:
        """Answer again, and let go whoever still waits."""
        self.hangs = False
        self._released.set()

    def of_job(self, job: str, *, kind: str = "RUNNING") -> list[dict[str, Any]]:
        """The events of that kind and job that name a dataset that was written."""
        return [
            event
            for event in self.events
            if event["job"]["name"] == job and event["eventType"] == kind and event["outputs"]
        ]


@contextmanager
def lineage_listener() -> Iterator[LineageListener]:
    """A listener until the end."""
    listener = LineageListener()
    thread = Thread(target=listener.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield listener
    finally:
        listener.release()
        listener.server.shutdown()
        thread.join()
        listener.server.server_close()
