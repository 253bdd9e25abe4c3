"""Refuses what another site makes a browser send: a login by cookie goes along with such requests, too.

A browser says by ``Sec-Fetch-Site`` who makes it ask, and no page can change that. Older ones say by ``Origin`` where
the page is from. A program sends a Bearer token, which no other site has.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse

from reloads.requests.request_file import MAX_FILE_BYTES

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
DEFAULT_PORTS = {"http": 80, "https": 443}


class CrossSiteGuard:
    """Lets a request through if it only reads, or if our own page or a program with a token sends it as JSON."""

    def __init__(self, app: Any, *, base_url: str = "") -> None:
        self._app, self._base_url = app, base_url

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer in the place of the app, or let it answer."""
        if scope["type"] == "http" and scope["method"] not in SAFE_METHODS:
            headers = Headers(scope=scope)
            why = self._why_refused(headers)
            if why:
                await JSONResponse({"detail": why}, HTTPStatus.FORBIDDEN)(scope, receive, send)
                return
            if not _is_of_bounded_size(headers):
                sentence = f"the body has no length, or more than {MAX_FILE_BYTES} bytes; ask for less at once"
                await JSONResponse({"detail": sentence}, HTTPStatus.BAD_REQUEST)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _why_refused(self, headers: Headers) -> str:
        """The sentence for whoever is refused; empty where nothing speaks against it."""
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            # No form of another site can send this type without asking our server first.
            return f"the content type is {kind[:80]!r}; send application/json"
        if headers.get("authorization", "").lower().startswith("bearer "):
            return ""
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        if site is not None:
            is_ours, sender = site == "same-origin", site
        else:
            is_ours, sender = self._is_own_origin(origin, headers), origin or "nobody says who"
        if is_ours:
            return ""
        return f"the request comes from another site ({sender[:80]!r}); send it from our page or with a Bearer token"

    def _is_own_origin(self, origin: str | None, headers: Headers) -> bool:
        """Whether the page that asks is from this server, by the name that it was asked under or its configured one."""
        place = _place(origin or "")
        if place is None:
            return False
        # The server itself does not know whether a proxy took the request by TLS.
        scheme = place[0]
        return place in (_place(f"{scheme}://{headers.get('host', '')}"), _place(self._base_url))


def _place(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port; None for what is not the address of a server."""
    try:
        parts = urlsplit(url)
        port = parts.port or DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return None
    return (parts.scheme, parts.hostname, port) if parts.hostname and port else None


def _is_of_bounded_size(headers: Headers) -> bool:
    """Whether the body may be read into memory. What has no length at all may never end."""
    if "transfer-encoding" in headers:
        return False
    length = headers.get("content-length", "0")
    return length.isascii() and length.isdigit() and int(length) <= MAX_FILE_BYTES
