"""``reloads tables`` says what the Warehouse page says: sums, lineage, and what a table is."""

from __future__ import annotations

from pathlib import Path

import pytest

from reloads.inspection.calendar_json import summary_values
from reloads.inspection.overview import Overview
from reloads.warehouse.upgrade import open_catalog
from tests.support.chain import NOW, Chain
from tests.support.command_line import Printed, call


@pytest.fixture
def loaded(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> Chain:
    """The chain with three days of its first table loaded and one between them missing, and an open request."""
    monkeypatch.setenv("RELOADS_HOME", str(chain.settings.home))
    monkeypatch.setenv("RELOADS_TIME_ZONE", "UTC")
    chain.ask("a", "2025-01-01", "2025-01-04", exclude_dates=["2025-01-03"], cascade=False)
    chain.run("a")
    chain.ask("b", "2025-01-01")
    (chain.settings.tables / "a" / "README.md").write_text("# A\n\nAll amounts.\n\nMore of it.\n")
    checks = "create view amounts_are_there as from new where amount is null;"
    (chain.settings.tables / "a" / "checks.sql").write_text(checks)
    return chain


def tables(*arguments: str, width: int | None = None) -> Printed:
    return call("tables", *arguments, width=width, clock=lambda: NOW)


def test_the_sums_are_those_of_the_page(loaded: Chain) -> None:
    catalog = open_catalog(loaded.settings)
    summaries = Overview(loaded.settings).summarize(catalog, now=NOW)
    listed = {each["name"]: each for each in tables("--json").json["tables"]}
    assert list(listed) == list(catalog.lineage.load_order())
    for name, summary in summaries.items():
        assert summary is not None
        for field, value in summary_values(summary).items():
            assert listed[name][field] == value
    assert (listed["a"]["published_days"], listed["a"]["gaps"], listed["b"]["open_requests"]) == (3, 1, 1)


def test_a_row_has_days_gaps_stale_days_rows_and_open_requests(loaded: Chain) -> None:
    loaded.define("a", "select day, amount + 1 as amount from raw")
    cells = {line.split("\t")[0]: line.split("\t")[1:] for line in tables().lines}
    assert cells["a"][:4] == ["3", "1", "3", "3"]
    assert cells["b"][:4] == ["0", "0", "0", "0"]
    assert [cells[name][5] for name in "ab"] == ["0", "1"]


def test_one_table_says_what_it_is_reads_and_is_read_by(loaded: Chain) -> None:
    value = tables("a", "--json").json
    assert loaded.settings.tables.is_dir()
    assert (value["inputs"], value["downstream"]) == ({}, {"b": 1, "c": 7})
    assert value["checks"] == ["amounts_are_there"]
    assert value["text"] == "# A\n\nAll amounts.\n\nMore of it."
    assert value["settings"]["history_days"] == 7
    assert value["published"] == ["2025-01-01..2025-01-02", "2025-01-04"]
    lines = tables("c").lines
    assert "reads\ta (7 days)" in lines
    assert "read by\td" in lines


def test_the_lineage_is_a_tree_from_the_tables_that_read_no_other(loaded: Chain) -> None:
    assert loaded.settings.tables.is_dir()
    assert tables("--lineage").lines == ["a", "  b", "    d", "  c (reads 7 days)", "    d"]
    assert tables("c", "--lineage").lines == ["c", "  d"]
    assert tables("--lineage", "--json").json["tables"][-1] == {
        "name": "d",
        "inputs": {"b": 1, "c": 1},
        "downstream": {},
    }


def test_a_broken_table_hides_no_other_and_has_its_sentence(loaded: Chain) -> None:
    (loaded.settings.tables / "d" / "query.sql").write_text("selec 1")
    told = tables()
    assert told.code == 0
    assert told.lines[-1].startswith("broken: ")
    assert [each["name"] for each in tables("--json").json["broken"]] == ["d"]
    assert tables("d").code == 1


def test_a_table_that_is_not_there_is_a_sentence(loaded: Chain, tmp_path: Path) -> None:
    assert loaded.settings.home == tmp_path
    assert "table 'aa' is unknown; known tables are a" in tables("aa").err
    assert "table 'aa' is unknown; known tables are a" in tables("aa", "--lineage").err
