"""Rewriting a batch: exactly the days asked for, each one whole file, whatever the query, the data or the disk does."""

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pyarrow.dataset
import pyarrow.parquet
import pytest

from reloads.batch import Batch
from reloads.days import Days
from reloads.outcome import Outcome
from reloads.partition_filter import PartitionFilter
from reloads.rewriting.context import Wishes
from reloads.rewriting.engine import Share
from reloads.rewriting.rewrite import ROUNDS
from reloads.rewriting.stage import Stage, Staged
from reloads.settings import Settings
from reloads.tables.definition import load_table
from reloads.warehouse.access import open_table, state_of
from reloads.warehouse.commit import Point
from reloads.warehouse.current_view import is_shown
from reloads.warehouse.layout import log_folder, state_folder
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.staging import remove_abandoned_folders
from tests.support.sales_home import FIRST, MONTH, WRITTEN_AT, DefineTable, SalesHome, days, of_each_day


@pytest.fixture
def home(sales_settings: Settings) -> SalesHome:
    return SalesHome(sales_settings)


# what is written


def test_every_day_asked_for_becomes_one_partition(home: SalesHome) -> None:
    outcome = home.rewrite(MONTH)
    assert (outcome.published, outcome.failed) == (MONTH, ())
    assert home.published() == MONTH
    assert outcome.rows == {str(day): 3 for day in MONTH}
    assert outcome.bytes == {str(day): home.file(day).stat().st_size for day in MONTH}
    assert outcome.seconds > 0
    assert home.staging() == []


@pytest.mark.parametrize(
    "query",
    [
        pytest.param(of_each_day("1 as x"), id="a query of all days"),
        pytest.param(of_each_day("1 as x") + " union all select date '1999-01-01', 0, 0", id="a stray day"),
        pytest.param(of_each_day("1 as x") + " union all select date 'infinity', 0, 0", id="an infinite day"),
        pytest.param(of_each_day("1 as x") + " -- where false", id="a comment at the end"),
        pytest.param(of_each_day("1 as x") + " order by day desc", id="an order of its own"),
    ],
)
def test_rows_of_other_days_never_reach_the_warehouse(home: SalesHome, define: DefineTable, query: str) -> None:
    define("sales", query)
    asked = days("2025-01-05..2025-01-07", "2025-02-01")
    assert home.rewrite(asked).published == asked
    assert home.published() == asked
    assert home.query("select count(*), min(day), max(day) from sales") == [(12, date(2025, 1, 5), date(2025, 2, 1))]


@pytest.mark.parametrize(
    ("query", "toml"),
    [
        pytest.param(
            of_each_day("1 as x").replace("as day,", "as sold_on,"), 'day_column = "sold_on"', id="day column"
        ),
        pytest.param(of_each_day("1 as x"), 'keys = ["n"]', id="a key that is new"),
    ],
)
def test_two_layouts_never_lie_in_the_folder_of_one_table(
    home: SalesHome, define: DefineTable, query: str, toml: str
) -> None:
    define("sales", of_each_day("1 as x"))
    home.rewrite(days("2025-01-05"))
    before, asked = home.state(), days("2025-01-06")
    settings = define("sales", query, toml) / "table.toml"
    if "day_column" in toml:
        settings.write_text(settings.read_text().replace('day_column = "day"', "", 1))
    [failure] = home.rewrite(asked).failed
    assert "holds day=2025-01-05" in failure.error
    assert failure.error.endswith(
        "name the columns in table.toml as they were, or move that folder away and load the table anew"
    )
    assert home.state() == before

    home.folder.folder.rename(home.settings.home / "moved away")
    assert home.rewrite(asked).published == home.published() == asked


def test_only_the_partitions_asked_for_change(home: SalesHome, define: DefineTable) -> None:
    define("sales", of_each_day("1 as generation"))
    home.rewrite(MONTH)
    before = home.state()
    define("sales", of_each_day("2 as generation"))
    asked = days("2025-01-05", "2025-01-10..2025-01-12")
    home.rewrite(asked)
    after = home.state()
    assert after.keys() == before.keys()
    assert {path for path in after if after[path] != before[path]} == {home.file(day) for day in asked}


@pytest.mark.parametrize("toml", ["", 'order_by = ["n"]', 'keys = ["n"]', 'keys = ["n"]\nkey_slices = 2'])
def test_rows_without_a_day_are_counted_and_nothing_is_published(
    home: SalesHome, define: DefineTable, toml: str
) -> None:
    define("sales", of_each_day("1 as x"), toml)
    home.rewrite(days("2025-01-05"))
    before = home.state()
    define("sales", of_each_day("2 as x") + " union all select null, 1, x from range(50) as r(x)", toml)
    [failure] = home.rewrite(days("2025-01-05..2025-01-06", "2025-01-09")).failed
    assert failure.days == days("2025-01-05..2025-01-06", "2025-01-09")
    assert failure.error == (
        "tables/sales/query.sql gives 59 rows, 50 of them without a day: day is NULL; "
        "give each row a day, or leave it out by a condition"
    )
    assert home.state() == before


def test_rows_without_a_day_of_another_key_are_no_concern_of_a_request(home: SalesHome, define: DefineTable) -> None:
    define("sales", of_each_day("1 as x") + " union all select null, 1, 2", 'keys = ["n"]')
    asked = days("2025-01-05")
    outcome = home.rewrite(Batch(asked, PartitionFilter(({"n": ("2",)},))))
    assert (outcome.published, outcome.failed) == (asked, ())
    [failure] = home.rewrite(Batch(asked, PartitionFilter(({"n": ("1",)},)))).failed
    assert "gives 2 rows, 1 of them without a day" in failure.error


def test_a_fault_in_rows_that_nobody_asked_for_does_not_hide_the_days_that_are_asked_for(
    home: SalesHome, define: DefineTable
) -> None:
    define("sales", of_each_day("if(day = '2025-01-09', error('torn'), null) as x"))
    outcome = home.rewrite(days("2025-01-05..2025-01-09"))
    assert outcome.published == days("2025-01-05..2025-01-08")
    assert [failure.days for failure in outcome.failed] == [days("2025-01-09")]


KEYED = 'keys = ["n"]'
EMPTY = 'a day came out without any row; ask for it again once it has some, or set on_empty = "publish" in table.toml'


@pytest.mark.parametrize("toml", ["", 'keys = ["n"]', 'keys = ["n"]\nkey_slices = 2'])
def test_a_day_that_comes_out_empty_keeps_its_rows_unless_the_table_allows_it(
    home: SalesHome, define: DefineTable, toml: str
) -> None:
    asked = days("2025-01-05..2025-01-07")
    define("sales", of_each_day("1 as x"), toml)
    home.rewrite(asked)
    before = home.query("select count(*) from sales where day = '2025-01-06'")
    query = of_each_day("2 as x") + " where day <> date '2025-01-06'"
    define("sales", query, toml)
    outcome = home.rewrite(asked)
    assert [(failure.days, failure.error, failure.transient) for failure in outcome.failed] == [
        (days("2025-01-06"), EMPTY, False)
    ]
    assert outcome.published == days("2025-01-05", "2025-01-07")
    assert home.query("select count(*) from sales where day = '2025-01-06'") == before == [(3,)]

    define("sales", query, f'on_empty = "publish"\n{toml}')
    assert home.rewrite(asked).published == days("2025-01-06")
    assert home.query("select count(*) from sales where day = '2025-01-06'") == [(0,)]


def test_a_day_that_was_refused_for_want_of_rows_is_still_missing(home: SalesHome, define: DefineTable) -> None:
    for toml in ("", 'keys = ["n"]'):
        define("sales", of_each_day("2 as x") + " where day <> date '2025-01-06'", toml)
        home.rewrite(days("2025-01-05..2025-01-07"))
        assert home.published() == days("2025-01-05", "2025-01-07")
        shutil.rmtree(home.folder.folder)


@pytest.mark.parametrize("toml", [KEYED, f"{KEYED}\nkey_slices = 2"], ids=["", "in slices"])
def test_values_without_rows_are_no_empty_day(home: SalesHome, define: DefineTable, toml: str) -> None:
    define("sales", of_each_day("1 as x", rows=1), toml)
    asked = days("2025-01-05..2025-01-06")
    # Of the two slices of a day with one value, one has no rows.
    assert home.rewrite(asked).failed == ()
    assert home.rewrite(Batch(asked, PartitionFilter(({"n": ("7",)},)))).failed == ()


def test_a_day_without_rows_is_an_empty_file_with_the_schema(home: SalesHome, define: DefineTable) -> None:
    define("sales", of_each_day("1.5 as amount"))
    home.rewrite(days("2025-01-05..2025-01-07"))
    define("sales", of_each_day("1.5 as amount") + " where day <> date '2025-01-06'", 'on_empty = "publish"')
    outcome = home.rewrite(days("2025-01-05..2025-01-07"))
    assert outcome.rows == {"2025-01-05": 3, "2025-01-06": 0, "2025-01-07": 3}
    assert outcome.bytes["2025-01-06"] == home.file(date(2025, 1, 6)).stat().st_size
    empty, full = (pyarrow.parquet.ParquetFile(home.file(date(2025, 1, day))) for day in (6, 5))
    assert empty.metadata.num_rows == 0
    assert empty.schema_arrow.remove_metadata() == full.schema_arrow.remove_metadata()


def test_days_that_are_all_without_rows_are_published_too(home: SalesHome, define: DefineTable) -> None:
    define("sales", of_each_day("1 as x"), 'on_empty = "publish"')
    asked = days("1999-12-30..2000-01-02", "2040-01-01")
    assert home.rewrite(asked).published == asked
    assert home.query("select count(*) from sales") == [(0,)]


def test_a_year_of_shuffled_rows_is_one_sorted_file_a_day(home: SalesHome, define: DefineTable) -> None:
    # Whether it is one file lies with DuckDB alone: 1.5 cut a shuffled year into 18,672 files.
    define("sales", of_each_day("hash(day, n) as h", rows=500) + " order by hash(n, day)", 'order_by = ["h"]')
    year = Days.between(FIRST, date(2025, 12, 31))
    outcome = home.rewrite(year, share=Share(threads=4, memory_mb=512))
    assert outcome.published == year
    assert len(home.state()) == 365
    assert set(outcome.rows.values()) == {500}
    assert out_of_order(home, year) == []


def test_a_year_of_shuffled_rows_without_order_is_one_file_a_day(home: SalesHome, define: DefineTable) -> None:
    define("sales", of_each_day("hash(day, n) as h", rows=500) + " order by hash(n, day)")
    year = Days.between(FIRST, date(2025, 12, 31))
    assert home.rewrite(year, share=Share(threads=4, memory_mb=512)).published == year
    assert len(home.state()) == 365
    assert home.query("select count(*), count(distinct (day, n)) from sales") == [(182_500, 182_500)]


def test_order_holds_in_partitions_of_many_row_groups(home: SalesHome, define: DefineTable) -> None:
    define(
        "sales",
        of_each_day("hash(n) as h", first="2025-01-01", last="2025-01-03", rows=400_000) + " order by hash(n, day)",
        'order_by = ["h"]',
    )
    asked = days("2025-01-01..2025-01-03")
    assert home.rewrite(asked, share=Share(threads=4, memory_mb=512)).published == asked
    assert pyarrow.parquet.ParquetFile(home.file(FIRST)).metadata.num_row_groups > 1
    assert out_of_order(home, asked) == []


def out_of_order(home: SalesHome, wanted: Days) -> list[date]:
    columns = (
        (day, pyarrow.parquet.read_table(home.file(day), columns=["h"], partitioning=None)["h"]) for day in wanted
    )
    return [day for day, column in columns if (values := column.to_pylist()) != sorted(values)]


@pytest.mark.parametrize("day", [FIRST, date(1999, 1, 1)], ids=["a day with rows", "a day without"])
def test_provenance_is_in_the_footer(home: SalesHome, define: DefineTable, day: date) -> None:
    define("sales", of_each_day("1 as x"), 'on_empty = "publish"')
    home.rewrite(Days.of([day]))
    footer = pyarrow.parquet.ParquetFile(home.file(day)).metadata.metadata
    ours = {k.decode(): v.decode() for k, v in footer.items() if k.startswith(b"reloads.")}
    assert json.loads(ours.pop("reloads.requests")) == ["r1", "r'2"]
    assert ours == {
        "reloads.table": "sales",
        "reloads.run": "run/1",
        "reloads.written_at": "2025-03-30T01:02:03+00:00",
        "reloads.query_version": load_table(home.settings.tables, "sales").version,
    }


def test_the_types_of_keys_are_in_the_footer(home: SalesHome, define: DefineTable) -> None:
    # The names of folders hold their texts only.
    define("sales", of_each_day("1 as x, '007' as code, 5::tinyint as shop"), 'keys = ["shop", "code"]')
    home.rewrite(days("2025-01-05"))
    [file] = home.folder.published().values()
    footer = pyarrow.parquet.ParquetFile(file).metadata.metadata
    assert json.loads(footer[b"reloads.key_types"]) == {"shop": "TINYINT", "code": "VARCHAR"}
    [commit] = home.commits()
    assert commit.key_types == {"shop": "TINYINT", "code": "VARCHAR"}


def test_duckdb_arrow_and_polars_read_the_same_totals(home: SalesHome, define: DefineTable) -> None:
    define("sales", of_each_day("n * 10 as amount") + " where day <> date '2025-01-06'")
    home.rewrite(MONTH)
    expected = (90, 1800, date(2025, 1, 1), date(2025, 1, 31))
    assert home.query("select count(*), sum(amount), min(day), max(day) from sales") == [expected]

    hive = pyarrow.dataset.partitioning(pyarrow.schema([("day", pyarrow.date32())]), flavor="hive")
    arrow = pyarrow.dataset.dataset(home.warehouse / "sales", format="parquet", partitioning=hive).to_table()
    day_column = arrow["day"].to_pylist()
    assert (arrow.num_rows, sum(arrow["amount"].to_pylist()), min(day_column), max(day_column)) == expected

    frame = pl.read_parquet(home.warehouse / "sales/*/*.parquet", hive_partitioning=True)
    assert (len(frame), frame["amount"].sum(), frame["day"].min(), frame["day"].max()) == expected


def test_a_name_that_is_sql_only_names_a_column(home: SalesHome, define: DefineTable) -> None:
    define("sales", of_each_day("""1 as "a"") to 'x'; --", 2 as "select", 3 as "Ä b" """), 'order_by = ["n"]')
    assert home.rewrite(days("2025-01-01")).published == days("2025-01-01")
    assert pyarrow.parquet.read_schema(home.file(FIRST)).names == ["n", "a\") to 'x'; --", "select", "Ä b"]


# what is the same as before


def test_a_rewrite_to_the_same_content_touches_no_file(home: SalesHome) -> None:
    home.rewrite(MONTH)
    before = home.state()
    outcome = home.rewrite(MONTH)
    assert home.state() == before
    assert (outcome.unchanged, outcome.published, outcome.failed) == (MONTH, Days(), ())
    assert outcome.rows == outcome.rows_before == {str(day): 3 for day in MONTH}
    assert outcome.bytes == {str(day): home.file(day).stat().st_size for day in MONTH}


def test_what_is_the_same_is_confirmed_and_neither_told_nor_kept_twice(home: SalesHome) -> None:
    home.rewrite(MONTH)
    versions = home.versions()
    home.rewrite(MONTH)
    [_, confirming] = home.commits()
    assert Days.of(name.day for name in confirming.after) == MONTH
    assert confirming.changed_days() == Days()
    assert home.versions() == versions


def test_only_the_days_whose_content_changed_are_published(home: SalesHome, define: DefineTable) -> None:
    define("sales", of_each_day("1 as x"))
    home.rewrite(MONTH)
    before = home.state()
    define("sales", of_each_day("if(day = date '2025-01-17' and n = 2, 2, 1) as x"))
    outcome = home.rewrite(MONTH)
    assert outcome.published == days("2025-01-17")
    assert outcome.unchanged == MONTH - outcome.published
    after = home.state()
    assert {path for path in after if after[path] != before[path]} == {home.file(date(2025, 1, 17))}


def test_a_day_found_unchanged_counts_as_made_by_the_new_query(home: SalesHome, define: DefineTable) -> None:
    define("sales", of_each_day("1 as x"))
    home.rewrite(MONTH)
    define("sales", of_each_day("1 as x") + " where true")
    assert home.rewrite(MONTH).unchanged == MONTH
    version = load_table(home.settings.tables, "sales").version
    entries = home.entries().values()
    assert {entry.making.definition for entry in entries if entry.making} == {version}
    assert {(entry.version, entry.changed, entry.touched) for entry in entries} == {(1, 1, 2)}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("0::decimal(38, 2)", "-0.01::decimal(38, 2)", id="a cent"),
        pytest.param("'0.0'::double", "'-0.0'::double", id="a sign"),
        pytest.param("interval '1 month'", "interval '30 days'", id="a month"),
        pytest.param("[]::integer[]", "null::integer[]", id="a list"),
    ],
)
def test_a_correction_is_published_however_small(home: SalesHome, define: DefineTable, before: str, after: str) -> None:
    define("sales", of_each_day(f"{before} as x"))
    home.rewrite(days("2025-01-05"))
    define("sales", of_each_day(f"{after} as x"))
    assert home.rewrite(days("2025-01-05")).published == days("2025-01-05")
    assert home.query(f"select count(*) from sales where x::varchar is not distinct from ({after})::varchar") == [(3,)]


def test_another_order_by_is_published_and_the_same_is_not(home: SalesHome, define: DefineTable) -> None:
    query = of_each_day("-n as x, 1 as y")
    asked = days("2025-01-05")
    define("sales", query, 'order_by = ["n"]')
    home.rewrite(asked)
    define("sales", query, 'order_by = ["x"]')
    assert home.rewrite(asked).published == asked
    assert home.query("select x from sales") == [(-3,), (-2,), (-1,)]
    assert home.rewrite(asked).unchanged == asked
    define("sales", query, 'order_by = ["y", "x"]')
    assert home.rewrite(asked).unchanged == asked, "it has that order already"
    define("sales", query)
    assert home.rewrite(asked).unchanged == asked, "any order will do"


def test_rows_that_order_by_does_not_tell_apart_may_come_in_any_order(home: SalesHome, define: DefineTable) -> None:
    for order in ("n", "-n"):
        define("sales", of_each_day("1 as x") + f" order by {order}", 'order_by = ["x"]')
        outcome = home.rewrite(days("2025-01-05"))
    assert outcome.unchanged == days("2025-01-05")


def test_a_published_file_whose_fingerprint_is_known_is_not_read_again(home: SalesHome) -> None:
    home.rewrite(MONTH)
    file = home.file(FIRST)
    status, content = file.stat(), file.read_bytes()
    unreadable = content[:4] + bytes(20) + content[24:]
    file.write_bytes(unreadable)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert home.rewrite(MONTH).unchanged == MONTH
    assert file.read_bytes() == unreadable


@pytest.mark.parametrize("content", ["", "1-1.5.5:0123", "0-2.0.0:0123"])
def test_a_published_file_whose_fingerprint_is_not_known_is_read_once(home: SalesHome, content: str) -> None:
    home.rewrite(MONTH)
    before, known = home.state(), dict(home.entries())
    with open_table(home.folder) as state:
        state.write_again({name: replace(entry, content=content) for name, entry in known.items()})
    assert home.rewrite(MONTH).unchanged == MONTH
    assert home.state() == before
    contents_known = {name: entry.content for name, entry in known.items()}
    assert {name: entry.content for name, entry in home.entries().items()} == contents_known


def test_a_file_that_somebody_else_put_there_is_read_whatever_the_log_says(
    home: SalesHome, define: DefineTable
) -> None:
    define("sales", of_each_day("1 as x"))
    home.rewrite(MONTH)
    for x, day in ((2, FIRST), (1, date(2025, 1, 2))):
        query = of_each_day(f"{x} as x").replace("cast(midnight as date) as day,", "")
        duckdb.execute(f"copy ({query} where midnight = '{day}') to '{home.file(day)}' (format parquet)")
    assert home.rewrite(MONTH).published == days("2025-01-01")
    assert home.query("select distinct x from sales") == [(1,)]
    assert [commit.act for commit in home.commits()] == ["load", "adopt", "load"]


def test_a_file_that_somebody_else_wrote_over_in_place_is_read_too(home: SalesHome, define: DefineTable) -> None:
    # As pandas does. The version, which is the same file, has the new content as well.
    define("sales", of_each_day("1 as x"))
    home.rewrite(MONTH)
    rows = pyarrow.parquet.read_table(home.file(FIRST), partitioning=None)
    twos = pyarrow.array([2] * len(rows), pyarrow.int32())
    pyarrow.parquet.write_table(rows.set_column(1, "x", twos), home.file(FIRST))
    assert home.query("select distinct x from sales order by x") == [(1,), (2,)]
    assert home.rewrite(MONTH).published == days("2025-01-01")
    assert home.query("select distinct x from sales") == [(1,)]


def test_a_second_try_of_a_run_says_published_of_what_the_first_published(home: SalesHome) -> None:
    home.rewrite(MONTH, run="run/1")
    before = home.state()
    assert home.rewrite(MONTH, run="run/1").published == MONTH
    assert home.state() == before


@pytest.mark.parametrize("planned", ["before", "after"])
def test_what_is_published_after_the_log_was_lost_is_said_to_be(
    home: SalesHome, define: DefineTable, planned: str
) -> None:
    define("sales", of_each_day("1 as x"))
    home.rewrite(MONTH)
    planned_at = {"before": str(state_of(home.folder).read_head().point), "after": str(Point())}[planned]
    shutil.rmtree(log_folder(home.warehouse, "sales"))
    shutil.rmtree(state_folder(home.warehouse, "sales"))
    define("sales", of_each_day("if(day = date '2025-01-17', 2, 1) as x"))
    outcome = home.rewrite(Batch(MONTH, planned_at=planned_at))
    assert (outcome.published, outcome.failed) == (days("2025-01-17"), ())
    assert outcome.unchanged == MONTH - days("2025-01-17"), "which is found by reading them"
    assert outcome.rows == outcome.rows_before == {str(day): 3 for day in MONTH}


def test_a_published_file_that_cannot_be_read_is_replaced(home: SalesHome) -> None:
    home.rewrite(MONTH)
    for day in (FIRST, date(2025, 1, 31)):
        home.file(day).write_bytes(b"PAR1 and then nothing PAR1")
    outcome = home.rewrite(MONTH)
    assert outcome.published == days("2025-01-01", "2025-01-31")
    assert outcome.rows_before["2025-01-01"] == 0
    assert home.query("select count(*) from sales") == [(93,)]


def test_published_files_carry_the_time_of_their_publication(home: SalesHome, define: DefineTable) -> None:
    define("sales", of_each_day("1 as x"))
    home.rewrite(MONTH)
    first = {home.file(day).stat().st_mtime_ns for day in MONTH}
    define("sales", of_each_day("2 as x"))
    home.rewrite(days("2025-01-05"))
    commits = home.commits()
    assert [first, {home.file(date(2025, 1, 5)).stat().st_mtime_ns}] == [{each.published_ns} for each in commits]
    assert commits[0].published_at == WRITTEN_AT
    assert commits[0].published_ns < commits[1].published_ns, "also where no time has passed"


def test_the_log_knows_each_file_that_readers_see(home: SalesHome, define: DefineTable) -> None:
    define("sales", of_each_day("1 as x"))
    home.rewrite(MONTH)
    define("sales", of_each_day("2 as x"))
    home.rewrite(days("2025-01-05"))
    entries, published = home.entries(), home.folder.published()
    assert entries.keys() == published.keys()
    for name, file in published.items():
        entry = entries[name]
        assert is_shown(home.folder, name, entry.version)
        assert (entry.rows, entry.bytes) == (3, file.stat().st_size)
        assert entry.columns == {"n": "BIGINT", "x": "INTEGER"}


def test_a_batch_is_one_commit_that_names_its_run_and_requests(home: SalesHome) -> None:
    home.rewrite(replace(Batch(MONTH), number=7), run="run/of it")
    [commit] = home.commits()
    assert (commit.run, commit.batch, commit.requests) == ("run/of it", 7, {"r1": MONTH, "r'2": MONTH})
    assert commit.changed_days() == MONTH


# tables with keys

WEEK, MIDWEEK = days("2025-01-03..2025-01-09"), days("2025-01-05..2025-01-07")
KEYS = 'keys = ["origin"]'
BY_ORIGIN = "unnest(['EWR', 'JFK', 'LGA']) as origin"
OF_EWR = PartitionFilter(key_filters=({"origin": ("EWR",)},))


def test_a_table_with_keys_has_one_file_for_each_value_of_a_day(home: SalesHome, define: DefineTable) -> None:
    define("sales", of_each_day(f"1 as x, {BY_ORIGIN}"), KEYS)
    outcome = home.rewrite(WEEK)
    assert outcome.published == home.published() == WEEK
    names = home.folder.names_of(date(2025, 1, 3))
    assert [str(name) for name in names] == [f"day=2025-01-03/origin={origin}" for origin in ("EWR", "JFK", "LGA")]
    assert outcome.rows == {str(day): 9 for day in WEEK}
    assert outcome.bytes["2025-01-03"] == sum(home.folder.file(name).stat().st_size for name in names)
    assert home.query("select origin, count(*) from sales group by all order by all") == [
        ("EWR", 21),
        ("JFK", 21),
        ("LGA", 21),
    ]


def test_a_rewrite_of_one_value_leaves_the_files_of_others_as_they_are(home: SalesHome, define: DefineTable) -> None:
    define("sales", of_each_day(f"1 as x, {BY_ORIGIN}"), KEYS)
    home.rewrite(WEEK)
    before = home.state()
    define("sales", of_each_day(f"2 as x, {BY_ORIGIN}"), KEYS)
    outcome = home.rewrite(Batch(MIDWEEK, OF_EWR))
    assert outcome.published == MIDWEEK
    assert outcome.rows == outcome.rows_before == {"2025-01-05": 3, "2025-01-06": 3, "2025-01-07": 3}
    after = home.state()
    names = [PartitionName.of("day", day, {"origin": "EWR"}) for day in MIDWEEK]
    assert {path for path in after if after[path] != before.get(path)} == {home.folder.file(name) for name in names}
    assert after.keys() == before.keys()


def test_a_value_of_a_key_that_the_table_lost_since_is_refused_and_replaces_no_other_rows(
    home: SalesHome, define: DefineTable
) -> None:
    define("sales", of_each_day(f"1 as x, {BY_ORIGIN}"))
    home.rewrite(WEEK)
    before = home.state()
    outcome = home.rewrite(Batch(MIDWEEK, OF_EWR))
    [failure] = outcome.failed
    assert (failure.days, failure.transient) == (MIDWEEK, False)
    assert failure.error == "sales has no key origin any more; ask for its days again without that key"
    assert home.state() == before


def test_a_commit_of_the_past_that_cannot_be_read_does_not_fail_what_is_published(
    home: SalesHome, define: DefineTable
) -> None:
    define("sales", of_each_day(f"1 as x, {BY_ORIGIN}"), KEYS)
    home.rewrite(WEEK)
    state = state_of(home.folder)
    planned_at = str(state.read_head().point)
    (state.log.folder / "1.json").write_text("{")
    define("sales", of_each_day(f"2 as x, {BY_ORIGIN}"), KEYS)
    outcome = home.rewrite(Batch(WEEK, planned_at=planned_at))
    assert (outcome.published, outcome.failed) == (WEEK, ())


@pytest.mark.parametrize("partition_filter", [PartitionFilter(), OF_EWR], ids=["of a whole day", "of a value"])
def test_a_value_without_rows_loses_its_file_and_nothing_else(
    home: SalesHome, define: DefineTable, partition_filter: PartitionFilter
) -> None:
    define("sales", of_each_day(f"1 as x, {BY_ORIGIN}"), KEYS)
    home.rewrite(WEEK)
    before = home.state()
    gone = PartitionName.of("day", date(2025, 1, 6), {"origin": "EWR"})
    define(
        "sales", f"from ({of_each_day(f'1 as x, {BY_ORIGIN}')}) where not (day = '2025-01-06' and origin = 'EWR')", KEYS
    )
    outcome = home.rewrite(Batch(WEEK, partition_filter))
    assert outcome.published == days("2025-01-06")
    assert outcome.unchanged == WEEK - days("2025-01-06")
    assert home.state() == {path: state for path, state in before.items() if path != home.folder.file(gone)}
    assert not home.folder.file(gone).parent.exists()
    entry = home.entries()[gone]
    assert (entry.version, entry.changed) == (0, 2), "so that an undo can put it back, and others follow"


def test_a_day_without_rows_is_a_folder_without_files_in_a_table_with_keys(
    home: SalesHome, define: DefineTable
) -> None:
    define("sales", of_each_day(f"1 as x, {BY_ORIGIN}"), KEYS)
    home.rewrite(WEEK)
    define(
        "sales",
        f"from ({of_each_day(f'1 as x, {BY_ORIGIN}')}) where day <> '2025-01-06'",
        f'on_empty = "publish"\n{KEYS}',
    )
    assert home.rewrite(WEEK).published == days("2025-01-06")
    assert home.folder.names_of(date(2025, 1, 6)) == []
    assert home.published() == WEEK
    assert home.rewrite(WEEK).unchanged == WEEK
    # A day that never had a row came out, too.
    home.rewrite(days("1999-01-01"))
    assert home.published() == WEEK | days("1999-01-01")


@pytest.mark.parametrize("slices", [2, 5])
def test_slices_make_together_what_one_query_makes_and_are_one_commit(
    home: SalesHome, define: DefineTable, slices: int
) -> None:
    keys = "'k' || unnest(range(20)) as origin"
    define("sales", of_each_day(f"1 as x, {keys}"), KEYS)
    home.rewrite(MIDWEEK)
    before = home.state()
    query = f"select * replace (2 as x) from ({of_each_day(f'1 as x, {keys}')}) where origin <> 'k7'"
    define("sales", query, f"{KEYS}\nkey_slices = {slices}")
    outcome = home.rewrite(MIDWEEK)
    assert (outcome.published, outcome.failed) == (MIDWEEK, ())
    assert outcome.rows == {str(day): 57 for day in MIDWEEK}
    after = home.state()
    assert len(before) - len(after) == 3
    assert not [path for path in after if after[path] == before[path]]
    assert home.query(
        "select count(*), count(distinct (day, n, origin)), min(x), count(*) filter (origin = 'k7') from sales"
    ) == [(171, 171, 2, 0)]
    [_, commit] = home.commits()
    assert len(list(commit.changed_names())) == 60


def test_a_fault_in_one_slice_keeps_all_of_the_day(home: SalesHome, define: DefineTable) -> None:
    keys = "'k' || unnest(range(20)) as origin"
    toml = f"{KEYS}\nkey_slices = 5"
    define("sales", of_each_day(f"'old' as x, {keys}"), toml)
    home.rewrite(MIDWEEK)
    before = home.state()
    fault = "if(day = date '2025-01-06' and origin = 'k7', error('torn'), 'new') as x"
    query = of_each_day(f"'old' as x, {keys}")
    define("sales", f"select * replace ({fault}) from ({query})", toml)
    outcome = home.rewrite(MIDWEEK)
    assert outcome.published == days("2025-01-05", "2025-01-07")
    assert outcome.failed_days == days("2025-01-06")
    after = home.state()
    kept = {path for path in after if after[path] == before[path]}
    assert kept == {home.folder.file(name) for name in home.folder.names_of(date(2025, 1, 6))}


# what a check finds

CHECK = "create view negative as select day, min(x) as found, 0 as expected from new where x < 0 group by day;"
ONE_BAD_DAY = "if(day = date '2025-01-17' and n = 2, -7, 2) as x"


def with_check(folder: Path, text: str = CHECK) -> None:
    (folder / "checks.sql").write_text(text)


def test_a_check_that_fails_in_the_middle_of_a_month_keeps_that_day_and_publishes_thirty(
    home: SalesHome, define: DefineTable
) -> None:
    with_check(define("sales", of_each_day("1 as x")))
    home.rewrite(MONTH)
    before = home.state()
    define("sales", of_each_day(ONE_BAD_DAY))
    outcome = home.rewrite(MONTH)
    assert outcome.published == MONTH - days("2025-01-17")
    [failure] = outcome.failed
    assert (failure.days, failure.transient) == (days("2025-01-17"), False)
    for part in ("the check negative", "2025-01-17", "found -7", "expected 0"):
        assert part in failure.error
    after = home.state()
    assert [path for path in after if after[path] == before[path]] == [home.file(date(2025, 1, 17))]
    [result] = outcome.checks
    assert (result.check, result.severity, result.days) == ("negative", "error", days("2025-01-17"))


def test_days_that_a_check_refuses_are_not_in_the_log_and_leave_no_version(
    home: SalesHome, define: DefineTable
) -> None:
    with_check(define("sales", of_each_day("1 as x")))
    home.rewrite(MONTH)
    versions = home.versions()
    define("sales", of_each_day("-n as x"))
    assert home.rewrite(MONTH).failed_days == MONTH
    assert (len(home.commits()), home.versions()) == (1, versions)
    define("sales", of_each_day(ONE_BAD_DAY))
    home.rewrite(MONTH)
    good = MONTH - days("2025-01-17")
    [_, commit] = home.commits()
    assert Days.of(name.day for name in commit.after) == good
    assert commit.requests == {"r1": good, "r'2": good}
    assert len(home.versions()) == len(versions) + len(good)


def test_a_warning_is_noted_and_everything_is_published(home: SalesHome, define: DefineTable) -> None:
    with_check(define("sales", of_each_day(ONE_BAD_DAY), '[checks]\nnegative = {severity = "warn"}'))
    outcome = home.rewrite(MONTH)
    assert (outcome.published, outcome.failed) == (MONTH, ())
    [result] = outcome.checks
    assert (result.check, result.severity, result.days, result.found) == ("negative", "warn", days("2025-01-17"), "-7")


def test_a_check_compares_with_the_rows_that_are_published(home: SalesHome, define: DefineTable) -> None:
    fewer = """
        create view fewer as
        select day, count(new.n) as found, count(*) as expected from old left join new using (day, n) group by day
        having found < expected;
    """
    with_check(define("sales", of_each_day("1 as x")), fewer)
    home.rewrite(MONTH)
    define("sales", of_each_day("1 as x") + " where day <> date '2025-01-17' or n = 1")
    outcome = home.rewrite(MONTH)
    assert outcome.failed_days == days("2025-01-17")
    assert "found 1, expected 3" in outcome.failed[0].error
    assert home.query("select count(*) from sales") == [(93,)]


def test_a_check_sees_all_slices_of_a_day_together(home: SalesHome, define: DefineTable) -> None:
    total = """
        create view total as select day, sum(n) as found, 6 as expected from new group by day having found <> 6;
    """
    toml = f"{KEYED}\nkey_slices = 3"
    with_check(define("sales", of_each_day("1 as x"), toml), total)
    assert home.rewrite(MIDWEEK).published == MIDWEEK
    define("sales", of_each_day("2 as x") + " where day <> date '2025-01-06' or n < 3", toml)
    outcome = home.rewrite(MIDWEEK)
    assert (outcome.failed_days, outcome.published) == (days("2025-01-06"), days("2025-01-05", "2025-01-07"))
    assert home.query("select min(x), count(*) from sales where day = '2025-01-06'") == [(1, 3)]


def test_refused_rows_are_kept_where_the_table_says_so(home: SalesHome, define: DefineTable) -> None:
    with_check(define("sales", of_each_day(ONE_BAD_DAY), "keep_failed = true"))
    [failure] = home.rewrite(MONTH).failed
    kept = home.warehouse / ".failed" / "sales"
    assert f"its rows are kept in {kept}" in failure.error
    assert [str(path.relative_to(kept)) for path in kept.rglob("*.parquet")] == ["day=2025-01-17/data.parquet"]
    rows = pyarrow.parquet.read_table(kept / "day=2025-01-17/data.parquet", partitioning=None).to_pylist()
    assert sorted(row["x"] for row in rows) == [-7, 2, 2]


def test_refused_rows_are_gone_where_the_table_says_nothing(home: SalesHome, define: DefineTable) -> None:
    with_check(define("sales", of_each_day(ONE_BAD_DAY)))
    assert home.rewrite(MONTH).failed_days == days("2025-01-17")
    assert not (home.warehouse / ".failed").exists()


def test_the_rows_kept_are_those_of_the_last_try(home: SalesHome, define: DefineTable) -> None:
    toml = f"{KEYS}\nkeep_failed = true"
    with_check(define("sales", of_each_day(f"-1 as x, {BY_ORIGIN}"), toml))
    home.rewrite(days("2025-01-05"))
    define("sales", f"from ({of_each_day(f'-2 as x, {BY_ORIGIN}')}) where origin = 'JFK'", toml)
    home.rewrite(days("2025-01-05"))
    kept = home.warehouse / ".failed" / "sales"
    assert [str(path.relative_to(kept)) for path in kept.rglob("*.parquet")] == [
        "day=2025-01-05/origin=JFK/data.parquet"
    ]


# parameters

FACTOR = '[parameters.factor]\ntype = "number"\ndefault = 1.5'
START = '[parameters.start]\ntype = "date"\ndefault = 2025-01-01'


@pytest.mark.parametrize(("given", "total"), [({}, 9.0), ({"factor": 2.5}, 15.0), ({"factor": 2}, 12.0)], ids=str)
def test_parameters_reach_the_query_and_the_footer(
    home: SalesHome, define: DefineTable, given: dict[str, float], total: float
) -> None:
    define("sales", of_each_day("n * getvariable('factor') as amount"), FACTOR)
    home.rewrite(Batch(days("2025-01-05"), parameters=given))
    assert home.query("select sum(amount) from sales") == [(total,)]
    footer = pyarrow.parquet.ParquetFile(home.file(date(2025, 1, 5))).metadata.metadata
    assert json.loads(footer.get(b"reloads.parameters", b"{}")) == given
    making = home.entries()[PartitionName("day", date(2025, 1, 5))].making
    assert making
    assert making.parameters == given


def test_a_date_that_came_as_a_text_is_a_date_to_the_query(home: SalesHome, define: DefineTable) -> None:
    define("sales", of_each_day("day - getvariable('start') as age"), START)
    home.rewrite(Batch(days("2025-01-05"), parameters={"start": "2025-01-03"}))
    assert home.query("select distinct age from sales") == [(2,)]


@pytest.mark.parametrize(
    ("kind", "default", "other"),
    [("number", "1.5", 2), ("integer", "10", 2**40), ("integer", "10", -1)],
    ids=["a number without a fraction", "a large integer", "a negative one"],
)
def test_whatever_value_a_parameter_has_the_columns_keep_their_types(
    home: SalesHome, define: DefineTable, kind: str, default: str, other: float
) -> None:
    toml = f'[parameters.p]\ntype = "{kind}"\ndefault = {default}'
    define("sales", of_each_day("getvariable('p') as x, n * getvariable('p') as y"), toml)
    assert home.rewrite(days("2025-01-05")).failed == ()
    assert home.rewrite(Batch(days("2025-01-06"), parameters={"p": other})).failed == ()
    assert home.query("select day, x from sales where n = 1 order by day") == [
        (date(2025, 1, 5), float(default)),
        (date(2025, 1, 6), other),
    ]


# whom a change concerns

FAILS_ON = "if(day = date '{}', error('{}'), 'ok') as x"


def test_a_commit_says_whose_days_it_changed_and_which_of_them_nobody_is_to_follow(home: SalesHome) -> None:
    asked = days("2025-01-05..2025-01-07")
    home.rewrite(Batch(asked, no_cascade_days=days("2025-01-06")))
    [commit] = home.commits()
    assert (commit.changed_days(), commit.no_cascade_days) == (asked, days("2025-01-06"))
    assert commit.requests == {"r1": asked, "r'2": asked}


def test_a_commit_speaks_of_no_days_that_it_did_not_publish(home: SalesHome, define: DefineTable) -> None:
    define("sales", of_each_day(FAILS_ON.format("2025-01-06", "torn")))
    home.rewrite(Batch(days("2025-01-05..2025-01-07"), no_cascade_days=days("2025-01-06..2025-01-07")))
    served = Days.union(commit.requests["r1"] for commit in home.commits())
    not_followed = Days.union(commit.no_cascade_days for commit in home.commits())
    assert served == days("2025-01-05", "2025-01-07")
    assert not_followed == days("2025-01-07")


# who publishes or gives up meanwhile

Do = Callable[[Days], object]


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[[Do], None]:
    """``meanwhile(act)`` has ``act`` called, with the days, whenever a batch has written and not yet published them."""
    write = Stage.write

    def at_each_writing(act: Do) -> None:
        is_acting = False

        def write_and_act(stage: Stage, days_written: Days) -> dict[PartitionName, Staged]:
            nonlocal is_acting
            staged = write(stage, days_written)
            if not is_acting:
                is_acting = True
                act(days_written)
                is_acting = False
            return staged

        monkeypatch.setattr(Stage, "write", write_and_act)

    return at_each_writing


def test_days_that_another_run_publishes_meanwhile_are_rewritten_again(
    home: SalesHome, define: DefineTable, meanwhile: Callable[[Do], None]
) -> None:
    define("sales", of_each_day("1 as x"))
    home.rewrite(MIDWEEK)
    rounds: list[Days] = []

    def publish_one_day(days_written: Days) -> None:
        rounds.append(days_written)
        if len(rounds) == 1:
            define("sales", of_each_day("2 as x"))
            home.rewrite(days("2025-01-06"), run="run/faster")

    define("sales", of_each_day("3 as x"))
    meanwhile(publish_one_day)
    outcome = home.rewrite(MIDWEEK, run="run/slower")
    assert rounds == [MIDWEEK, days("2025-01-06")], "of the others nothing is done twice"
    assert (outcome.published, outcome.failed) == (MIDWEEK, ())
    assert outcome.rows == outcome.rows_before == {str(day): 3 for day in MIDWEEK}
    assert [(each.run, each.changed_days()) for each in home.commits()[1:]] == [
        ("run/faster", days("2025-01-06")),
        ("run/slower", days("2025-01-05", "2025-01-07")),
        ("run/slower", days("2025-01-06")),
    ]
    assert home.query("select distinct x from sales") == [(3,)]


def test_days_that_another_run_publishes_again_and_again_are_left_to_it_and_it_is_said(
    home: SalesHome, define: DefineTable, meanwhile: Callable[[Do], None]
) -> None:
    generations = iter(range(2, 100))
    rounds: list[Days] = []

    def publish_one_day(days_written: Days) -> None:
        rounds.append(days_written)
        define("sales", of_each_day(f"{next(generations)} as x"))
        home.rewrite(days("2025-01-06"), run="run/faster")

    define("sales", of_each_day("1 as x"))
    meanwhile(publish_one_day)
    outcome = home.rewrite(MIDWEEK, run="run/slower")
    assert rounds == [MIDWEEK, *[days("2025-01-06")] * (ROUNDS - 1)]
    assert outcome.published == days("2025-01-05", "2025-01-07")
    [failure] = outcome.failed
    assert (failure.days, failure.transient, failure.superseded) == (days("2025-01-06"), True, True)
    assert failure.error == "it was superseded by run/faster; ask again if need be"
    assert home.query("select distinct x from sales where day = '2025-01-06'") == [(1 + ROUNDS,)]


def test_days_that_nobody_waits_for_any_more_are_left_to_the_run_that_published_them(
    home: SalesHome, define: DefineTable, meanwhile: Callable[[Do], None]
) -> None:
    rounds: list[Days] = []

    def publish_all(days_written: Days) -> None:
        rounds.append(days_written)
        define("sales", of_each_day("2 as x"))
        home.rewrite(days_written, run="run/faster")

    define("sales", of_each_day("1 as x"))
    meanwhile(publish_all)
    outcome = home.rewrite(MIDWEEK, run="run/given up", wishes=Wishes(lambda: MIDWEEK, find_open_days=Days))
    assert rounds == [MIDWEEK]
    assert outcome.published == Days()
    assert [(failure.days, failure.superseded) for failure in outcome.failed] == [(MIDWEEK, True)]
    assert home.query("select distinct x from sales") == [(2,)]


def test_what_an_earlier_try_of_the_same_batch_published_meanwhile_is_rewritten_again(
    home: SalesHome, meanwhile: Callable[[Do], None]
) -> None:
    rounds: list[Days] = []

    def publish_all(days_written: Days) -> None:
        rounds.append(days_written)
        if len(rounds) == 1:
            home.rewrite(days_written, run="run/1")

    meanwhile(publish_all)
    outcome = home.rewrite(MIDWEEK, run="run/1")
    # The earlier try may have read its inputs before this one began.
    assert rounds == [MIDWEEK] * 2
    assert (outcome.published, outcome.failed) == (MIDWEEK, ())
    assert len(home.commits()) == 2


def test_a_run_of_other_values_of_the_day_supersedes_nothing(
    home: SalesHome, define: DefineTable, meanwhile: Callable[[Do], None]
) -> None:
    rounds: list[Days] = []

    def publish_others(days_written: Days) -> None:
        rounds.append(days_written)
        home.rewrite(Batch(days_written, PartitionFilter(({"n": ("2",)},))), run="run/others")

    define("sales", of_each_day("1 as x"), KEYED)
    meanwhile(publish_others)
    outcome = home.rewrite(Batch(MIDWEEK, PartitionFilter(({"n": ("1",)},))), run="run/ours")
    assert rounds == [MIDWEEK]
    assert (outcome.published, outcome.failed) == (MIDWEEK, ())
    assert {str(name).rpartition("/")[2] for name in home.folder.published()} == {"n=1", "n=2"}


def test_days_that_are_given_up_while_they_are_written_keep_their_files(home: SalesHome, define: DefineTable) -> None:
    define("sales", of_each_day("1 as x"))
    home.rewrite(MIDWEEK)
    before = home.state()
    define("sales", of_each_day("2 as x"))
    wanted = days("2025-01-06")
    outcome = home.rewrite(MIDWEEK, wishes=Wishes(lambda: wanted, lambda: wanted))
    assert (outcome.cancelled, outcome.published, outcome.failed) == (MIDWEEK - wanted, wanted, ())
    assert outcome.rows.keys() == {"2025-01-06"}
    after = home.state()
    assert {path for path in after if after[path] != before[path]} == {home.file(date(2025, 1, 6))}


# what a query or its data can do# what a query or its data can do


def test_a_query_that_fails_for_one_day_fails_exactly_that_day(home: SalesHome, define: DefineTable) -> None:
    define("sales", of_each_day("'old' as x"))
    home.rewrite(MONTH)
    before = home.state()
    define("sales", of_each_day(FAILS_ON.format("2025-01-17", "bad row")))
    outcome = home.rewrite(MONTH)
    assert outcome.published == MONTH - days("2025-01-17")
    [failure] = outcome.failed
    assert (failure.days, failure.transient) == (days("2025-01-17"), False)
    assert "bad row" in failure.error
    assert "\n" not in failure.error
    after = home.state()
    assert {path for path in after if after[path] == before[path]} == {home.file(date(2025, 1, 17))}
    assert home.staging() == []


def test_two_days_that_fail_for_two_reasons_are_told_apart(home: SalesHome, define: DefineTable) -> None:
    late, early = FAILS_ON.format("2025-01-03", "too late"), FAILS_ON.format("2025-01-30", "too early")
    define("sales", of_each_day(f"{late}, {early.replace('as x', 'as y')}"))
    outcome = home.rewrite(MONTH)
    assert outcome.published == MONTH - days("2025-01-03", "2025-01-30")
    errors = {str(failure.days): failure.error for failure in outcome.failed}
    assert errors.keys() == {"2025-01-03", "2025-01-30"}
    assert "too late" in errors["2025-01-03"]
    assert "too early" in errors["2025-01-30"]


def test_days_that_fail_for_one_reason_are_one_failure(home: SalesHome, define: DefineTable) -> None:
    define("sales", of_each_day("if(day >= date '2025-01-20', error('no rate'), 'ok') as x"))
    outcome = home.rewrite(MONTH)
    assert [failure.days for failure in outcome.failed] == [days("2025-01-20..2025-01-31")]
    assert outcome.published == days("2025-01-01..2025-01-19")


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        pytest.param("select day from nowhere", "nowhere does not exist", id="no such table"),
        pytest.param("select 1 as n", "has no column day, only n; select it or change day_column", id="no day column"),
        pytest.param(
            of_each_day("1 as x").replace("as day", 'as "Day"'), "has no column day, only Day", id="other case"
        ),
        pytest.param(
            "select timestamp '2025-01-01' as day, 1 as n", "day is TIMESTAMP, not DATE; cast it", id="a time"
        ),
        pytest.param("select '2025-01-01' as day, 1 as n", "day is VARCHAR, not DATE; cast it to date", id="a text"),
        pytest.param("select date '2025-01-01' as day", "has no column besides day", id="nothing but the day"),
    ],
)
def test_a_query_that_cannot_work_fails_all_days_in_one_sentence(
    home: SalesHome, define: DefineTable, query: str, sentence: str
) -> None:
    home.rewrite(MONTH)
    before = home.state()
    define("sales", query)
    outcome = home.rewrite(MONTH)
    assert outcome.published == Days()
    [failure] = outcome.failed
    assert (failure.days, failure.transient) == (MONTH, False)
    assert failure.error.startswith("tables/sales/query.sql")
    assert sentence in failure.error
    assert home.state() == before


def test_a_source_that_is_missing_is_named(home: SalesHome, define: DefineTable) -> None:
    (home.settings.tables / "sources.sql").write_text(
        "create view raw as from read_csv(getvariable('source') || '/x.csv')"
    )
    define("sales", "from raw")
    [failure] = home.rewrite(MONTH).failed
    assert "tables/sources.sql: the view raw: IO Error: No files found that match" in failure.error


@pytest.mark.parametrize("content", ["another content", "the same content"])
def test_a_foreign_file_in_a_partition_fails_that_day_alone(home: SalesHome, define: DefineTable, content: str) -> None:
    define("sales", of_each_day("1 as x"))
    home.rewrite(MONTH)
    stranger = home.file(date(2025, 1, 9)).with_name("part-0.parquet")
    shutil.copy(home.file(FIRST), stranger)
    if content == "another content":
        define("sales", of_each_day("2 as x"))
    outcome = home.rewrite(MONTH)
    assert outcome.fulfilled == MONTH - days("2025-01-09")
    [failure] = outcome.failed
    assert failure.days == days("2025-01-09")
    assert "part-0.parquet besides data.parquet" in failure.error
    assert stranger.exists()


def test_days_that_fit_into_memory_one_by_one_are_published(home: SalesHome, define: DefineTable) -> None:
    define("sales", of_each_day("(select list(md5(m::varchar)) from range(n * 100) as r(m)) as x", rows=20))
    asked = days("2025-01-01..2025-01-08")
    assert home.rewrite(asked, share=Share(threads=1, memory_mb=64)).published == asked


# what a disk can do


@contextmanager
def largest_file(size_bytes: int) -> Iterator[None]:
    """No file of this process may become larger, as where a quota ends."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def small_disk(warehouse: Path) -> Iterator[bool]:
    """A disk of 1 MiB at ``warehouse``; False where this process may not mount one."""
    warehouse.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(warehouse)]
    is_mounted = subprocess.run(mount, check=False, capture_output=True).returncode == 0
    try:
        yield is_mounted
    finally:
        if is_mounted:
            subprocess.run(["umount", str(warehouse)], check=True)


def assert_nothing_happened(home: SalesHome, outcome: Outcome, before: object) -> None:
    assert outcome.published == Days()
    [failure] = outcome.failed
    assert failure.transient, failure.error
    assert "\n" not in failure.error
    assert failure.error.endswith("; make room or grant access")
    assert home.state() == before
    assert home.staging() == []


INCOMPRESSIBLE = "md5(n::varchar || midnight) as x"


def test_a_disk_that_takes_no_more_keeps_the_old_partitions(home: SalesHome, define: DefineTable) -> None:
    with small_disk(home.warehouse) as is_small:
        home.rewrite(days("2025-01-01..2025-01-10"))
        before = home.state()
        define("sales", of_each_day(INCOMPRESSIBLE, rows=10_000))
        with largest_file(2**30 if is_small else 2**16):
            outcome = home.rewrite(days("2025-01-01..2025-01-10"))
        assert_nothing_happened(home, outcome, before)


def test_a_disk_that_takes_no_more_empty_days_keeps_the_old_partitions(home: SalesHome, define: DefineTable) -> None:
    years = days("1990-01-01..1992-12-31")
    with small_disk(home.warehouse) as is_small:
        home.rewrite(days("1990-01-01..1990-01-10"))
        before = home.state()
        define("sales", of_each_day(INCOMPRESSIBLE, rows=1))
        with largest_file(2**30 if is_small else 100):
            outcome = home.rewrite(years)
        assert_nothing_happened(home, outcome, before)


def test_a_quota_keeps_the_old_partitions(home: SalesHome, define: DefineTable) -> None:
    home.rewrite(MONTH)
    before = home.state()
    define("sales", of_each_day(INCOMPRESSIBLE, rows=10_000))
    with largest_file(2**16):
        outcome = home.rewrite(MONTH)
    assert_nothing_happened(home, outcome, before)


@contextmanager
def without_rights(*folders: Path) -> Iterator[None]:
    """The folders cannot be written; root, who could all the same, becomes nobody for a while."""
    modes = {folder: folder.stat().st_mode for folder in folders}
    for folder in folders:
        folder.chmod(0o555)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65_534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)
        for folder, mode in modes.items():
            folder.chmod(mode)


@pytest.fixture
def shared_home(sales_settings: Settings) -> Iterator[SalesHome]:
    """A home that nobody can read too, unlike one in ``tmp_path``."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        shutil.copytree(sales_settings.tables, Path(folder) / "tables")
        places = {"warehouse": Path(folder) / "warehouse", "tables": Path(folder) / "tables"}
        yield SalesHome(sales_settings.model_copy(update=places))


def test_a_warehouse_that_cannot_be_written_keeps_the_old_partitions(shared_home: SalesHome) -> None:
    shared_home.rewrite(MONTH)
    before = shared_home.state()
    with without_rights(shared_home.warehouse, shared_home.warehouse / ".staging"):
        outcome = shared_home.rewrite(MONTH)
    assert_nothing_happened(shared_home, outcome, before)


def test_partitions_that_cannot_be_written_keep_their_files(shared_home: SalesHome) -> None:
    shared_home.rewrite(MONTH)
    before = shared_home.state()
    (shared_home.settings.tables / "sales" / "query.sql").write_text(
        f"select * exclude (n) from ({of_each_day('n as sale_id, n * 2.5 as amount')})"
    )
    # All but the table's own folder is open to whoever writes.
    for path in (path for hidden in shared_home.warehouse.glob(".*") for path in (hidden, *hidden.rglob("*"))):
        path.chmod(0o777)
    with without_rights(*(path.parent for path in before)):
        outcome = shared_home.rewrite(MONTH)
    assert_nothing_happened(shared_home, outcome, before)
    assert outcome.failed[0].error.startswith(f"{shared_home.warehouse / 'sales'} cannot be written")


def test_after_the_disk_has_room_again_everything_is_published(home: SalesHome, define: DefineTable) -> None:
    define("sales", of_each_day(INCOMPRESSIBLE, rows=10_000))
    with largest_file(2**16):
        home.rewrite(MONTH)
    assert home.rewrite(MONTH).published == MONTH


# what others see meanwhile

READ = """
import json, sys
import duckdb
found = set()
with duckdb.connect() as db:
    for file in sys.argv[2:] * int(sys.argv[1]):
        query = "select count(*), min(g), max(g) from read_parquet($1)"
        [(count, least, greatest)] = db.execute(query, [file]).fetchall()
        assert (count, least) == (1000 + least, greatest), f"{file} holds {count} rows of {least} to {greatest}"
        found.add(least)
print(json.dumps(sorted(found)))
"""


def test_a_reader_never_sees_a_missing_partial_or_unreadable_partition(home: SalesHome, define: DefineTable) -> None:
    asked = Days.between(FIRST, FIRST + timedelta(days=59))
    files = [str(home.file(day)) for day in asked]

    def write(generation: int) -> None:
        # Each generation has another number of rows, so that a mixture of two would show.
        define("sales", of_each_day(f"md5(n::varchar) as x, {generation} as g", rows=1000 + generation))
        assert home.rewrite(asked).published == asked

    write(0)
    with subprocess.Popen(
        [sys.executable, "-c", READ, "40", *files], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as reader:
        generation = 0
        while reader.poll() is None and generation < 1000:
            generation += 1
            write(generation)
        output, errors = reader.communicate()
    assert reader.returncode == 0, errors
    assert len(json.loads(output)) > 2, "the reader saw no rewrite, so it proves nothing"


KILLED = """
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from reloads.days import Days
from reloads.rewriting.engine import Share
from reloads.rewriting.rewrite import rewrite_batch
from reloads.batch import Batch
from reloads.rewriting.context import Locations, Provenance
from reloads.tables.definition import load_table
rewrite_batch(
    Batch(Days.between(date(2025, 1, 1), date(2025, 1, 31))),
    table=load_table(Path(sys.argv[1]), "sales"),
    place=Locations(Path(sys.argv[2]), Path(sys.argv[2])),
    share=Share(threads=1, memory_mb=256),
    provenance=Provenance("killed", datetime.now(UTC)),
)
"""


def test_a_process_killed_in_the_middle_leaves_the_old_partitions_and_its_staging_is_removed(
    home: SalesHome, define: DefineTable
) -> None:
    home.rewrite(MONTH)
    before = home.state()
    # Day after day, and far more rows than anybody waits for.
    define(
        "sales",
        "select date '2025-01-01' + cast(n // 30_000_000 as int) as day, n from range(930_000_000) as r(n)",
    )
    arguments = [sys.executable, "-c", KILLED, str(home.settings.tables), str(home.warehouse)]
    with subprocess.Popen(arguments) as process:
        try:
            wait_for(lambda: any(path.suffix == ".parquet" for path in home.staging()))
            assert remove_abandoned_folders(home.warehouse) == []
            assert process.poll() is None
        finally:
            process.kill()
    assert home.state() == before
    assert home.staging()
    assert len(remove_abandoned_folders(home.warehouse)) == 1
    assert home.staging() == []


def wait_for(is_so: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def test_the_same_rows_make_the_same_file(home: SalesHome) -> None:
    home.rewrite(MONTH, run="run/1")
    before = contents(home)
    shutil.rmtree(home.warehouse)
    assert home.rewrite(MONTH, run="run/1", share=Share(threads=4, memory_mb=512)).published == MONTH
    assert contents(home) == before


def contents(home: SalesHome) -> dict[Path, bytes]:
    return {path: content for path, (_, _, content) in home.state().items()}
