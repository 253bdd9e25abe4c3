"""A proxy before an S3 server that counts requests, and breaks some of them on purpose."""

from __future__ import annotations

import http.client
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from urllib.parse import parse_qs, unquote, urlsplit

from tests.support.s3_server import S3Server


@dataclass(frozen=True)
class Request:
    """A request as it came."""

    method: str
    key: str
    query: dict[str, list[str]]
    headers: Message

    @property
    def act(self) -> str:
        """What it is billed as."""
        if self.method == "PUT" and "x-amz-copy-source" in self.headers:
            return "COPY"
        if self.method == "GET" and "list-type" in self.query:
            return "LIST"
        return self.method


Fault = Callable[[Request], int | None]
"""What a request gets instead of an answer: a status, 0 for a connection that is cut, or None for the answer.

A negative status is sent after the server has done what was asked.
"""


def no_fault(_request: Request) -> int | None:
    return None


@dataclass
class S3Proxy:
    """A proxy that runs."""

    server: S3Server
    endpoint: str = ""
    requests: list[Request] = field(default_factory=list)
    fault: Fault = no_fault
    pause_seconds: float = 0
    """So long each request waits before it is looked at."""
    ignored_condition: str = ""
    """A header that the store seems not to know: it says that all is well where its server refused."""

    def counts(self) -> Counter[str]:
        """How many requests of each kind came."""
        return Counter(request.act for request in self.requests)


def _handler(proxy: S3Proxy) -> type[BaseHTTPRequestHandler]:  # noqa: C901 - its methods know the proxy
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            parts = urlsplit(self.path)
            request = Request(self.command, unquote(parts.path), parse_qs(parts.query), self.headers)
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            proxy.requests.append(request)
            Event().wait(proxy.pause_seconds)
            status = proxy.fault(request)
            if status is None or status < 0:
                answer, content = self._forward(body)
                if status is None and answer.status == 412 and proxy.ignored_condition in self.headers:
                    self._answer(200, [("ETag", '"another"')], b"")
                    return
                if status is None:
                    self._answer(answer.status, answer.getheaders(), content)
                    return
            if not status:
                self.close_connection = True
                return
            self._answer(abs(status), [], b"<Error><Code>Broken</Code></Error>")

        def _forward(self, body: bytes) -> tuple[http.client.HTTPResponse, bytes]:
            upstream = http.client.HTTPConnection(urlsplit(proxy.server.endpoint).netloc, timeout=60)
            try:
                upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    upstream.putheader(name, value)
                upstream.endheaders(body)
                answer = upstream.getresponse()
                return answer, answer.read()
            finally:
                upstream.close()

        def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
            # One request a connection, so that no thread waits for another one.
            self.close_connection = True
            self.send_response_only(status)
            self.send_header("Connection", "close")
            # A HEAD is told the length of what it does not get.
            kept = {"content-length"} if self.command == "HEAD" else set()
            for name, value in headers:
                if name.lower() not in {"content-length", "transfer-encoding", "connection"} - kept:
                    self.send_header(name, value)
            if not kept:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    for method in ("GET", "PUT", "POST", "DELETE", "HEAD"):
        setattr(Handler, f"do_{method}", Handler.handle_any)
    return Handler


@contextmanager
def s3_proxy(server: S3Server) -> Iterator[S3Proxy]:
    """Start one, and end it."""
    proxy = S3Proxy(server)
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(proxy)) as listener:
        listener.daemon_threads = True
        proxy.endpoint = f"http://127.0.0.1:{listener.server_port}"
        thread = Thread(target=listener.serve_forever)
        thread.start()
        try:
            yield proxy
        finally:
            listener.shutdown()
            thread.join()
