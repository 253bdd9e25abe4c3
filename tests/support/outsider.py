"""What somebody with or without a login sees of a running API server, whichever stack it belongs to."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator
from email.message import Message
from http import HTTPStatus
from http.client import HTTPConnection
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.parse import urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

from login_throttle import AT_ONCE, SECONDS

# Whether it is alive, and how to get in and out.
OPEN = {"/api/v2/monitor/health", "/execution/health", "/execution/health/ping"}
OPEN |= {"/api/v2/auth/login", "/api/v2/auth/logout", "/auth/token", "/auth/token/cli"}
REFUSED = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
PAGES = (
    *("/", "/dags", "/dags/request_partitions", "/assets", "/anything/else", "/docs", "/redoc", "/openapi.json"),
    *("/auth/docs", "/auth/redoc", "/auth/openapi.json"),
    *("/execution/docs", "/execution/redoc", "/execution/openapi.json", "/execution/changelog"),
)
FORGED = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9."
# Prints what the pages ask and what tasks report to: the server describes neither to people.
ROUTES = """
import json
from airflow.api_fastapi.core_api.routes.ui import ui_router
from airflow.api_fastapi.execution_api.routes import execution_api_router
paths = {}
for below, router in (("", ui_router), ("/execution", execution_api_router)):
    for route in router.routes:
        paths.setdefault(below + route.path, {}).update((method.lower(), {}) for method in route.methods)
print(json.dumps({"paths": paths}))
"""


class _StayHere(HTTPRedirectHandler):
    def redirect_request(self, *args: object) -> None:
        """Whereto is an answer too."""


_open = build_opener(ProxyHandler({}), _StayHere()).open


class Answer(NamedTuple):
    status: int
    headers: Message
    text: str

    @property
    def location(self) -> str:
        return self.headers.get("Location", "")


def ask(url: str, *, method: str = "GET", token: str = "", **headers: str) -> Answer:
    headers |= {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    body = None if method in ("GET", "HEAD") else b"{}"
    try:
        answer = _open(Request(url, body, headers, method=method), timeout=20)
    except HTTPError as error:
        answer = error
    with answer:
        return Answer(answer.status, answer.headers, answer.read().decode("utf-8", "replace"))


def ask_status(url: str, *, method: str = "GET", token: str = "") -> int:
    return ask(url, method=method, token=token).status


def log_in(url: str, user: str, password: str, *, cookie: str = "", address: str = "") -> Answer:
    """What is said to that password, sent from ``address``, one of this machine's own."""
    server = urlsplit(url)
    source = (address, 0) if address else None
    connection = HTTPConnection(server.hostname or "", server.port, timeout=20, source_address=source)
    body = json.dumps({"username": user, "password": password})
    headers = {"Content-Type": "application/json"} | ({"Cookie": cookie} if cookie else {})
    try:
        connection.request("POST", "/auth/token", body, headers)
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read().decode("utf-8", "replace"))
    finally:
        connection.close()


def guess_until_refused(guess: Callable[[], Answer]) -> tuple[int, Answer]:
    """How many guesses were looked at, and the refusal of the next one.

    Fails if more were looked at than the throttle gives in the time that they took.
    """
    began = time.monotonic()
    for count in range(10 * AT_ONCE):
        answer = guess()
        if answer.status != HTTPStatus.UNAUTHORIZED:
            assert count <= AT_ONCE + (time.monotonic() - began) / SECONDS
            return count, answer
    raise AssertionError(f"{10 * AT_ONCE} wrong logins were answered at once")


def closed_operations(url: str, *, token: str, undescribed: dict[str, Any]) -> list[tuple[str, str]]:
    """Every operation of the server but for those that are open, each as its method and path."""
    operations = {
        *_operations(describe(url, "", token=token), below=""),
        *_operations(describe(url, "/auth", token=token), below="/auth"),
        *_operations(undescribed, below=""),
    }
    for beginning in ("/api/v2/", "/ui/", "/auth/", "/execution/"):
        assert [path for _, path in operations if path.startswith(beginning)]
    assert len(operations) > 150
    return sorted(operation for operation in operations if operation[1] not in OPEN)


def describe(url: str, below: str, *, token: str) -> dict[str, Any]:
    """How the server describes a part of itself."""
    description: dict[str, Any] = json.loads(ask(f"{url}{below}/openapi.json", token=token).text)
    return description


def _operations(description: dict[str, Any], *, below: str) -> Iterator[tuple[str, str]]:
    """Method and path of each operation, with something in the place of every parameter."""
    for path, operations in description["paths"].items():
        for method in operations.keys() & {"get", "post", "put", "patch", "delete"}:
            yield method.upper(), below + re.sub(r"{[^}]*}", "1", path)


def answered_operations(url: str, operations: Iterable[tuple[str, str]], *, token: str) -> dict[tuple[str, str], int]:
    """The operations that do not refuse whoever has that token, with what they answer."""
    statuses = {(method, path): ask_status(url + path, method=method, token=token) for method, path in operations}
    return {operation: status for operation, status in statuses.items() if status not in REFUSED}


def assert_page_leads_to_login(url: str, path: str) -> None:
    answer = ask(f"{url}{path}?a=1&b=2", Accept="text/html", Cookie=f"_token={FORGED}")

    query = urlencode({"next": f"{path}?a=1&b=2"})
    assert (answer.status, answer.location) == (HTTPStatus.FOUND, f"/api/v2/auth/login?{query}")
    login = ask(url + answer.location).location
    # Where the server knows its own address, it says it.
    assert login.removeprefix(url) == f"/auth/login?{query}"
    assert ask_status(f"{url}/auth/login?{query}") == HTTPStatus.OK


def assert_program_is_told_how_to_log_in(url: str, path: str) -> None:
    answer = ask(f"{url}{path}")

    sentence = f"GET {path} needs a login; send the token of POST /auth/token as a Bearer token"
    assert (answer.status, json.loads(answer.text)) == (HTTPStatus.UNAUTHORIZED, {"detail": sentence})
