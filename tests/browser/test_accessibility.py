"""Every view is usable by those who cannot see or point, in light and dark; its pictures are kept to be looked at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.browser.conftest import HEIGHT, Visit
from tests.browser.visitor import Visitor
from tests.support.clone import CLONE
from tests.support.pipeline import Pipeline

SCREENSHOTS = CLONE / ".local" / "screenshots"
# A page in Airflow takes seconds to load, so each is made narrow and not loaded once more.
WIDTHS = {"light": {"": 1280, "-narrow": 360}, "dark": {"": 1280}}
SERIOUS = {"serious", "critical"}
IS_TOO_WIDE = """() => {
    const page = document.querySelector(".rl");
    return page.scrollWidth > page.clientWidth || document.documentElement.scrollWidth > window.innerWidth;
}"""

VIEWS: Mapping[str, Mapping[str, str]] = {
    "tables": {},
    "table": {"table": "moods", "year": "2024", "day": "2024-05-07"},
    "stale": {"table": "moods_totals", "year": "2024", "day": "2024-05-02"},
    "rows": {"table": "moods", "year": "2024", "colour": "rows"},
    "keys": {"table": "departures", "year": "2013", "keys": "rows"},
    "requests": {"view": "requests"},
    "rejected": {"view": "requests", "state": "rejected"},
}


@pytest.mark.parametrize("theme", WIDTHS)
@pytest.mark.parametrize("view", VIEWS)
def test_a_view_has_no_serious_fault(visit: Visit, moods: Pipeline, view: str, theme: str) -> None:
    assert moods
    visitor = visit("ada", theme=theme)
    visitor.open(**VIEWS[view])
    _assert_sound(visitor, view, theme)


@pytest.mark.parametrize("theme", WIDTHS)
def test_a_failed_request_has_no_serious_fault(visit: Visit, moods: Pipeline, theme: str) -> None:
    [failed] = moods.records("failed", "moods.json")
    visitor = visit("ada", theme=theme)
    visitor.open(view="requests", id=failed.id)
    visitor.button("Undo …").click()
    expect(visitor.page.get_by_role("table")).to_be_visible()
    _assert_sound(visitor, "request", theme)


@pytest.mark.parametrize("theme", WIDTHS)
def test_a_plan_has_no_serious_fault(visit: Visit, moods: Pipeline, theme: str) -> None:
    assert moods
    visitor = visit("ada", theme=theme)
    visitor.open_table("moods")
    visitor.days_field.fill("2024-05-01..2024-05-03, 2024-06-01")
    visitor.expect_text("4 days, 4 partitions; replaces")
    _assert_sound(visitor, "plan", theme)


@pytest.mark.parametrize("theme", WIDTHS)
def test_a_tab_has_no_serious_fault_of_ours(visit: Visit, moods: Pipeline, theme: str) -> None:
    assert moods
    visitor = visit("ada", theme=theme)
    visitor.open("/dags/rewrite_moods/plugin/reloads-table", year="2024")
    expect(visitor.grid).to_be_visible()
    _assert_sound_now(visitor, f"tab-{theme}")


def _assert_sound(visitor: Visitor, name: str, theme: str) -> None:
    for suffix, width in WIDTHS[theme].items():
        visitor.page.set_viewport_size({"width": width, "height": HEIGHT})
        _assert_sound_now(visitor, f"{name}-{theme}{suffix}")


def _assert_sound_now(visitor: Visitor, name: str) -> None:
    page = visitor.page
    expect(page.locator(".rl").get_by_text("Loading")).to_have_count(0)
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    (SCREENSHOTS / f"{name}.png").write_bytes(page.screenshot())
    # Of the whole page, only what is ours: Airflow's own buttons are Airflow's.
    found: list[dict[str, Any]] = Axe().run(page, context=".rl").response["violations"]
    faults = {fault["id"]: [node["target"] for node in fault["nodes"]] for fault in found if fault["impact"] in SERIOUS}
    assert faults == {}
    assert not page.evaluate(IS_TOO_WIDE), "the page does not scroll sideways"
