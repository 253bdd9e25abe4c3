"""The app as a whole: what it describes, and that nothing of it answers without a login."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reloads.airflow.page.static_files import FOLDER
from tests.unit.airflow.page.page_under_test import PREFIX, Page

ROUTES = {
    ("get", "/api/tables"),
    ("get", "/api/tables/{table}/days"),
    ("get", "/api/tables/{table}/days/{day}"),
    ("post", "/api/plan"),
    ("post", "/api/requests"),
    ("get", "/api/requests"),
    ("get", "/api/requests/{id_or_file}"),
    ("post", "/api/requests/{id_or_file}/cancel"),
    ("post", "/api/requests/{id_or_file}/retry"),
    ("post", "/api/requests/{id_or_file}/undo"),
    ("get", "/api/requests/{id_or_file}/undo"),
    ("get", "/api/runs/{dag_id}/{run_id}"),
}


def test_the_description_names_each_route_with_its_answer_and_its_refusals(page: Page) -> None:
    paths = page.get("/openapi.json")["paths"]

    assert {(method, path) for path, operations in paths.items() for method in operations} == ROUTES
    for operations in paths.values():
        for operation in operations.values():
            answers = operation["responses"]
            assert {"400", "401", "403", "404", "409"} <= set(answers)
            [good] = [answer for status, answer in answers.items() if status in ("200", "202")]
            schema = good["content"]["application/json"]["schema"]
            assert "$ref" in schema or "anyOf" in schema


def test_every_part_of_every_answer_is_described(page: Page) -> None:
    schemas = page.get("/openapi.json")["components"]["schemas"]

    assert len(schemas) > 25
    for name, schema in schemas.items():
        for field, described in schema.get("properties", {}).items():
            assert {"type", "$ref", "anyOf", "const", "enum"} & set(described), f"{name}.{field}"


@pytest.mark.parametrize(
    ("method", "path"), [*((m, p) for m, p in sorted(ROUTES)), ("get", "/openapi.json"), ("get", "/static/page.js")]
)
def test_nothing_answers_without_a_login(page: Page, method: str, path: str) -> None:
    page.log_out()

    body = {"table": "a", "days": ["2025-01-01"], "force": False} if method == "post" else None
    status, sentence = page.refusal(method.upper(), path, body)

    assert (status, sentence) == (401, "Not authenticated")


def test_a_file_of_the_page_is_sent_again_only_if_it_changed(page: Page) -> None:
    [script] = [path for path in FOLDER.iterdir() if path.name == "page.js"]

    first = page.client.get(f"{PREFIX}/static/page.js")
    second = page.client.get(f"{PREFIX}/static/page.js", headers={"If-None-Match": first.headers["etag"]})

    assert (first.status_code, first.content) == (200, script.read_bytes())
    assert first.headers["cache-control"] == second.headers["cache-control"] == "no-cache"
    assert (second.status_code, second.content) == (304, b"")


@pytest.mark.parametrize(
    "path", ["", "nothing.js", "../app.py", "%2e%2e/app.py", "..%2fapp.py", "/etc/passwd", "a%00b"]
)
def test_no_other_file_is_sent(page: Page, path: str) -> None:
    assert (FOLDER / ".." / "app.py").resolve() == Path(FOLDER).parent / "app.py"
    answer = page.client.get(f"{PREFIX}/static/{path}")
    assert answer.status_code == 404


def test_an_unknown_address_is_refused_with_a_sentence(page: Page) -> None:
    assert page.refusal("GET", "/api/nothing") == (404, "Not Found")


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/api/docs"])
def test_no_page_describes_the_api_with_scripts_from_elsewhere(page: Page, path: str) -> None:
    assert page.client.get(f"{PREFIX}{path}").status_code == 404


def test_data_is_kept_by_nobody_and_never_taken_for_a_page(page: Page) -> None:
    for path in ("/api/tables", "/api/tables/nothing/days/2025-01-01", "/openapi.json", "/static/nothing"):
        headers = page.client.get(f"{PREFIX}{path}").headers
        assert headers["content-type"] == "application/json"
        assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cache-control"] == "no-store"


def test_a_refusal_before_the_app_answers_has_the_same_headers(page: Page) -> None:
    answer = page.client.post(f"{PREFIX}/api/plan", content="{}", headers={"Sec-Fetch-Site": "cross-site"})
    assert (answer.status_code, answer.headers["cache-control"]) == (403, "no-store")


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("{", "the body is not JSON ("),
        ("[]", "the body"),
        ('{"days": ["2025-01-01"]}', "table is missing"),
        ('{"table": "a", "days": "2025-01-01"}', "days '2025-01-01' is not valid (it has to be a list)"),
        ('{"table": "a", "days": [1]}', "days.0 1 is not valid"),
        ('{"table": "a", "days": ["2025-01-01"], "more": 1}', "more 1 is not valid (Extra inputs are not permitted)"),
        ('{"table": "a", "days": ["2025-01-01"], "cascade": "no"}', "cascade 'no' is not valid"),
    ],
)
def test_a_body_that_is_not_as_described_is_refused_with_one_sentence(page: Page, body: str, sentence: str) -> None:
    headers = {"Content-Type": "application/json", "Sec-Fetch-Site": "same-origin"}
    answer = page.client.post(f"{PREFIX}/api/plan", content=body, headers=headers)

    assert answer.status_code == 400
    detail = json.loads(answer.text)["detail"]
    assert detail.startswith(sentence)
    assert "\n" not in detail
