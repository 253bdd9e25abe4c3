"""How long a person waits for the Warehouse page, from the click to what is painted, in a browser with an empty cache.

    python -m benchmarks.page --home FOLDER    # makes the 50 tables
    RELOADS_TABLES=FOLDER/tables RELOADS_WAREHOUSE=FOLDER/warehouse RELOADS_LANDING=FOLDER/landing make up
    python -m benchmarks.page_in_browser URL PASSWORD

Prints a table for `benchmarks/RESULTS.md`. The browser itself takes the times: a test tool that waits for an element
looks for it in growing pauses, of half a second in the end.
"""

from __future__ import annotations

import argparse
from statistics import median

from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.chromium import find_chromium

ROUNDS = 5
OF_KEYS, OF_ONE = "t49", "t20"
MENU = 'a[href*="plugin/reloads"]'
WATCH = """selector => {
  window.clickToPaint = new Promise(resolve => {
    let clicked;
    document.addEventListener('click', () => { clicked = performance.now(); }, {once: true, capture: true});
    const look = () => {
      if (clicked === undefined || !document.querySelector(selector)) return setTimeout(look, 5);
      requestAnimationFrame(() => requestAnimationFrame(() => resolve(performance.now() - clicked)));
    };
    look();
  });
}"""


def main() -> None:
    """Time a running stack and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", help="where Airflow answers")
    parser.add_argument("password", help="of the user admin")
    arguments = parser.parse_args()
    seconds: dict[str, list[float]] = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
        for _ in range(ROUNDS):
            for name, taken in time_views(browser, arguments.url, arguments.password).items():
                seconds.setdefault(name, []).append(taken)
        browser.close()
    print("| from the click to | median s | least | most |\n|---|---|---|---|")
    for name, values in seconds.items():
        print(f"| {name} | {median(values):.2f} | {min(values):.2f} | {max(values):.2f} |")


def time_views(browser: Browser, url: str, password: str) -> dict[str, float]:
    """Seconds for each view, by a browser that has seen nothing of the page yet."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(url)
    page.fill("input[name=username]", "admin")
    page.fill("input[name=password]", password)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda address: "login" not in address)
    page.wait_for_load_state("networkidle")
    seconds = {
        "the list of the tables, for the first time": time_click(page, MENU, "tbody tr"),
        "the calendar of the table with 20 keys": time_click(page, f'tbody a:text-is("{OF_KEYS}")', "[role=gridcell]"),
        "the list again": time_click(page, MENU, "tbody tr"),
        "the calendar of a table": time_click(page, f'tbody a:text-is("{OF_ONE}")', "[role=gridcell]"),
    }
    context.close()
    return seconds


def time_click(page: Page, target: str, result: str) -> float:
    """Seconds from the click on the target until the result is painted."""
    page.evaluate(WATCH, result)
    page.click(target)
    return float(page.evaluate("window.clickToPaint")) / 1000


if __name__ == "__main__":
    main()
