"""The text of a table: its README first, and nothing that keeps a DAG file from being read."""

from __future__ import annotations

from pathlib import Path

import pytest

from reloads.tables.catalog import Catalog
from reloads.tables.definition import table_names
from reloads.tables.table_text import (
    MAX_CHARACTERS,
    SUMMARY_CHARACTERS,
    describe_table,
    find_likely_inputs,
    read_text,
    summarize,
)
from tests.conftest import define_table
from tests.support.clone import CLONE


def test_the_readme_comes_before_other_texts(tmp_path: Path) -> None:
    (tmp_path / "sales").mkdir()
    (tmp_path / "sales" / "CHANGES.md").write_text("Changes.")
    assert read_text(tmp_path, "sales") == "Changes."
    (tmp_path / "sales" / "README.md").write_text("# sales\n\nSold goods.\n")
    assert read_text(tmp_path, "sales") == "# sales\n\nSold goods."


@pytest.mark.parametrize("name", ["nowhere", "sales"])
def test_a_table_without_a_text_has_an_empty_one(tmp_path: Path, name: str) -> None:
    (tmp_path / "sales" / "README.md").mkdir(parents=True)
    assert (read_text(tmp_path, name), summarize(read_text(tmp_path, name))) == ("", "")
    assert describe_table(tmp_path, name).startswith(f"### {name}\n")


def test_any_bytes_are_a_text_and_no_more_is_shown_than_fits(tmp_path: Path) -> None:
    (tmp_path / "sales").mkdir()
    (tmp_path / "sales" / "README.md").write_bytes(b"\xff" * 100_000)
    assert len(read_text(tmp_path, "sales")) == MAX_CHARACTERS
    assert len(summarize(read_text(tmp_path, "sales"))) == SUMMARY_CHARACTERS


@pytest.mark.parametrize(
    ("text", "summary"),
    [
        ("# sales\n\nSold goods,  one row each.\n\nMore.", "Sold goods, one row each"),
        ("Sold goods.\n# sales", "Sold goods"),
        ("# Sold goods", "Sold goods"),
        ("\n \n", ""),
    ],
)
def test_the_summary_is_the_first_line_that_is_not_a_heading(text: str, summary: str) -> None:
    assert summarize(text) == summary


def test_the_page_tells_first_day_clock_keys_inputs_and_how_to_ask(tmp_path: Path) -> None:
    define_table(tmp_path, "visits", "select 1")
    define_table(tmp_path, "shops", "select 1")
    query = "-- from shops\nselect * from VISITS v, other join (select * from sales) using (day)"
    define_table(tmp_path, "sales", query, 'daily = true\nkeys = ["shop"]\nreads = { visits = "7 days" }')
    page = describe_table(tmp_path, "sales")
    for line in (
        "* **First day**: 2024-01-01",
        "* **Daily**: yes, the clock asks for yesterday once a day",
        "* **Keys**: shop",
        "* **Reads**: visits (7 days)",
        '`{"table": "sales", "start_date": "2024-01-01", "reason": "late files"}`',
    ):
        assert line in page


def test_a_broken_folder_has_a_page_all_the_same(tmp_path: Path) -> None:
    define_table(tmp_path, "sales", "select 1")
    (tmp_path / "sales" / "table.toml").write_text("daily = ")
    (tmp_path / "sales" / "query.sql").unlink()
    assert "**Reads**: no other table" in describe_table(tmp_path, "sales")


def test_of_the_tables_here_the_likely_inputs_are_those_that_the_parser_finds() -> None:
    for name, table in Catalog.load(CLONE / "tables").tables.items():
        assert find_likely_inputs(CLONE / "tables", name) == set(table.inputs), name


def test_every_table_here_has_a_text() -> None:
    for name in table_names(CLONE / "tables"):
        assert summarize(read_text(CLONE / "tables", name)), name
