"""Wrong logins are slowed down: each source has a few at once, and then one every few seconds.

An attempt beyond that is refused before its password is looked at, with the time to wait. Delaying the answer instead
would slow down nobody: a right password has to be answered at once, so a guesser need not wait for any other answer.

All people behind one proxy have one address, and a guesser among them uses up what all of them have. So a browser that
was let in once gets a cookie, and is a source of its own from then on. The cookie opens nothing.
"""

from __future__ import annotations

import asyncio
import hmac
import math
import secrets
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

PATHS = {"/auth/token", "/auth/token/cli"}
"""Where Airflow's simple auth manager takes passwords, by POST; its login page sends them there too."""
AT_ONCE = 5
SECONDS = 10.0
MAX_SOURCES = 1000
MAX_BODY_BYTES = 64 * 1024
COOKIE = "reloads_known_browser"
COOKIE_SECONDS = 365 * 86_400


class WrongLogins:
    """What each source has left: ``AT_ONCE`` wrong logins, and one more every ``SECONDS``.

    It remembers ``MAX_SOURCES`` of them. Those that come while so many have not served their time share one allowance,
    because forgetting somebody would give him a fresh one.
    """

    def __init__(self) -> None:
        self._served_at: dict[str, float] = {}

    def seconds_to_wait(self, source: str, now: float) -> float:
        """How long until the next attempt; 0 if it may be made now."""
        debt = self._served_at.get(self._entry(source, now), now) - now
        return max(0.0, debt - (AT_ONCE - 1) * SECONDS)

    def add(self, source: str, now: float) -> None:
        """Take note of a wrong login."""
        entry = self._entry(source, now)
        self._served_at[entry] = max(now, self._served_at.get(entry, now)) + SECONDS

    def __len__(self) -> int:
        return len(self._served_at)

    def _entry(self, source: str, now: float) -> str:
        if source not in self._served_at and len(self) >= MAX_SOURCES:
            self._served_at = {name: served_at for name, served_at in self._served_at.items() if served_at > now}
            if len(self) >= MAX_SOURCES:
                return "everybody else"
        return source


class KnownBrowsers:
    """Names for browsers that were let in, signed, so that nobody can make up one."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def new_cookie(self) -> str:
        """The value of the cookie for another browser."""
        name = secrets.token_hex(16)
        return f"{name}.{self._signature(name)}"

    def name(self, cookie: str) -> str:
        """The browser's name; empty if it has no cookie of ours."""
        name, _, signature = cookie.partition(".")
        return name if hmac.compare_digest(signature.encode(), self._signature(name).encode()) else ""

    def _signature(self, name: str) -> str:
        return hmac.digest(self._key, f"{COOKIE} {name}".encode(), "sha256").hex()


class LoginThrottle:
    """Lets an attempt to log in through, or refuses it because of the wrong ones before; passes on all else.

    ``key`` signs the cookies and must outlive a restart. ``clock`` tells seconds. Attempts take turns, so that those
    sent at the same moment count one after another.
    """

    def __init__(self, app: ASGIApp, *, key: bytes, clock: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._clock = clock
        self._browsers = KnownBrowsers(key)
        self._by_browser = WrongLogins()
        self._by_address = WrongLogins()
        self._turn = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer in the place of the app, or let it answer."""
        # Imported here, because every task process loads the plugins and none of them serves anything.
        from starlette.datastructures import MutableHeaders
        from starlette.requests import Request

        if not _is_attempt(scope):
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        # Before its turn: whoever sends slowly keeps nobody else waiting.
        body = await _read_body(receive)
        if body is None:
            return
        if len(body) > MAX_BODY_BYTES:
            refusal = _refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a login has {MAX_BODY_BYTES} bytes at most")
            await refusal(scope, receive, send)
            return
        # Before the app answers: its routes change the paths in the scope.
        cookie = self._cookie(scope)
        browser = self._browsers.name(request.cookies.get(COOKIE, ""))
        async with self._turn:
            seconds, answer = await self._attempt(request, browser, _replay(body, receive))
        if seconds:
            sentence = f"too many wrong logins; try again in {seconds} seconds"
            await _refusal(HTTPStatus.TOO_MANY_REQUESTS, sentence, {"Retry-After": str(seconds)})(scope, receive, send)
            return
        if answer[0]["status"] < HTTPStatus.BAD_REQUEST and not browser:
            MutableHeaders(scope=answer[0]).append("Set-Cookie", cookie)
        for message in answer:
            await send(message)

    async def _attempt(self, request: Request, browser: str, receive: Receive) -> tuple[int, list[Message]]:
        """The seconds to wait, or what the app answers."""
        wrong_logins = self._by_browser if browser else self._by_address
        source = browser or (request.client.host if request.client else "")
        if seconds := wrong_logins.seconds_to_wait(source, self._clock()):
            return math.ceil(seconds), []
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        await self._app(request.scope, receive, keep)
        if messages[0]["status"] == HTTPStatus.UNAUTHORIZED:
            wrong_logins.add(source, self._clock())
        return 0, messages

    def _cookie(self, scope: Scope) -> str:
        attributes = [
            f"{COOKIE}={self._browsers.new_cookie()}",
            f"Path={scope.get('root_path', '')}/auth/token",
            f"Max-Age={COOKIE_SECONDS}",
            "HttpOnly",
            "SameSite=strict",
        ]
        if scope.get("scheme") == "https":
            attributes.append("Secure")
        return "; ".join(attributes)


def _is_attempt(scope: Scope) -> bool:
    if scope["type"] != "http" or scope["method"] != "POST":
        return False
    return path_within(scope.get("root_path", ""), scope["path"]) in PATHS


def path_within(root: str, path: str) -> str:
    """The path as Airflow's routes know it, where the server is known by ``root``, a path of a proxy."""
    return path[len(root) :] if root and path.startswith(f"{root}/") else path


async def _read_body(receive: Receive) -> bytes | None:
    """The body, as far as it is one byte too long; None if its sender is gone."""
    body = b""
    while len(body) <= MAX_BODY_BYTES:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    return body


def _replay(body: bytes, receive: Receive) -> Receive:
    """What the app is to read: the body, and then whatever else comes."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return messages.pop() if messages else await receive()

    return receive_again


def _refusal(status: HTTPStatus, sentence: str, headers: dict[str, str] | None = None) -> Response:
    from starlette.responses import JSONResponse

    return JSONResponse({"detail": sentence}, status, {"Cache-Control": "no-store", **(headers or {})})
