"""The policy that goes with Airflow's documents stops what is not Airflow's, and nothing of Airflow's own pages."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.visitor import Visitor

PAGES = (
    *("/", "/dags", "/assets", "/dags/rewrite_flights", "/dags/rewrite_flights/runs", "/dags/rewrite_flights/details"),
    *("/dags/request_partitions/calendar", "/pools", "/variables", "/plugins", "/jobs", "/xcoms", "/plugin/reloads"),
)


WATCH = """
window.violations = 0;
addEventListener("securitypolicyviolation", (event) => {
    window.violations += 1;
    report(`${event.violatedDirective} ${event.blockedURI}`);
});
"""


def watched(visit: Visit) -> tuple[Visitor, list[str]]:
    """An administrator, and what the policy kept from loading."""
    visitor, violations = visit("admin"), list[str]()

    def report(violation: str) -> None:
        violations.append(violation)

    visitor.page.expose_function("report", report)
    visitor.page.add_init_script(WATCH)
    return visitor, violations


def test_no_page_of_airflow_needs_what_the_policy_forbids(visit: Visit) -> None:
    visitor, violations = watched(visit)
    for path in PAGES:
        visitor.page.goto(f"{visitor.url}{path}")
        visitor.page.wait_for_load_state("networkidle")
        expect(visitor.page.get_by_role("link", name="Dags").first).to_be_visible()
    assert violations == []


def test_neither_do_the_viewer_of_code_the_graph_and_the_form(visit: Visit) -> None:
    visitor, violations = watched(visit)
    page = visitor.page
    page.goto(f"{visitor.url}/dags/rewrite_flights/code")
    expect(page.locator(".monaco-editor .view-line").first).to_be_visible()
    page.goto(f"{visitor.url}/dags/rewrite_flights")
    expect(page.get_by_role("heading", name="rewrite_flights")).to_be_visible()
    page.keyboard.press("g")
    expect(page.locator(".react-flow__node").first).to_be_visible()
    page.goto(f"{visitor.url}/dags/request_partitions")
    page.get_by_role("button", name="Trigger").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert violations == []


def test_a_script_that_somebody_smuggled_into_a_document_does_not_run(visit: Visit) -> None:
    visitor, violations = watched(visit)
    visitor.open()
    visitor.page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "window.smuggled = true";
            document.body.append(script);
            const image = document.createElement("div");
            image.innerHTML = "<img src=nothing: onerror='window.smuggled = true'>";
            document.body.append(image);
        }"""
    )
    visitor.page.wait_for_function("window.violations >= 2")
    assert visitor.page.evaluate("window.smuggled") is None
    assert len(violations) >= 2
