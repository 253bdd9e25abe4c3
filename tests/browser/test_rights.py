"""Who may look, who may ask, and what happens when a login or the server is gone."""

from __future__ import annotations

import json
from http import HTTPStatus

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.visitor import log_in
from tests.e2e.native_stack import NativeStackUnderTest
from tests.support.outsider import ask_status
from tests.support.pipeline import Pipeline

ASK = {"table": "read_only", "days": ["2024-01-01"], "only": "all", "cascade": True}


def test_somebody_who_may_only_look_sees_the_plan_and_cannot_ask(visit: Visit, pipeline: Pipeline) -> None:
    visitor = visit("vera")
    visitor.open_table("read_only")
    visitor.day("2024-01-03").click()

    visitor.expect_text("1 day, 1 partition; replaces nothing.")
    visitor.expect_text("You may look, but not ask: that needs the right to trigger rewrite_read_only.")
    expect(visitor.button("Ask")).to_have_count(0)

    status = visitor.page.evaluate(
        """async (body) => {
            const headers = {"Content-Type": "application/json"};
            const url = new URL("reloads/api/requests", document.baseURI);
            return (await fetch(url, {method: "POST", body, headers})).status;
        }""",
        json.dumps(ASK),
    )
    assert status == HTTPStatus.FORBIDDEN
    assert pipeline.records_of_table("accepted", "read_only") == []


@pytest.mark.parametrize("path", ["api/tables", "api/requests", "static/page.js", "openapi.json"])
def test_nothing_is_served_without_a_login(stack: NativeStackUnderTest, path: str) -> None:
    assert ask_status(f"{stack.url}/reloads/{path}") == HTTPStatus.UNAUTHORIZED


def test_somebody_without_a_login_gets_the_login_page(visit: Visit) -> None:
    visitor = visit("")
    visitor.page.goto(f"{visitor.url}/plugin/reloads?table=read_only")

    expect(visitor.page.locator("input[name=password]")).to_be_visible()
    expect(visitor.page.locator(".rl")).to_have_count(0)


def test_a_login_that_ended_is_said_with_a_link_to_log_in_and_what_was_shown_stays(
    visit: Visit, stack: NativeStackUnderTest
) -> None:
    visitor = visit("vera")
    visitor.open(view="requests")
    expect(visitor.page.get_by_label("State")).to_be_visible()

    visitor.page.context.clear_cookies()

    visitor.expect_text("You are not logged in any more.")
    expect(visitor.page.get_by_role("link", name="Log in")).to_have_attribute(
        "href", f"{visitor.url}/api/v2/auth/login?next=" + visitor.page.evaluate("encodeURIComponent(location.href)")
    )
    visitor.page.get_by_role("link", name="Log in").click()
    log_in(visitor.page, "vera", stack.password_of("vera"))
    expect(visitor.page).to_have_url(f"{visitor.url}/plugin/reloads?view=requests")
    expect(visitor.page.get_by_label("State")).to_be_visible()


def test_a_lost_connection_is_said_and_what_was_shown_stays_until_it_is_back(visit: Visit) -> None:
    visitor = visit("vera")
    visitor.open_table("read_only")

    visitor.page.context.set_offline(True)
    visitor.expect_text("Not connected (the server does not answer), trying again.")
    expect(visitor.grid).to_be_visible()

    visitor.page.context.set_offline(False)
    expect(visitor.page.get_by_text("Not connected")).to_have_count(0)
