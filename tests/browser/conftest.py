"""One stack and one browser for the tests of the Warehouse page, and people who log in to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, StorageState, expect, sync_playwright

from examples.make_source import make_source
from stack.native.folders import Folders
from tests.browser.chromium import ADVICE, find_chromium
from tests.browser.tables import ARRIVING, TABLES, add_check, make_moods
from tests.browser.visitor import Visitor, log_in
from tests.e2e.native_stack import NativeStackUnderTest, running_stack
from tests.e2e.tables import lay_out_gated
from tests.support.clone import CLONE
from tests.support.pipeline import Pipeline

SETTINGS = {
    "RELOADS_SOURCE": "source",
    "RELOADS_RETRIES": "0",
    "RELOADS_RESCAN_SECONDS": "5",
    # Airflow makes up for the last time at its start; from then on the daily load comes when a test asks for it.
    "RELOADS_DAILY_SCHEDULE": "0 0 29 2 *",
    "RELOADS_CATCH_UP_DAYS": "3",
    # ada may ask, vera may only look.
    "AIRFLOW_USERS": "ada:user,vera:viewer",
}
WIDTH, HEIGHT = 1280, 900
LOOK_MS = 20_000

Visit = Callable[..., Visitor]

# Of the package and not of the session: a running Playwright lets no other test have an event loop.


@pytest.fixture(scope="package")
def chromium() -> str:
    path = find_chromium()
    if path is None:
        pytest.skip(ADVICE)
    return path


@pytest.fixture(scope="package")
def stack(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NativeStackUnderTest]:
    assert chromium
    folders = Folders(home=tmp_path_factory.mktemp("browser") / "a home", clone=CLONE)
    lay_out_gated(folders.home, TABLES, arriving=ARRIVING)
    add_check(folders.home / "tables")
    make_source(folders.home / "source")
    with running_stack(folders, SETTINGS) as running:
        yield NativeStackUnderTest(running)


@pytest.fixture(scope="package")
def pipeline(stack: NativeStackUnderTest) -> Pipeline:
    return Pipeline(stack)


@pytest.fixture(scope="package")
def browser(chromium: str) -> Iterator[Browser]:
    expect.set_options(timeout=LOOK_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def logins() -> dict[str, StorageState]:
    """The cookies of those who logged in."""
    return {}


@pytest.fixture
def visit(browser: Browser, stack: NativeStackUnderTest, logins: dict[str, StorageState]) -> Iterator[Visit]:
    """``visit("ada")`` logs in as ada; ``visit("")`` as nobody. ``theme``, ``width`` and ``has_touch`` say how."""
    contexts: list[BrowserContext] = []
    visitors: list[Visitor] = []

    def begin(name: str, *, theme: str = "light", width: int = WIDTH, has_touch: bool = False) -> Visitor:
        if name and name not in logins:
            logins[name] = _log_in(browser, stack, name)
        context = browser.new_context(
            storage_state=logins.get(name), has_touch=has_touch, viewport={"width": width, "height": HEIGHT}
        )
        contexts.append(context)
        context.add_init_script(f"localStorage.setItem('theme', '{theme}')")
        visitor = Visitor(context.new_page(), stack.url)
        visitor.page.on("pageerror", lambda error: visitor.complaints.append(str(error)))
        visitor.page.on("dialog", lambda dialog: visitor.complaints.append(f"a dialog: {dialog.message}"))
        visitors.append(visitor)
        return visitor

    yield begin
    for context in contexts:
        context.close()
    assert [complaint for visitor in visitors for complaint in visitor.complaints] == []


@pytest.fixture(scope="package")
def moods(pipeline: Pipeline) -> Pipeline:
    """The pipeline once days of its tables are in every state that lasts."""
    make_moods(pipeline)
    return pipeline


def _log_in(browser: Browser, stack: NativeStackUnderTest, name: str) -> StorageState:
    """The cookies after a login at Airflow's own login page."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{stack.url}/plugin/reloads")
    log_in(page, name, stack.password_of(name))
    expect(page.locator(".rl h1")).to_be_visible()
    # Not into a file: Playwright writes that in a thread, which stays.
    state = context.storage_state()
    context.close()
    return state
