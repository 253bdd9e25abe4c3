"""Wrong logins are slowed down, in an app like Airflow's, by a clock that the tests set."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any

import login_throttle
import pytest
from login_first import LoginFirstPlugin
from login_throttle import AT_ONCE, COOKIE, MAX_BODY_BYTES, MAX_SOURCES, SECONDS, LoginThrottle, WrongLogins
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import Message, Receive, Scope, Send

RIGHT, WRONG = b"right", b"wrong"
TOKEN = "/auth/token"
HERE, THERE = "192.0.2.1", "192.0.2.2"
KEY = b"key"


class Door:
    """An app that takes a password, behind the throttle; ``passwords`` are those that it looked at."""

    def __init__(self, key: bytes = KEY) -> None:
        self.now = 1000.0
        self.passwords: list[bytes] = []
        routes = [Route(path, self._log_in, methods=["GET", "POST"]) for path in ("/token", "/token/cli", "/login")]
        app = Starlette(routes=[Mount("/auth", routes=routes)])
        self._app = LoginThrottle(app, key=key, clock=lambda: self.now)

    async def _log_in(self, request: Request) -> Response:
        password = await request.body()
        self.passwords.append(password)
        await asyncio.sleep(0)  # others have their turn meanwhile, as while a thread looks at the password
        return JSONResponse({}, HTTPStatus.CREATED if password == RIGHT else HTTPStatus.UNAUTHORIZED)

    async def ask(self, pieces: list[bytes], **more: Any) -> tuple[int, dict[str, str]]:
        """The status and the headers of the answer; the pieces of the body that were not read stay in the list."""
        answer: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

        async def send(message: Message) -> None:
            answer.append(message)

        cookie = more.pop("cookie", "")
        scope = {"type": "http", "method": "POST", "path": TOKEN, "root_path": "", "query_string": b"", **more}
        scope |= {"headers": [(b"cookie", cookie.encode())], "client": (more.get("client", HERE), 1)}
        await self._app(scope, receive, send)
        headers = {name.decode(): value.decode() for name, value in answer[0]["headers"]}
        return answer[0]["status"], headers

    def log_in(self, password: bytes, **more: Any) -> int:
        return asyncio.run(self.ask([password], **more))[0]

    def let_in(self, **more: Any) -> str:
        """The cookie that comes with a right login; empty if there is none."""
        status, headers = asyncio.run(self.ask([RIGHT], **more))
        assert status == HTTPStatus.CREATED
        return headers.get("set-cookie", "")

    def guess(self, count: int, **more: Any) -> list[int]:
        return [self.log_in(WRONG, **more) for _ in range(count)]


@pytest.fixture
def door() -> Door:
    return Door()


def test_a_few_wrong_logins_are_answered_and_the_next_is_refused_with_the_time_to_wait(door: Door) -> None:
    assert door.guess(AT_ONCE) == [HTTPStatus.UNAUTHORIZED] * AT_ONCE

    status, headers = asyncio.run(door.ask([WRONG]))

    assert (status, headers["retry-after"]) == (HTTPStatus.TOO_MANY_REQUESTS, str(int(SECONDS)))


def test_a_password_that_comes_too_early_is_not_looked_at_even_if_it_is_right(door: Door) -> None:
    door.guess(AT_ONCE)

    assert door.log_in(RIGHT) == HTTPStatus.TOO_MANY_REQUESTS
    assert door.passwords == [WRONG] * AT_ONCE


def test_after_the_time_to_wait_one_more_attempt_is_taken(door: Door) -> None:
    door.guess(AT_ONCE)
    door.now += SECONDS - 0.5
    assert door.log_in(WRONG) == HTTPStatus.TOO_MANY_REQUESTS

    door.now += 0.5

    assert door.guess(2) == [HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS]


def test_refused_attempts_make_nobody_wait_longer(door: Door) -> None:
    door.guess(AT_ONCE + 100)
    door.now += SECONDS

    assert door.log_in(RIGHT) == HTTPStatus.CREATED


def test_after_a_rest_all_attempts_are_back_and_no_more(door: Door) -> None:
    door.guess(AT_ONCE)
    door.now += 1000 * SECONDS

    assert door.guess(AT_ONCE + 1) == [*[HTTPStatus.UNAUTHORIZED] * AT_ONCE, HTTPStatus.TOO_MANY_REQUESTS]


def test_right_logins_are_never_refused_however_many_come_at_once(door: Door) -> None:
    async def crowd() -> list[int]:
        answers = await asyncio.gather(*(door.ask([RIGHT]) for _ in range(100)))
        return [status for status, _ in answers]

    assert set(asyncio.run(crowd())) == {HTTPStatus.CREATED}


def test_guesses_sent_at_the_same_moment_count_one_after_another(door: Door) -> None:
    async def crowd() -> None:
        await asyncio.gather(*(door.ask([WRONG]) for _ in range(100)))

    asyncio.run(crowd())

    assert len(door.passwords) == AT_ONCE


def test_whoever_sends_slowly_keeps_nobody_waiting(door: Door) -> None:
    async def scene() -> int:
        sends_the_rest = asyncio.Event()

        async def receive() -> Message:
            await sends_the_rest.wait()
            return {"type": "http.request", "body": WRONG}

        async def send(message: Message) -> None:
            """Nobody listens."""

        scope = {"type": "http", "method": "POST", "path": TOKEN, "headers": [], "client": (HERE, 2)}
        slow = asyncio.create_task(door._app(scope, receive, send))
        await asyncio.sleep(0)
        status, _ = await door.ask([RIGHT])
        sends_the_rest.set()
        await slow
        return status

    assert asyncio.run(scene()) == HTTPStatus.CREATED


def test_another_address_has_attempts_of_its_own(door: Door) -> None:
    door.guess(AT_ONCE + 1)

    assert door.log_in(WRONG, client=THERE) == HTTPStatus.UNAUTHORIZED
    assert door.log_in(RIGHT, client=THERE) == HTTPStatus.CREATED


def test_a_browser_that_was_let_in_once_gets_in_whatever_others_at_its_address_guess(door: Door) -> None:
    cookie = door.let_in()
    door.guess(AT_ONCE + 1)

    assert door.log_in(RIGHT, cookie=cookie) == HTTPStatus.CREATED


def test_a_known_browser_has_no_more_attempts_than_others(door: Door) -> None:
    cookie = door.let_in()

    assert door.guess(AT_ONCE + 1, cookie=cookie)[-1] == HTTPStatus.TOO_MANY_REQUESTS
    assert door.log_in(RIGHT) == HTTPStatus.CREATED


def test_a_known_browser_uses_up_nothing_of_another_one(door: Door) -> None:
    cookies = [door.let_in(), door.let_in()]
    door.guess(AT_ONCE + 1, cookie=cookies[0])

    assert door.log_in(RIGHT, cookie=cookies[1]) == HTTPStatus.CREATED


def test_a_known_browser_keeps_its_cookie_and_gets_no_second_one(door: Door) -> None:
    cookie = door.let_in()

    assert cookie.startswith(f"{COOKIE}=")
    assert door.let_in(cookie=cookie) == ""


@pytest.mark.parametrize(
    "forge",
    [
        str.upper,
        lambda value: value[:-1],
        lambda value: "x" + value,
        lambda value: f"é{value}",
        lambda value: value.partition(".")[0] + ".",
    ],
)
def test_a_cookie_that_somebody_made_up_counts_for_nothing(door: Door, forge: Any) -> None:
    value = door.let_in().partition(";")[0].removeprefix(f"{COOKIE}=")
    door.guess(AT_ONCE)

    assert door.log_in(RIGHT, cookie=f"{COOKIE}={forge(value)}") == HTTPStatus.TOO_MANY_REQUESTS


def test_the_cookie_of_another_deployment_counts_for_nothing(door: Door) -> None:
    door.guess(AT_ONCE)

    assert door.log_in(RIGHT, cookie=Door(b"another key").let_in()) == HTTPStatus.TOO_MANY_REQUESTS


def test_a_cookie_lasts_longer_than_the_process_that_gave_it() -> None:
    cookie = Door().let_in()
    door = Door()
    door.guess(AT_ONCE)

    assert door.log_in(RIGHT, cookie=cookie) == HTTPStatus.CREATED


@pytest.mark.parametrize(
    ("more", "attributes"),
    [
        ({}, {"Path=/auth/token"}),
        (
            {"scheme": "https", "root_path": "/airflow", "path": "/airflow/auth/token"},
            {"Path=/airflow/auth/token", "Secure"},
        ),
    ],
    ids=["plain", "behind a proxy with a path"],
)
def test_the_cookie_goes_back_to_the_login_alone(door: Door, more: dict[str, str], attributes: set[str]) -> None:
    assert {"HttpOnly", "SameSite=strict", *attributes} <= set(door.let_in(**more).split("; "))


@pytest.mark.parametrize("path", ["/auth/token/cli", "/airflow/auth/token"])
def test_every_way_in_counts(door: Door, path: str) -> None:
    door.guess(AT_ONCE)

    assert door.log_in(RIGHT, path=path, root_path="/airflow") == HTTPStatus.TOO_MANY_REQUESTS


@pytest.mark.parametrize("more", [{"method": "GET"}, {"path": "/auth/login"}])
def test_what_takes_no_password_is_passed_on(door: Door, more: dict[str, str]) -> None:
    assert door.guess(AT_ONCE + 1, **more)[-1] == HTTPStatus.UNAUTHORIZED


def test_a_login_in_pieces_reaches_the_app_whole(door: Door) -> None:
    asyncio.run(door.ask([b"ri", b"", b"ght"]))

    assert door.passwords == [RIGHT]


def test_the_app_hears_that_the_sender_is_gone() -> None:
    heard: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        heard.extend([(await receive())["type"], (await receive())["type"]])
        await Response()(scope, receive, send)

    door = Door()
    door._app = LoginThrottle(app, key=KEY)
    messages: list[Message] = [{"type": "http.disconnect"}, {"type": "http.request", "body": RIGHT}]

    async def receive() -> Message:
        return messages.pop()

    async def send(message: Message) -> None:
        """Nobody listens."""

    asyncio.run(door._app({"type": "http", "method": "POST", "path": TOKEN, "headers": []}, receive, send))

    assert heard == ["http.request", "http.disconnect"]


def test_what_is_too_long_for_a_login_is_refused_before_all_of_it_is_read(door: Door) -> None:
    pieces = [b"x" * MAX_BODY_BYTES, b"x", b"more"]

    status, _ = asyncio.run(door.ask(pieces))

    assert (status, door.passwords, pieces) == (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, [], [b"more"])


def test_whoever_leaves_before_the_end_is_not_answered_and_costs_nothing(door: Door) -> None:
    async def leave() -> None:
        async def receive() -> Message:
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            pytest.fail(f"nobody is there for {message}")

        await door._app({"type": "http", "method": "POST", "path": TOKEN, "headers": []}, receive, send)

    asyncio.run(leave())

    assert door.passwords == []


def test_memory_is_bounded_and_those_that_come_when_it_is_full_share_one_allowance() -> None:
    wrong_logins = WrongLogins()
    for number in range(3 * MAX_SOURCES):
        wrong_logins.add(f"address {number}", now=0)

    assert len(wrong_logins) == MAX_SOURCES + 1
    assert wrong_logins.seconds_to_wait("one more", now=0) > 0
    assert wrong_logins.seconds_to_wait("address 0", now=0) == 0


def test_whoever_served_the_time_is_forgotten_once_the_room_is_needed() -> None:
    wrong_logins = WrongLogins()
    for number in range(3 * MAX_SOURCES):
        wrong_logins.add(f"address {number}", now=number * SECONDS)

    assert len(wrong_logins) <= MAX_SOURCES


def test_a_known_browser_gets_in_although_countless_addresses_guess(door: Door) -> None:
    cookie = door.let_in()
    for number in range(MAX_SOURCES + AT_ONCE + 1):
        door.log_in(WRONG, client=f"2001:db8::{number:x}")

    assert door.log_in(RIGHT, client=THERE) == HTTPStatus.TOO_MANY_REQUESTS
    assert door.log_in(RIGHT, client=THERE, cookie=cookie) == HTTPStatus.CREATED


def test_the_plugin_brings_the_throttle_with_the_key_of_the_deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__API__SECRET_KEY", KEY.decode())
    door, cookie = Door(), Door().let_in()
    [make] = [
        entry["middleware"] for entry in LoginFirstPlugin.fastapi_root_middlewares if entry["name"] == "login_throttle"
    ]
    door._app = make(door._app._app)
    door.guess(AT_ONCE)

    assert door.log_in(RIGHT) == HTTPStatus.TOO_MANY_REQUESTS
    assert door.log_in(RIGHT, cookie=cookie) == HTTPStatus.CREATED


@pytest.mark.parametrize(
    ("root", "path", "within"),
    [
        ("", "/dags", "/dags"),
        ("/airflow", "/airflow/dags", "/dags"),
        ("/airflow", "/dags", "/dags"),
        ("/auth", "/authority", "/authority"),
    ],
)
def test_a_path_is_looked_at_as_the_routes_see_it(root: str, path: str, within: str) -> None:
    assert login_throttle.path_within(root, path) == within
