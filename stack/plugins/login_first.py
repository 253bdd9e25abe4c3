"""Airflow plugin: without a login, nothing of the API server answers but its health and the login itself.

Airflow alone shows everybody its pages' frame, its version and the descriptions of its APIs, and takes any number of
wrong passwords; ``login_throttle`` ends that. Both stacks have the plugin, so that what is tried in one holds in the
other.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from airflow.plugins_manager import AirflowPlugin
from login_throttle import LoginThrottle, path_within

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

LOGIN = "/api/v2/auth/login"
OPEN = {"/api/v2/monitor/health", LOGIN, "/api/v2/auth/logout"}
# What lets people in, with the files of its page; what tasks report to, which asks each for a token of its own; and
# what workers of the EdgeExecutor ask, if there are some, with a token for each question.
WITH_CHECKS_OF_THEIR_OWN = ("/auth/", "/execution/", "/edge_worker/v1/")
DESCRIPTIONS = ("docs", "docs/oauth2-redirect", "redoc", "openapi.json", "changelog")
CLOSED = {part + page for part in WITH_CHECKS_OF_THEIR_OWN for page in (*DESCRIPTIONS, "health")}


def is_open(path: str) -> bool:
    """Whether somebody without a login may have it."""
    return path in OPEN or (path.startswith(WITH_CHECKS_OF_THEIR_OWN) and path not in CLOSED)


class LoginFirst:
    """Lets a request through if it is for an open path, or brings a token that Airflow's auth manager takes."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer in the place of the app, or let it answer."""
        if scope["type"] == "http" and not is_open(path_within(scope.get("root_path", ""), scope["path"])):
            # Imported here, because every task process loads the plugins and none of them serves anything.
            from airflow.api_fastapi.core_api.security import bearer_scheme, get_user
            from fastapi import HTTPException, Request

            request = Request(scope)
            try:
                await get_user(request, None, await bearer_scheme(request))
            except HTTPException:
                await _refusal(request)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _refusal(request: Request) -> Response:
    """The login page for somebody who asks for a page, a sentence for a program."""
    from starlette.responses import JSONResponse, RedirectResponse

    root = request.scope.get("root_path", "")
    path = root + quote(path_within(root, request.scope["path"]))
    if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
        target = f"{path}?{request.url.query}" if request.url.query else path
        return RedirectResponse(f"{root}{LOGIN}?{urlencode({'next': target})}", HTTPStatus.FOUND)
    sentence = f"{request.method} {path} needs a login; send the token of POST {root}/auth/token as a Bearer token"
    headers = {"WWW-Authenticate": "Bearer", "Cache-Control": "no-store"}
    return JSONResponse({"detail": sentence}, HTTPStatus.UNAUTHORIZED, headers)


def throttle_logins(app: ASGIApp) -> LoginThrottle:
    """The throttle, with the key of this deployment."""
    from airflow.configuration import conf

    return LoginThrottle(app, key=conf.get_mandatory_value("api", "secret_key").encode())


class LoginFirstPlugin(AirflowPlugin):
    """What Airflow finds in this module."""

    name = "login_first"
    fastapi_root_middlewares = [  # noqa: RUF012 - Airflow's own form
        {"name": name, "middleware": LoginFirst},
        {"name": "login_throttle", "middleware": throttle_logins},
    ]
