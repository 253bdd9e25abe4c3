"""Which pages the site has, in which order, and under which headings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

CLONE = Path(__file__).resolve().parents[2]
START = "README.md"
HOW_TO = "How to"

SECTIONS: Mapping[str, tuple[str, ...]] = {
    "Start": (START, "docs/tutorial.md"),
    HOW_TO: (
        "docs/requests.md",
        "docs/page.md",
        "docs/tables.md",
        "docs/operations.md",
        "docs/existing-airflow.md",
        "docs/monitoring.md",
        "docs/snapshots.md",
        "docs/growing.md",
        "docs/object-store.md",
        "docs/deployments.md",
    ),
    "Reference": (
        "docs/reference/request.md",
        "docs/reference/table.md",
        "docs/reference/settings.md",
        "docs/reference/commands.md",
        "docs/reference/views.md",
        "docs/reference/api.md",
    ),
    "Behind it": ("docs/architecture.md", "benchmarks/RESULTS.md", "CONTRIBUTING.md", "CHANGELOG.md"),
}
"""The order of the pages. A page of the manual that no section names comes last among those that say how to."""


TITLES: Mapping[str, str] = {
    START: "What it is",
    "docs/requests.md": "Ask, follow, undo",
    "docs/page.md": "Use the Warehouse page",
    "docs/tables.md": "Add a table",
    "docs/operations.md": "Run it in production",
    "docs/existing-airflow.md": "Use your own Airflow",
    "docs/monitoring.md": "Get messages and metrics",
    "docs/snapshots.md": "Read whole runs",
    "docs/growing.md": "Grow",
    "docs/object-store.md": "Keep it in an object store",
    "docs/deployments.md": "Choose a deployment",
    "benchmarks/RESULTS.md": "Benchmarks",
}
"""What a page is called in the navigation, where its own heading would not say what it is good for."""


def sections(clone: Path = CLONE) -> Iterator[tuple[str, list[str]]]:
    """Each heading with the pages below it, as they are in the clone."""
    named = {page for pages in SECTIONS.values() for page in pages}
    found = [path.relative_to(clone).as_posix() for path in sorted(clone.glob("docs/**/*.md"))]
    others = [page for page in found if page not in named]
    for heading, pages in SECTIONS.items():
        listed = [page for page in pages if (clone / page).exists()]
        yield heading, [*listed, *others] if heading == HOW_TO else listed
