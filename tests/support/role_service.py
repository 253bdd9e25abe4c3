"""What gives a container or an instance in AWS the credentials of its role, on this machine."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

from tests.support.s3_server import ROLE_KEYS

CONTAINER, INSTANCE = "/container", "/latest/meta-data/iam/security-credentials/"
TOKEN = "of-the-service"
"""Who asks has to show it: a container has it in a file, an instance asks for it first (IMDSv2)."""


@dataclass
class RoleService:
    """A service that runs."""

    endpoint: str = ""
    lifetime: timedelta = timedelta(hours=6)
    """So long a set of credentials lives that it hands out."""
    session_token: str = ""
    status: int = 200
    """Another one is its answer to everything; 0 is none at all."""
    requests: list[str] = field(default_factory=list)
    """Method and path."""
    is_over: Event = field(default_factory=Event)
    _number: int = 0

    @property
    def key(self) -> str:
        """The access key of the set that it hands out now."""
        return list(ROLE_KEYS)[self._number]

    def renew(self) -> None:
        """Hand out another set from now on."""
        self._number += 1

    def answer(self, method: str, path: str, headers: Mapping[str, str]) -> tuple[int, str]:
        """The status and the text."""
        self.requests.append(f"{method} {path}")
        if self.status != 200:
            return self.status, "it is broken"
        if (method, path) == ("PUT", "/latest/api/token"):
            return (200, TOKEN) if "x-aws-ec2-metadata-token-ttl-seconds" in headers else (400, "")
        header = "authorization" if path == CONTAINER else "x-aws-ec2-metadata-token"
        if headers.get(header) != TOKEN:
            return 401, "who are you"
        if path == INSTANCE:
            return 200, "loads"
        return (200, self._credentials()) if path in (CONTAINER, f"{INSTANCE}loads") else (404, "")

    def _credentials(self) -> str:
        # Not in the form of an instance, which ends in a Z: so boto3 takes a set that is about to expire for just that,
        # and not for the sign of an outage, in which it would use the set on.
        expires_at = (datetime.now(UTC) + self.lifetime).isoformat(timespec="seconds")
        return json.dumps(
            {
                "Code": "Success",
                "AccessKeyId": self.key,
                "SecretAccessKey": ROLE_KEYS[self.key],
                "Token": self.session_token,
                "Expiration": expires_at,
            }
        )


def _handler(service: RoleService) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            status, text = service.answer(self.command, self.path, {k.lower(): v for k, v in self.headers.items()})
            if not status:
                service.is_over.wait()
                return
            self.send_response_only(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    for method in ("GET", "PUT"):
        setattr(Handler, f"do_{method}", Handler.handle_any)
    return Handler


@contextmanager
def role_service() -> Iterator[RoleService]:
    """Start one, and end it."""
    service = RoleService()
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(service)) as listener:
        listener.daemon_threads = True
        service.endpoint = f"http://127.0.0.1:{listener.server_port}"
        thread = Thread(target=listener.serve_forever, args=[0.01])
        thread.start()
        try:
            yield service
        finally:
            service.is_over.set()
            listener.shutdown()
            thread.join()
