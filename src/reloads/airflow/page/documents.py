"""What the browser may load for the documents of Airflow's user interface, in which our page is shown.

The page is a component inside Airflow's own document, and a browser keeps the policy of the document that it loaded
first, whatever page of it is shown later. So the policy goes with each document of the user interface and of the
login page, not only with those at our addresses. Two things keep it from breaking somebody else's Airflow:

* It is sent only where no other plugin brings pages: what those load from elsewhere, nobody here knows.
* It is sent only for Airflow's own two documents, known by the function that answers. The pages of other auth
  managers and of mounted applications, and the descriptions of the API, which load from a CDN, are left alone.

Pictures may come from elsewhere by TLS, as people put badges into the text of their DAGs. A header that somebody else
set stays.
"""

from __future__ import annotations

from typing import Any

DIRECTIVES = {
    "default-src": "'self'",
    "script-src": "'self'",
    "style-src": "'self' 'unsafe-inline'",  # the components write styles into the document
    "img-src": "'self' data: blob: https:",
    "font-src": "'self' data:",
    "connect-src": "'self'",
    "worker-src": "'self' blob:",  # the viewer of code
    "frame-src": "'self'",
    "frame-ancestors": "'self'",
    "object-src": "'none'",
    "base-uri": "'self'",
    "form-action": "'self'",
}
POLICY = "; ".join(f"{name} {sources}" for name, sources in DIRECTIVES.items())
HEADER = b"content-security-policy"
ANSWERED_BY = (
    "airflow.api_fastapi.core_api.app",
    "airflow.api_fastapi.auth.managers.simple.simple_auth_manager",
)
"""The modules of the functions that send Airflow's documents."""

PAGES = ("react_apps", "external_views", "appbuilder_views", "flask_blueprints")
"""The attributes by which a plugin brings pages."""


class DocumentPolicy:
    """Adds the policy to Airflow's documents, as a middleware of its server."""

    def __init__(self, app: Any, *, own_plugin: str) -> None:
        self._app, self._own_plugin = app, own_plugin
        self._is_alone: bool | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Let the server answer, and add to what it sends."""

        async def send_with_policy(message: Any) -> None:
            if message["type"] == "http.response.start" and self._is_document(scope, message):
                message["headers"] = [*message["headers"], (HEADER, POLICY.encode())]
            await send(message)

        await self._app(scope, receive, send_with_policy if scope["type"] == "http" else send)

    def _is_document(self, scope: Any, message: Any) -> bool:
        if getattr(scope.get("endpoint"), "__module__", "") not in ANSWERED_BY:
            return False
        headers = {name.lower(): value for name, value in message["headers"]}
        if HEADER in headers or not headers.get(b"content-type", b"").startswith(b"text/html"):
            return False
        if self._is_alone is None:
            self._is_alone = not find_plugins_with_pages(but=self._own_plugin)
        return self._is_alone


def find_plugins_with_pages(*, but: str) -> list[str]:
    """The names of the other plugins that bring pages into the user interface."""
    from airflow import plugins_manager

    plugins, _ = plugins_manager._get_plugins()  # noqa: SLF001 - Airflow 3.3.2 has no other list of them
    names: list[str] = []
    for plugin in plugins:
        if plugin.name != but and any(getattr(plugin, attribute, None) for attribute in PAGES):
            names.append(str(plugin.name))
    return names
