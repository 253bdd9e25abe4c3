"""What the page shows of tables, days and requests, and that what people wrote is text."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.tables import EMPTY_DAY, FAILING_DAY, GAP, HOSTILE, REFUSED_DAY
from tests.support.pipeline import Pipeline


def test_every_day_says_its_state_and_why(visit: Visit, moods: Pipeline) -> None:
    assert moods
    visitor = visit("vera")
    visitor.open_table("moods")
    visitor.expect_day("2024-05-01", "fresh, 100 rows")
    visitor.expect_day(EMPTY_DAY, "no rows")
    visitor.expect_day(FAILING_DAY, "failed")
    visitor.expect_day(REFUSED_DAY, "refused by a check")
    visitor.expect_day(GAP, "missing")

    visitor.open_table("moods_totals")
    visitor.expect_day("2024-05-02", "stale, moods changed")
    visitor.open_table("awaited")
    visitor.expect_day("2024-05-01", "waiting for a file")


def test_days_are_told_in_bulk_with_their_cause_and_picked_together(visit: Visit, moods: Pipeline) -> None:
    assert moods
    visitor = visit("vera")
    visitor.open_table("moods_totals")
    stale = (
        visitor.page.get_by_role("list", name="What days of 2024 need")
        .get_by_role("listitem")
        .filter(has_text="stale, moods changed")
    )
    expect(stale).to_contain_text("2024-05-02")

    stale.get_by_role("button", name="Pick 1 day").click()

    expect(visitor.days_field).to_have_value("2024-05-02")
    visitor.expect_text("1 day, 1 partition; replaces 1 row")


def test_a_day_tells_its_request_run_and_log(visit: Visit, moods: Pipeline) -> None:
    [record] = moods.records("done", "stale.json")
    visitor = visit("vera")
    visitor.open_table("moods")

    visitor.day("2024-05-02").click()

    panel = visitor.page.get_by_role("region", name="Thu 2024-05-02")
    expect(panel.get_by_role("link", name=record.id).first).to_be_visible()
    panel.get_by_role("link", name=record.runs[0]).click()
    expect(visitor.page).to_have_url(re.compile("/dags/rewrite_moods/runs/"))
    visitor.page.go_back()
    panel.get_by_role("link", name="log of the task").click()
    expect(visitor.page).to_have_url(re.compile("/tasks/plan"))


def test_a_table_with_keys_shows_them_as_rows(visit: Visit, moods: Pipeline) -> None:
    assert moods
    visitor = visit("vera")
    visitor.open_table("departures", 2013)

    visitor.page.get_by_label("origin as rows").click()

    for origin in ("EWR", "JFK", "LGA"):
        expect(visitor.grid.get_by_role("rowheader", name=origin)).to_be_visible()
        visitor.expect_day(f"2013-01-05, {origin}", "fresh")


def test_back_leads_from_a_request_to_its_table_and_to_the_list(visit: Visit, moods: Pipeline) -> None:
    [record] = moods.records("done", "stale.json")
    visitor = visit("vera")
    visitor.open()
    visitor.page.get_by_role("row").get_by_role("link", name="moods", exact=True).click()
    expect(visitor.grid).to_be_visible()
    visitor.page.get_by_role("link", name=re.compile("open, . failed")).click()
    visitor.page.get_by_role("link", name=record.id).click()
    expect(visitor.page.get_by_role("heading", name=record.id)).to_be_visible()

    visitor.page.go_back()
    expect(visitor.page.get_by_label("State")).to_be_visible()
    visitor.page.go_back()
    expect(visitor.grid).to_be_visible()
    visitor.page.go_back()
    expect(visitor.page.get_by_role("heading", name="Tables")).to_be_visible()


def test_what_people_wrote_is_text(visit: Visit, moods: Pipeline) -> None:
    [record] = moods.records("done", "stale.json")
    visitor = visit("vera")
    visitor.open(view="requests")
    visitor.expect_text(f"“{HOSTILE}”")
    expect(visitor.page.get_by_role("region", name="Rejected files").get_by_text("<img src=x")).to_be_visible()

    visitor.open(view="requests", id=record.id)
    visitor.expect_text(HOSTILE)
    visitor.open(view="requests", table=HOSTILE, person=HOSTILE, id=HOSTILE)
    visitor.expect_text("there is nothing of that name; go back to the list")
    visitor.open(table=HOSTILE)
    visitor.expect_text(re.compile("There is no table"))

    assert visitor.page.locator(".rl img, .rl b:text-is('bold')").count() == 0
    assert "hacked" not in visitor.page.title()


def test_a_dag_shows_its_table_and_a_run_its_requests(visit: Visit, moods: Pipeline) -> None:
    [record] = moods.records("done", "stale.json")
    visitor = visit("vera")

    visitor.open("/dags/rewrite_moods/plugin/reloads-table", year="2024")
    visitor.expect_day("2024-05-01", "fresh")

    visitor.page.goto(f"{visitor.url}/dags/request_partitions/plugin/reloads-table")
    visitor.expect_text("request_partitions rewrites no table.")

    visitor.open(f"/dags/rewrite_moods/runs/{record.runs[0]}/plugin/reloads-requests")
    expect(visitor.page.get_by_role("link", name=record.id)).to_be_visible()
