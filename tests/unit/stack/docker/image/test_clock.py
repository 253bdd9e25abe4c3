"""The clocks of the containers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import clock
import pytest


@pytest.mark.parametrize(
    ("before", "database", "after", "ahead"),
    [
        (1000.0, 1000.5, 1001.0, 0.0),
        (1000.0, 900.0, 1001.0, 100.0),
        (1000.0, 1100.0, 1001.0, -99.0),
        (1000.0, 1000.5, 1060.0, 0.0),
    ],
    ids=["right", "ahead", "behind", "a slow answer says nothing"],
)
def test_a_clock_is_wrong_only_by_what_is_sure(before: float, database: float, after: float, ahead: float) -> None:
    assert clock.seconds_ahead(before, database, after) == ahead


class ApiServer(BaseHTTPRequestHandler):
    """Says what time it is, by a clock that is so far ahead."""

    seconds_ahead = 0.0

    def do_GET(self) -> None:
        self.send_response_only(200)
        self.send_header("Date", formatdate(time.time() + self.seconds_ahead, usegmt=True))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def api_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[ApiServer]]:
    class Handler(ApiServer):
        pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.delenv(clock.DATABASE, raising=False)
        monkeypatch.setenv(clock.API, f"http://127.0.0.1:{server.server_port}/execution/")
        yield Handler
        server.shutdown()
        thread.join()


@pytest.mark.usefixtures("api_server")
def test_who_knows_no_database_has_the_right_time_if_the_api_server_has_the_same() -> None:
    clock.check()


@pytest.mark.parametrize(("seconds", "word"), [(100.0, "behind"), (-100.0, "ahead of")])
def test_who_knows_no_database_is_wrong_by_the_api_server(
    api_server: type[ApiServer], seconds: float, word: str
) -> None:
    api_server.seconds_ahead = seconds

    with pytest.raises(clock.WrongClockError, match=f"s {word} the database's and may be 30 s off; set it"):
        clock.check()


def test_an_api_server_that_does_not_answer_tells_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(clock.DATABASE, raising=False)
    monkeypatch.setenv(clock.API, "http://127.0.0.1:1/execution/")

    with pytest.raises(clock.AwayError, match=r"the API server does not answer .* it is asked again"):
        clock.check()
