"""A person in front of the Warehouse page: what they open, find, pick and read there."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import urlencode

from playwright.sync_api import Locator, Page, expect

PAGE = "/plugin/reloads"
PATIENCE_MS = 90_000
"""How long a request may take on a busy machine."""


@dataclass
class Visitor:
    """Somebody who is logged in; ``complaints`` are the errors that the browser had to report."""

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)

    def open(self, path: str = PAGE, **query: str) -> None:
        """Go to a page, and wait until ours is there."""
        self.page.goto(self.url + path + (f"?{urlencode(query)}" if query else ""))
        # Airflow shows that there is no such page until it has the list of plugins.
        expect(self.page.locator(".rl").get_by_role("heading").first).to_be_visible(timeout=PATIENCE_MS)

    def open_table(self, name: str, year: int = 2024) -> None:
        self.open(table=name, year=str(year))
        expect(self.grid).to_be_visible()

    @property
    def grid(self) -> Locator:
        """The heat map."""
        return self.page.get_by_role("grid").first

    def day(self, day: str) -> Locator:
        """A cell of the heat map; its name says what there is to know of the day."""
        return self.grid.get_by_role("gridcell", name=re.compile(day))

    def expect_day(self, day: str, words: str) -> None:
        """Wait until a cell says so."""
        cell = self.grid.get_by_role("gridcell", name=re.compile(f"{day}: {re.escape(words)}"))
        expect(cell).to_be_visible(timeout=PATIENCE_MS)

    @property
    def days_field(self) -> Locator:
        """Where days are typed."""
        return self.page.get_by_role("textbox", name="Days", exact=True)

    def button(self, name: str | re.Pattern[str]) -> Locator:
        return self.page.get_by_role("button", name=name)

    def expect_text(self, text: str | re.Pattern[str]) -> None:
        """Wait until the page says so somewhere."""
        expect(self.page.locator(".rl").get_by_text(text).first).to_be_visible(timeout=PATIENCE_MS)

    @property
    def focus(self) -> Locator:
        """What has the keyboard's focus."""
        return self.page.locator(":focus")

    def tab_to(self, target: Locator, *, at_most: int = 60) -> None:
        """Press Tab until the target has the focus; fails if it cannot be reached."""
        for _ in range(at_most):
            if target.evaluate(
                "element => element === document.activeElement || element.contains(document.activeElement)"
            ):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"{at_most} presses of Tab do not lead to {target}")


def log_in(page: Page, name: str, password: str) -> None:
    """Fill in Airflow's own login page."""
    page.locator("input[name=username]").fill(name)
    page.locator("input[name=password]").fill(password)
    page.keyboard.press("Enter")
