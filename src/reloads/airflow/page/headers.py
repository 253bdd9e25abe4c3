"""What our answers tell a browser: data is shown by nobody else, kept by nobody, and never taken for a page."""

from __future__ import annotations

from typing import Any

from starlette.datastructures import MutableHeaders

DATA = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
FILES = DATA | {
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'",
    # A browser asks each time whether its copy is the one we have, by the file's ETag.
    "Cache-Control": "no-cache",
}


class SafeHeaders:
    """Adds the headers to every answer of the app."""

    def __init__(self, app: Any, *, files: str) -> None:
        self._app, self._files = app, files

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Let the app answer, and add to what it sends."""

        async def send_safely(message: Any) -> None:
            if message["type"] == "http.response.start":
                path = scope["path"].removeprefix(scope.get("root_path", ""))
                is_file = path.startswith(self._files) and message["status"] in (200, 304)
                MutableHeaders(scope=message).update(FILES if is_file else DATA)
            await send(message)

        await self._app(scope, receive, send_safely if scope["type"] == "http" else send)
