"""The policy goes with Airflow's own documents, and with nothing that somebody else brings."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from airflow import plugins_manager
from airflow.plugins_manager import AirflowPlugin

from reloads.airflow.page.documents import ANSWERED_BY, POLICY, DocumentPolicy, find_plugins_with_pages
from reloads.airflow.page.plugin import WarehousePlugin

HTML = (b"content-type", b"text/html; charset=utf-8")


def policies(
    *headers: tuple[bytes, bytes], by: str = ANSWERED_BY[0], middleware: DocumentPolicy | None = None
) -> list[str]:
    """The policies of an answer with these headers, by a function of the module ``by``."""
    sent: list[Any] = []

    def endpoint() -> None:
        """What the server's router finds."""

    endpoint.__module__ = by

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        scope["endpoint"] = endpoint
        await send({"type": "http.response.start", "status": 200, "headers": list(headers)})

    async def receive() -> Any:
        return {}

    async def collect(message: Any) -> None:
        sent.append(message)

    asked = middleware or DocumentPolicy(app, own_plugin="reloads")
    asked._app = app
    asyncio.run(asked({"type": "http", "path": "/"}, receive, collect))
    return [value.decode() for name, value in sent[0]["headers"] if name == b"content-security-policy"]


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Airflow's plugins; a test adds others."""
    found: list[Any] = [WarehousePlugin()]
    monkeypatch.setattr(plugins_manager, "_get_plugins", lambda: (found, {}))
    return found


@pytest.mark.usefixtures("plugins")
@pytest.mark.parametrize("module", ANSWERED_BY)
def test_a_document_of_airflow_gets_the_policy(module: str) -> None:
    assert policies(HTML, by=module) == [POLICY]


def test_no_script_but_airflows_own_runs_and_nobody_frames_it() -> None:
    directives = dict(part.split(" ", 1) for part in POLICY.split("; "))
    assert directives["script-src"] == directives["connect-src"] == directives["default-src"] == "'self'"
    assert (directives["object-src"], directives["base-uri"]) == ("'none'", "'self'")
    assert directives["frame-ancestors"] == directives["form-action"] == "'self'"


@pytest.mark.usefixtures("plugins")
def test_what_is_not_a_document_of_airflow_is_left_alone() -> None:
    assert policies(HTML, by="fastapi.applications") == []
    assert policies(HTML, by="somebody.else") == []
    assert policies((b"content-type", b"application/json")) == []
    assert policies() == []


@pytest.mark.usefixtures("plugins")
def test_a_policy_that_somebody_set_stays() -> None:
    assert policies(HTML, (b"Content-Security-Policy", b"default-src *")) == []
    assert policies(HTML, (b"content-security-policy", b"default-src *")) == ["default-src *"]


@pytest.mark.parametrize("attribute", ["react_apps", "external_views", "appbuilder_views", "flask_blueprints"])
def test_where_another_plugin_brings_pages_no_policy_is_sent(plugins: list[Any], attribute: str) -> None:
    other = type("Other", (AirflowPlugin,), {"name": "other", attribute: [{"name": "x"}]})
    plugins.append(other())
    assert find_plugins_with_pages(but="reloads") == ["other"]
    assert policies(HTML) == []


def test_a_plugin_without_pages_changes_nothing(plugins: list[Any]) -> None:
    plugins.append(type("Other", (AirflowPlugin,), {"name": "other", "macros": [print]})())
    assert policies(HTML) == [POLICY]


def test_airflow_still_lists_its_plugins_where_they_are_looked_for() -> None:
    assert isinstance(find_plugins_with_pages(but="reloads"), list)
