"""Take the pictures of the manual from the running product: ``python -m docs.site.pictures`` writes docs/pictures.

A stack of its own runs in a temporary folder, on free ports. The tutorial is walked through beside it, so the pictures
show what a reader sees.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from playwright.sync_api import Browser, expect, sync_playwright

from docs.site.navigation import CLONE
from examples.make_source import make_source
from stack.native.folders import Folders
from tests.browser.chromium import ADVICE, find_chromium
from tests.browser.visitor import PAGE, Visitor, log_in
from tests.e2e.native_stack import NativeStackUnderTest, running_stack
from tests.support.clone import copy_tables
from tests.unit.documents.live_walk import LiveWalk
from tests.unit.documents.pages import Page

PICTURES = CLONE / "docs" / "pictures"
THEMES = ("light", "dark")
SIZE = {"width": 1280, "height": 800}
COLOURS = 128
LOOK_MS = 60_000
SETTINGS = {"RELOADS_RESCAN_SECONDS": "5", "RELOADS_DAILY_SCHEDULE": "0 0 29 2 *"}
"""The clock asks for nothing meanwhile."""


@dataclass(frozen=True)
class Camera:
    """Who takes the pictures: the administrator, in a browser of a fixed size."""

    browser: Browser
    stack: NativeStackUnderTest

    def take(self, name: str, arrange: Callable[[Visitor], None]) -> None:
        """A picture in light and one in dark of what ``arrange`` brings onto the page."""
        for theme in THEMES:
            context = self.browser.new_context(viewport=SIZE, color_scheme=theme, reduced_motion="reduce")  # type: ignore[arg-type]
            context.add_init_script(f"localStorage.setItem('theme', '{theme}')")
            page = context.new_page()
            page.goto(self.stack.url + PAGE)
            log_in(page, self.stack.user, self.stack.password)
            expect(page.locator(".rl h1")).to_be_visible()
            arrange(Visitor(page, self.stack.url))
            page.mouse.move(0, 0)
            _keep(page.screenshot(animations="disabled"), PICTURES / f"{name}-{theme}.png")
            context.close()


def take_pictures(walk: LiveWalk, camera: Camera) -> None:
    """Do what the tutorial says, and take its pictures on the way."""
    chapters = iter(Page("docs/tutorial.md").chapters().items())
    # The demo of the first chapter loads this month, too.
    shutil.copy(CLONE / "landing" / "examples" / "january-2013.json", walk.home / "landing")
    for heading, blocks in chapters:
        walk.do_and_listen(blocks)
        for name, arrange in _arrangements(walk).get(heading, {}).items():
            camera.take(name, arrange)


def _arrangements(walk: LiveWalk) -> dict[str, dict[str, Callable[[Visitor], None]]]:
    """The pictures to take at the end of a chapter."""
    return {
        "2. Look around": {"overview": _open_overview, "calendar": _open_calendar, "ask": _pick_days},
        "5. Reload a day": {"day": _open_day, "undo": lambda visitor: _open_undo(visitor, walk.last_request())},
    }


def _open_overview(visitor: Visitor) -> None:
    visitor.open()
    visitor.expect_text("daily_delays")


def _open_calendar(visitor: Visitor) -> None:
    visitor.open_table("flights", 2013)
    visitor.expect_day("2013-01-15", "fresh")


def _pick_days(visitor: Visitor) -> None:
    visitor.open_table("weather", 2013)
    visitor.day("2013-01-15").click()
    visitor.day("2013-01-17").click(modifiers=["Shift"])
    visitor.page.get_by_label("Reason").fill("the weather service corrected them")
    visitor.expect_text(re.compile("3 days, 3 partitions"))


def _open_day(visitor: Visitor) -> None:
    visitor.open_table("orders", 2024)
    visitor.day("2024-01-03").click()
    visitor.expect_text("Versions")
    visitor.expect_text(re.compile("1 day, 1 partition"))


def _open_undo(visitor: Visitor, request: str) -> None:
    visitor.open(view="requests", id=request)
    visitor.button("Undo …").click()
    expect(visitor.button("Put back 1 partition")).to_be_visible()
    visitor.button("Put back 1 partition").scroll_into_view_if_needed()


def _keep(png: bytes, path: Path) -> None:
    """Write a picture with a palette, which takes a third of the room."""
    path.parent.mkdir(exist_ok=True)
    picture = Image.open(BytesIO(png)).convert("RGB")
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


@contextmanager
def _running(home: Path) -> Iterator[NativeStackUnderTest]:
    """The stack as a fresh clone has it after `make up`."""
    copy_tables(home)
    make_source(home / ".local" / "source")
    with running_stack(Folders(home=home, clone=CLONE), SETTINGS) as stack:
        yield NativeStackUnderTest(stack)


def main() -> int:
    """Take all pictures; the exit code is 1 where there is no browser."""
    chromium = find_chromium()
    if chromium is None:
        print(ADVICE, file=sys.stderr)
        return 1
    expect.set_options(timeout=LOOK_MS)
    os.environ["LOGNAME"] = "ada"  # who asks at the command line
    with TemporaryDirectory() as folder, _running(Path(folder) / "reloads") as stack, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium)
        take_pictures(LiveWalk(stack.home), Camera(browser, stack))
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
