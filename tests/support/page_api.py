"""The JSON API of the Warehouse page, as a browser or a program with a login meets it."""

from __future__ import annotations

import json
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

# A proxy for the internet does not know the way to this machine.
_open = build_opener(ProxyHandler({})).open

PREFIX = "/reloads"
COOKIE = "_token"
"""Where Airflow keeps the login of a browser."""


class Reply(NamedTuple):
    """What the server said."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def data(self) -> Any:
        """The JSON of it."""
        return json.loads(self.text)

    @property
    def detail(self) -> str:
        """The sentence of a refusal."""
        return str(self.data["detail"])


class PageApi:
    """The API at ``url``, with the login that ``token`` is; without one for nobody."""

    def __init__(self, url: str, *, token: str = "") -> None:
        self._url, self.token = url, token

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        """Send what a program sends; other ``headers`` replace those of it, and empty ones are left out."""
        sent = {"Content-Type": "application/json"}
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        sent = {name: value for name, value in (sent | _named(headers)).items() if value}
        data = None if body is None else json.dumps(body).encode()
        try:
            answer = _open(Request(f"{self._url}{PREFIX}{path}", data, sent, method=method), timeout=30)
        except HTTPError as error:
            answer = error
        with answer:
            named = {name.lower(): value for name, value in answer.headers.items()}
            return Reply(answer.status, named, answer.read().decode("utf-8", "replace"))

    def send_as_browser(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        """Send it with the login in a cookie, which a browser sends along whoever makes it ask."""
        return self.send(method, path, body, Authorization="", Cookie=f"{COOKIE}={self.token}", **headers)

    def get(self, path: str) -> Any:
        """The data there; anything else fails the test."""
        reply = self.send("GET", path)
        assert reply.status == 200, reply
        return reply.data

    def post(self, path: str, body: Any = None) -> Any:
        """The answer to a request that is taken; anything else fails the test."""
        reply = self.send("POST", path, {} if body is None else body)
        assert reply.status in (200, 202), reply
        return reply.data


def _named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}
