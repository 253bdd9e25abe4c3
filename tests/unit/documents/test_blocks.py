"""A newcomer who does what the documents say, block by block, gets what they promise."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.documents.pages import CLONE, Page, names_of, pages
from tests.unit.documents.walk import Walk, is_for_doing

README = Page("README.md")
TABLES = Page("docs/tables.md")
LIVE = {"docs/tutorial.md"}
"""Nothing of it works without a pipeline: tests/e2e/test_tutorial.py does what it says."""
OWN = {"docs/snapshots.md", "docs/object-store.md", "examples/kubernetes/README.md"}
"""The readers of the first are programs in Python, and test_snapshots.py does what it says. The second needs a bucket,
as test_store_files.py has one. The third needs a cluster, which nobody here has, and says so; test_kubernetes.py
renders its pods."""
WITH_BLOCKS = [page for page in pages() if page.name not in LIVE | OWN and any(map(is_for_doing, page.blocks()))]
EXAMPLES = sorted((CLONE / "landing" / "examples").glob("*.json"))

WalkThrough = Callable[[Page], Walk]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample source."""
    source = tmp_path_factory.mktemp("source")
    subprocess.run([sys.executable, str(CLONE / "examples" / "make_source.py"), str(source)], check=True)
    return source


@pytest.fixture(scope="module")
def walk_through(source: Path, tmp_path_factory: pytest.TempPathFactory) -> WalkThrough:
    """``walk_through(page)`` does all that the page says, each page once and in a home of its own."""
    walks: dict[Page, Walk] = {}

    def walk(page: Page) -> Walk:
        if page not in walks:
            walks[page] = Walk.begin(tmp_path_factory.mktemp("home"), source=source).through(page)
        return walks[page]

    return walk


def test_the_manual_has_blocks_to_try() -> None:
    manual = {"README.md", "CONTRIBUTING.md", "docs/requests.md", "docs/tables.md", "docs/operations.md"}
    manual |= {"docs/existing-airflow.md"}
    assert {page.name for page in WITH_BLOCKS} == manual


@pytest.mark.parametrize("page", WITH_BLOCKS, ids=names_of)
def test_every_block_of_a_page_works(walk_through: WalkThrough, page: Page) -> None:
    walk_through(page)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_request_is_good(walk_through: WalkThrough, example: Path) -> None:
    assert "good: " in walk_through(README).succeed(f"reloads check landing/examples/{example.name}")


def test_the_query_of_the_readme_reads_the_warehouse(walk_through: WalkThrough) -> None:
    [query] = [block.text for block in README.blocks() if block.language == "sql"]
    rows = walk_through(README).ask_warehouse(query)
    flights = {str(day): flights for day, flights, _ in rows}
    assert flights == {"2013-01-01": 842, "2013-01-02": 943, "2013-01-03": 914}


def test_the_table_of_the_readme_follows_the_table_that_it_reads(walk_through: WalkThrough) -> None:
    walk = walk_through(README)
    walk.succeed("reloads run flights 2013-01-04")
    walk.succeed("reloads run airports 2013-01-04")
    [(airports,)] = walk.ask_warehouse("select count(*) from 'warehouse/airports/flight_date=2013-01-04/*.parquet'")
    assert airports == 3


def test_the_table_of_the_manual_has_the_rows_that_its_parameter_lets_in(walk_through: WalkThrough) -> None:
    walk = walk_through(TABLES)
    rows = walk.ask_warehouse("select page, visits from 'warehouse/visits/event_date=2024-01-01/*.parquet'")
    assert rows == [("welcome", 30)]


def test_the_checks_of_the_manual_refuse_and_warn_as_it_says(walk_through: WalkThrough) -> None:
    walk = walk_through(TABLES)
    file = walk.home / ".local" / "source" / "visits" / "2024-01-01.csv"

    file.write_text("event_date,page,visits\n2024-01-01,welcome,3\n", encoding="utf-8")
    halved = walk.run("reloads run visits 2024-01-01")
    assert halved.returncode == 0
    assert "warning: the check visits_are_not_halved of 2024-01-01 says" in halved.stderr

    file.write_text('event_date,page,visits\n2024-01-01,"",3\n', encoding="utf-8")
    nameless = walk.run("reloads run visits 2024-01-01")
    assert nameless.returncode == 1
    assert "the check pages_have_names of 2024-01-01 says" in nameless.stderr
