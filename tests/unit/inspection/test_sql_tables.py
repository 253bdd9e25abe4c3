"""Each table is a view of its name: what is published of it, typed, and nothing else that lies there."""

from __future__ import annotations

from datetime import date
from io import IOBase
from pathlib import Path
from typing import Any

import pytest

from reloads.errors import RequestError
from reloads.inspection.read_only_files import ReadOnlyFiles
from reloads.inspection.sql_query import query_views
from reloads.inspection.sql_views import open_views
from reloads.settings import Settings
from tests.support.chain import Chain

FIRST = date(2025, 1, 1)


def ask(settings: Settings, statement: str) -> list[tuple[Any, ...]]:
    with open_views(settings, query=statement) as db:
        return query_views(db, statement).fetchall()


def columns(settings: Settings, table: str) -> dict[str, str]:
    return dict(ask(settings, f"select column_name, column_type from (describe from {table})"))


@pytest.fixture
def loaded(chain: Chain) -> Chain:
    """The chain with a table that has a key, two days of each table loaded."""
    query = "select day, lpad(amount::varchar, 2, '0') as shop, amount % 2 as odd, amount from a"
    chain.define("shops", query, 'keys = ["shop", "odd"]')
    chain.ask("a", "2025-01-01", "2025-01-02")
    chain.ask("shops", "2025-01-01", "2025-01-02")
    chain.work_off("a", "shops")
    return chain


def test_a_table_has_its_rows_with_the_day_and_the_keys_as_typed_columns(loaded: Chain) -> None:
    assert ask(loaded.settings, "from a order by day") == [(FIRST, 1), (date(2025, 1, 2), 2)]
    assert ask(loaded.settings, "from shops order by day limit 1") == [(FIRST, "01", 1, 1)]
    assert columns(loaded.settings, "shops") == {
        "day": "DATE",
        "shop": "VARCHAR",
        "odd": "INTEGER",
        "amount": "INTEGER",
    }


def test_a_table_of_which_nothing_is_published_is_empty(chain: Chain) -> None:
    assert ask(chain.settings, "select count(*) from a") == [(0,)]


def test_only_published_files_are_read(loaded: Chain) -> None:
    folder = loaded.settings.warehouse / "a"
    stray = folder / "day=2025-01-09"
    stray.mkdir()
    (stray / "other.parquet").write_bytes((folder / "day=2025-01-01/data.parquet").read_bytes())
    (folder / "copy.parquet").write_bytes((folder / "day=2025-01-01/data.parquet").read_bytes())
    assert ask(loaded.settings, "select count(*) from a") == [(2,)]


def test_a_column_that_came_later_is_null_in_older_partitions(loaded: Chain) -> None:
    loaded.define("a", "select day, amount, 'x' as remark from raw", 'on_schema_change = "append"')
    loaded.ask("a", "2025-01-01", cascade=False)
    loaded.run("a")
    assert ask(loaded.settings, "select amount, remark from a order by day") == [(1, "x"), (2, None)]


@pytest.mark.parametrize("name", ["requests", "partitions", "calendar"])
def test_a_table_with_the_name_of_a_view_is_in_the_schema_and_the_view_stays(loaded: Chain, name: str) -> None:
    before = columns(loaded.settings, name)
    loaded.define(name, "select day, amount from a")
    loaded.ask(name, "2025-01-01")
    loaded.run(name)
    assert ask(loaded.settings, f"from tables.{name}") == [(FIRST, 1)]
    assert columns(loaded.settings, name) == before
    assert ask(loaded.settings, "select count(*) from tables.a") == [(2,)]


def test_a_table_that_cannot_be_read_fails_its_own_query_and_no_other(loaded: Chain) -> None:
    (loaded.settings.warehouse / "a/day=2025-01-01/data.parquet").write_bytes(b"no parquet")
    assert ask(loaded.settings, "select count(*) from shops join requests on requests.table = 'a'") == [(2,)]
    with pytest.raises(RequestError, match="the table a cannot be read"):
        ask(loaded.settings, "from a")


def test_a_table_reads_nothing_outside_the_warehouse(loaded: Chain, tmp_path: Path) -> None:
    outside = tmp_path / "outside.parquet"
    file = loaded.settings.warehouse / "a/day=2025-01-01/data.parquet"
    file.rename(outside)
    file.symlink_to(outside)
    with pytest.raises(RequestError):
        ask(loaded.settings, "from a")


def test_the_day_leaves_out_files_without_opening_them(loaded: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    open_file = ReadOnlyFiles.open

    def note_and_open(files: ReadOnlyFiles, path: str, *rest: Any) -> IOBase:
        opened.append(path)
        return open_file(files, path, *rest)

    monkeypatch.setattr(ReadOnlyFiles, "open", note_and_open)
    assert ask(loaded.settings, "select amount from a where day = '2025-01-01'") == [(1,)]
    assert {path for path in opened if path.startswith("warehouse")} == {"warehouse://a/day=2025-01-01/data.parquet"}
