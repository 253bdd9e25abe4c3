"""Requests that another site makes a browser send are refused, whatever login goes along with them."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from reloads.airflow.page.cross_site import CrossSiteGuard
from reloads.requests.request_file import MAX_FILE_BYTES

HOST = "airflow.example:8080"
BASE = "https://airflow.example.org"


def send(method: str = "POST", /, base: str = BASE, **headers: str) -> tuple[int, str]:
    """The status and the sentence; 200 where the app behind the guard is reached."""
    sent: list[Any] = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b'{"detail": ""}'})

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def collect(message: Any) -> None:
        sent.append(message)

    named = {"host": HOST, "content-type": "application/json", "content-length": "2"}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    raw = [(name.encode(), value.encode()) for name, value in named.items() if value]
    scope = {"type": "http", "method": method, "path": "/api/requests", "headers": raw, "root_path": ""}
    asyncio.run(CrossSiteGuard(app, base_url=base)(scope, receive, collect))
    return sent[0]["status"], json.loads(sent[1]["body"])["detail"]


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none", "", "Same-Origin", "same-origin, cross-site"])
def test_what_the_browser_says_comes_from_elsewhere_is_refused(site: str) -> None:
    # Also where the Origin would do: the browser knows best.
    status, sentence = send(sec_fetch_site=site or "x", origin=f"http://{HOST}")
    assert status == 403
    assert "comes from another site" in sentence


def test_what_the_browser_says_comes_from_our_own_page_is_taken() -> None:
    assert send(sec_fetch_site="same-origin") == (200, "")


@pytest.mark.parametrize(
    "origin",
    [f"http://{HOST}", BASE, f"{BASE}:443", "http://airflow.example:8080"],
    ids=["as asked", "as configured", "with its port", "by name"],
)
def test_without_that_word_the_origin_counts(origin: str) -> None:
    assert send(origin=origin) == (200, "")


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "null",
        "http://evil.example",
        "http://airflow.example",
        "http://airflow.example:8081",
        f"http://{HOST}.evil.example",
        "http://evil.example/airflow.example:8080",
        "https://airflow.example.org.evil.example",
        "http://airflow.example.org",
        "http://[",
        "http://airflow.example:x",
    ],
)
def test_another_origin_or_none_is_refused(origin: str) -> None:
    assert send(origin=origin)[0] == 403


def test_without_a_configured_address_an_empty_host_is_not_ours() -> None:
    assert send(base="", host="", origin="http://")[0] == 403


def test_a_program_with_a_token_is_taken_wherever_it_runs() -> None:
    assert send(authorization="Bearer x") == (200, "")


@pytest.mark.parametrize("word", ["Basic x", "Bearer", "x Bearer y"])
def test_another_authorization_is_not_a_token(word: str) -> None:
    assert send(authorization=word)[0] == 403


@pytest.mark.parametrize(
    "kind",
    ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=a", "application/jsonx"],
)
def test_what_a_form_can_send_is_refused_even_from_our_own_page(kind: str) -> None:
    status, sentence = send(sec_fetch_site="same-origin", content_type=kind)
    assert status == 403
    assert "send application/json" in sentence


def test_a_type_with_a_character_set_is_json_too() -> None:
    assert send(sec_fetch_site="same-origin", content_type="application/json; charset=utf-8") == (200, "")


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_reading_needs_none_of_it(method: str) -> None:
    assert send(method, sec_fetch_site="cross-site", content_type="")[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "QUERY"])
def test_every_other_method_does(method: str) -> None:
    assert send(method, sec_fetch_site="cross-site")[0] == 403


@pytest.mark.parametrize(
    ("length", "encoding"),
    [(str(MAX_FILE_BYTES + 1), ""), ("9" * 400, ""), ("-1", ""), ("x", ""), ("2", "chunked"), ("٣", "")],
)
def test_a_body_that_may_not_fit_is_refused_before_it_is_read(length: str, encoding: str) -> None:
    status, sentence = send(sec_fetch_site="same-origin", content_length=length, transfer_encoding=encoding)
    assert status == 400
    assert str(MAX_FILE_BYTES) in sentence
