"""Days are picked, planned, asked for, watched and undone: with the mouse, and once by keyboard alone."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.visitor import PATIENCE_MS, Visitor
from tests.e2e.gate import closed_gate, wait_for_held_task
from tests.support.pipeline import Pipeline

DAYS = {"2024-01-03", "2024-01-04", "2024-01-05"}


def test_the_heat_map_changes_while_a_dropped_request_runs(visit: Visit, pipeline: Pipeline) -> None:
    visitor = visit("vera")
    visitor.open_table("watched")
    visitor.expect_day("2024-02-01", "not loaded, and not due")

    with closed_gate(pipeline, "watched") as gate:
        pipeline.drop("watched.json", table="watched", start_date="2024-02-01", end_date="2024-02-03")
        wait_for_held_task(pipeline, gate)
        visitor.expect_day("2024-02-01", "being rewritten")

    visitor.expect_day("2024-02-01", "fresh, 100 rows")
    expect(visitor.day("2024-02-04")).to_have_accessible_name(re.compile("not loaded"))


def test_three_days_are_picked_planned_asked_for_watched_and_undone(visit: Visit, pipeline: Pipeline) -> None:
    visitor = visit("ada")
    visitor.open_table("asked")

    visitor.day("2024-01-03").click()
    visitor.day("2024-01-05").click(modifiers=["Shift"])

    expect(visitor.days_field).to_have_value("2024-01-03..2024-01-05")
    visitor.expect_text("3 days, 3 partitions; replaces nothing; 1 downstream table follows.")
    assert pipeline.partitions("asked") == {}, "a plan writes nothing"

    visitor.page.get_by_label("Reason").fill("the prices were wrong")
    visitor.button("Ask for 3 days").click()

    visitor.expect_day("2024-01-03", "fresh, 100 rows")
    visitor.expect_text("3 of 3 days were published")
    assert set(pipeline.partitions("asked")) == DAYS
    [record] = pipeline.records_of_table("done", "asked")
    assert (record.requested_by, record.reason) == ("ada", "the prices were wrong")

    visitor.page.get_by_role("link", name=record.id).first.click()
    visitor.expect_text("asked_totals")
    pipeline.wait_for_end_of_work("asked", "asked_totals")
    visitor.button("Undo …").click()
    expect(visitor.page.get_by_role("cell", name="removed")).to_have_count(3)
    visitor.button("Put back 3 partitions").click()

    pipeline.wait_for("the undo", lambda: not list(pipeline.warehouse.glob("asked/*")))
    visitor.expect_text("Put back")
    visitor.open_table("asked")
    visitor.expect_day("2024-01-03", "not loaded")


def test_days_are_asked_for_and_undone_by_keyboard_alone(visit: Visit, pipeline: Pipeline) -> None:
    visitor = visit("ada")
    visitor.open_table("keyboard")
    press = visitor.page.keyboard.press

    visitor.tab_to(visitor.grid)
    press("Home")
    expect(visitor.focus).to_have_accessible_name(re.compile("Mon 2024-01-01"))
    for key in ("ArrowDown", "ArrowRight", "Space", "Shift+ArrowDown", "Shift+ArrowDown"):
        press(key)
    assert _picked(visitor) == ["2024-01-09", "2024-01-10", "2024-01-11"]
    visitor.expect_text("3 days, 3 partitions; replaces nothing.")

    visitor.tab_to(visitor.page.get_by_label("Reason"))
    visitor.page.keyboard.type("by keyboard")
    press("Enter")
    visitor.expect_text("3 of 3 days were published")
    expect(visitor.focus).to_have_accessible_name(re.compile("Reason"))
    [record] = pipeline.records_of_table("done", "keyboard")
    assert record.days.texts() == ["2024-01-09..2024-01-11"]

    visitor.tab_to(visitor.page.get_by_role("link", name=record.id).first)
    press("Enter")
    visitor.tab_to(visitor.button("Undo …"))
    press("Enter")
    put_back = visitor.button("Put back 3 partitions")
    expect(put_back).to_be_visible()
    visitor.tab_to(put_back)
    press("Enter")
    pipeline.wait_for("the undo", lambda: not list(pipeline.warehouse.glob("keyboard/*")))


def test_days_are_picked_by_dragging_and_dropped_by_escape(visit: Visit) -> None:
    visitor = visit("ada")
    visitor.open_table("read_only")

    visitor.day("2024-03-04").hover()
    visitor.page.mouse.down()
    visitor.day("2024-03-12").hover()
    visitor.day("2024-03-06").hover()
    visitor.page.mouse.up()
    visitor.day("2024-03-20").hover()
    assert _picked(visitor) == ["2024-03-04", "2024-03-05", "2024-03-06"]

    visitor.day("2024-04-01").click(modifiers=["Control"])
    expect(visitor.days_field).to_have_value("2024-03-04..2024-03-06, 2024-04-01")

    visitor.page.keyboard.press("Escape")
    assert _picked(visitor) == []


def test_days_are_picked_by_taps(visit: Visit) -> None:
    visitor = visit("ada", width=360, has_touch=True)
    visitor.open_table("read_only")

    for day in ("2024-01-10", "2024-01-12", "2024-01-14", "2024-01-12"):
        visitor.day(day).tap()

    assert _picked(visitor) == ["2024-01-10", "2024-01-14"]
    visitor.button("To the plan").tap()
    expect(visitor.focus).to_have_value("2024-01-10, 2024-01-14")


def test_typed_days_are_picked_and_wrong_ones_get_a_sentence(visit: Visit) -> None:
    visitor = visit("ada")
    visitor.open_table("read_only")
    days = visitor.days_field

    days.fill("2024-06-01..2024-06-03, 2024-07-01")
    expect(visitor.button("Ask for 4 days")).to_be_enabled()
    assert _picked(visitor) == ["2024-06-01", "2024-06-02", "2024-06-03", "2024-07-01"]

    days.fill("2023-12-30..2024-01-02")
    visitor.expect_text("2023-12-30 is before the first day of the table; begin with 2024-01-01")
    expect(visitor.button(re.compile("^Ask"))).to_be_disabled()

    days.fill("2024-06-31")
    visitor.expect_text('"2024-06-31" is not a day or a range; write it like 2013-01-05 or 2013-01-05..2013-01-09')


def test_what_the_server_refuses_is_shown_as_its_sentence(visit: Visit) -> None:
    visitor = visit("ada")
    visitor.open_table("read_only")
    visitor.day("2024-06-03").click()

    visitor.page.get_by_text("More", exact=True).click()
    visitor.page.get_by_label("Parameters").fill('{"nonsense": 1}')

    alert = visitor.page.locator(".rl").get_by_role("alert")
    expect(alert).to_contain_text("nonsense", timeout=PATIENCE_MS)
    expect(visitor.button(re.compile("^Ask"))).to_be_disabled()


def _picked(visitor: Visitor) -> list[str]:
    cells = visitor.grid.locator("[aria-selected=true]")
    return sorted(cells.evaluate_all("cells => cells.map(cell => cell.dataset.day)"))
