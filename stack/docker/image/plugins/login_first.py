"""Airflow plugin: without a login, nothing of the API server answers but its health and the login itself.

Airflow alone shows everybody its pages' frame, its version and the descriptions of its APIs. This is for whoever opens
the user interface to others, behind a proxy; while it listens on 127.0.0.1 only, it guards against nobody.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from airflow.plugins_manager import AirflowPlugin

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

LOGIN = "/api/v2/auth/login"
OPEN = {"/api/v2/monitor/health", LOGIN, "/api/v2/auth/logout"}
# What lets people in, with the files of its page; and what tasks report to, which asks each for a token of its own.
WITH_CHECKS_OF_THEIR_OWN = ("/auth/", "/execution/")
DESCRIPTIONS = ("docs", "docs/oauth2-redirect", "redoc", "openapi.json", "changelog")
CLOSED = {part + page for part in WITH_CHECKS_OF_THEIR_OWN for page in DESCRIPTIONS}


def is_open(path: str) -> bool:
    """Whether somebody without a login may have it."""
    return path in OPEN or (path.startswith(WITH_CHECKS_OF_THEIR_OWN) and path not in CLOSED)


def path_within(root: str, path: str) -> str:
    """The path as Airflow's routes know it, where the server is known by ``root``, a path of a proxy."""
    return path[len(root) :] if root and path.startswith(f"{root}/") else path


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


class LoginFirstPlugin(AirflowPlugin):
    """What Airflow finds in this module."""

    name = "login_first"
    fastapi_root_middlewares = [{"name": name, "middleware": LoginFirst}]  # noqa: RUF012 - Airflow's own form
