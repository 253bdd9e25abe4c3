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
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pyarrow.dataset
import pyarrow.parquet
import pytest

from reloads.days import Days
from reloads.engine import Share
from reloads.record import Outcome
from reloads.rewrite import Provenance, rewrite_batch
from reloads.settings import Settings
from reloads.staging import remove_abandoned
from reloads.table import load_table
from reloads.warehouse import TableFolder

FIRST = date(2025, 1, 1)
MONTH = Days.between(FIRST, date(2025, 1, 31))
PROVENANCE = Provenance(requests=("r1", "r'2"), run="run/1", written_at=datetime(2025, 3, 30, 1, 2, 3, tzinfo=UTC))

DefineTable = Callable[..., Path]


def days(*texts: str) -> Days:
    return Days.parse(texts)


def of_each_day(columns: str, *, first: str = "2024-12-01", last: str = "2026-02-28", rows: int = 3) -> str:
    """A query of ``rows`` rows a day, ``n`` from 1."""
    return f"""
        select cast(midnight as date) as day, n, {columns}
        from generate_series(date '{first}', date '{last}', interval 1 day) as d(midnight)
        cross join generate_series(1, {rows}) as numbers(n)
    """


class Home:
    """A table's warehouse, and what its partitions hold."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.warehouse = settings.warehouse

    def rewrite(self, wanted: Days, *, table: str = "sales", share: Share | None = None) -> Outcome:
        return rewrite_batch(
            wanted,
            table=load_table(self.settings.tables, table),
            warehouse=self.warehouse,
            source=self.settings.source,
            share=share or Share(threads=2, memory_mb=512),
            provenance=PROVENANCE,
        )

    def file(self, day: date) -> Path:
        return TableFolder(self.warehouse, "sales", "day").partition(day)

    def published(self) -> Days:
        return days(*TableFolder(self.warehouse, "sales", "day").published())

    def state(self) -> dict[Path, tuple[int, int, bytes]]:
        files = (path for path in (self.warehouse / "sales").rglob("*") if path.is_file())
        return {path: (path.stat().st_ino, path.stat().st_mtime_ns, path.read_bytes()) for path in files}

    def query(self, sql: str) -> list[tuple[object, ...]]:
        with duckdb.connect() as db:
            db.execute("set variable files = $1", [str(self.warehouse / "sales/*/*.parquet")])
            read = "read_parquet(getvariable('files'), hive_partitioning = true)"
            return db.execute(sql.replace("sales", read)).fetchall()

    def staging(self) -> list[Path]:
        return list((self.warehouse / ".staging").rglob("*"))


@pytest.fixture
def home(sales_settings: Settings) -> Home:
    return Home(sales_settings)


# what is written


def test_every_day_asked_for_becomes_one_partition(home: Home) -> None:
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
        pytest.param(of_each_day("1 as x") + " union all select null, 0, 0", id="a null day"),
        pytest.param(of_each_day("1 as x") + " union all select date 'infinity', 0, 0", id="an infinite day"),
        pytest.param(of_each_day("1 as x") + " -- where false", id="a comment at the end"),
        pytest.param(of_each_day("1 as x") + " order by day desc", id="an order of its own"),
    ],
)
def test_rows_of_other_days_never_reach_the_warehouse(home: Home, define: DefineTable, query: str) -> None:
    define("sales", query)
    asked = days("2025-01-05..2025-01-07", "2025-02-01")
    assert home.rewrite(asked).published == asked
    assert home.published() == asked
    assert home.query("select count(*), min(day), max(day) from sales") == [(12, date(2025, 1, 5), date(2025, 2, 1))]


def test_only_the_partitions_asked_for_change(home: Home, define: DefineTable) -> None:
    define("sales", of_each_day("1 as generation"))
    home.rewrite(MONTH)
    before = home.state()
    define("sales", of_each_day("2 as generation"))
    asked = days("2025-01-05", "2025-01-10..2025-01-12")
    home.rewrite(asked)
    after = home.state()
    assert after.keys() == before.keys()
    assert {path for path in after if after[path] != before[path]} == {home.file(day) for day in asked}


def test_a_day_without_rows_is_an_empty_file_with_the_schema(home: Home, define: DefineTable) -> None:
    define("sales", of_each_day("1.5 as amount"))
    home.rewrite(days("2025-01-05..2025-01-07"))
    define("sales", of_each_day("1.5 as amount") + " where day <> date '2025-01-06'")
    outcome = home.rewrite(days("2025-01-05..2025-01-07"))
    assert outcome.rows == {"2025-01-05": 3, "2025-01-06": 0, "2025-01-07": 3}
    assert outcome.bytes["2025-01-06"] == home.file(date(2025, 1, 6)).stat().st_size
    empty, full = (pyarrow.parquet.ParquetFile(home.file(date(2025, 1, day))) for day in (6, 5))
    assert empty.metadata.num_rows == 0
    assert empty.schema_arrow.remove_metadata() == full.schema_arrow.remove_metadata()


def test_days_that_are_all_without_rows_are_published_too(home: Home) -> None:
    asked = days("1999-12-30..2000-01-02", "2040-01-01")
    assert home.rewrite(asked).published == asked
    assert home.query("select count(*) from sales") == [(0,)]


def test_a_year_of_shuffled_rows_is_one_sorted_file_a_day(home: Home, define: DefineTable) -> None:
    # Whether it is one file lies with DuckDB alone: 1.5 cut a shuffled year into 18,672 files.
    define("sales", of_each_day("hash(day, n) as h", rows=500) + " order by hash(n, day)", 'order_by = ["h"]')
    year = Days.between(FIRST, date(2025, 12, 31))
    outcome = home.rewrite(year, share=Share(threads=4, memory_mb=512))
    assert outcome.published == year
    assert len(home.state()) == 365
    assert set(outcome.rows.values()) == {500}
    assert out_of_order(home, year) == []


def test_a_year_of_shuffled_rows_without_order_is_one_file_a_day(home: Home, define: DefineTable) -> None:
    define("sales", of_each_day("hash(day, n) as h", rows=500) + " order by hash(n, day)")
    year = Days.between(FIRST, date(2025, 12, 31))
    assert home.rewrite(year, share=Share(threads=4, memory_mb=512)).published == year
    assert len(home.state()) == 365
    assert home.query("select count(*), count(distinct (day, n)) from sales") == [(182_500, 182_500)]


def test_order_holds_in_partitions_of_many_row_groups(home: Home, define: DefineTable) -> None:
    define(
        "sales",
        of_each_day("hash(n) as h", first="2025-01-01", last="2025-01-03", rows=400_000) + " order by hash(n, day)",
        'order_by = ["h"]',
    )
    asked = days("2025-01-01..2025-01-03")
    assert home.rewrite(asked, share=Share(threads=4, memory_mb=512)).published == asked
    assert pyarrow.parquet.ParquetFile(home.file(FIRST)).metadata.num_row_groups > 1
    assert out_of_order(home, asked) == []


def out_of_order(home: Home, wanted: Days) -> list[date]:
    columns = (
        (day, pyarrow.parquet.read_table(home.file(day), columns=["h"], partitioning=None)["h"]) for day in wanted
    )
    return [day for day, column in columns if (values := column.to_pylist()) != sorted(values)]


@pytest.mark.parametrize("day", [FIRST, date(1999, 1, 1)], ids=["a day with rows", "a day without"])
def test_provenance_is_in_the_footer(home: Home, day: date) -> None:
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


def test_duckdb_arrow_and_polars_read_the_same_totals(home: Home, define: DefineTable) -> None:
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


def test_a_name_that_is_sql_only_names_a_column(home: Home, define: DefineTable) -> None:
    define("sales", of_each_day("""1 as "a"") to 'x'; --", 2 as "select", 3 as "Ä b" """), 'order_by = ["n"]')
    assert home.rewrite(days("2025-01-01")).published == days("2025-01-01")
    assert pyarrow.parquet.read_schema(home.file(FIRST)).names == ["n", "a\") to 'x'; --", "select", "Ä b"]


# what a query or its data can do

FAILS_ON = "if(day = date '{}', error('{}'), 'ok') as x"


def test_a_query_that_fails_for_one_day_fails_exactly_that_day(home: Home, define: DefineTable) -> None:
    define("sales", of_each_day("'ok' as x"))
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


def test_two_days_that_fail_for_two_reasons_are_told_apart(home: Home, define: DefineTable) -> None:
    late, early = FAILS_ON.format("2025-01-03", "too late"), FAILS_ON.format("2025-01-30", "too early")
    define("sales", of_each_day(f"{late}, {early.replace('as x', 'as y')}"))
    outcome = home.rewrite(MONTH)
    assert outcome.published == MONTH - days("2025-01-03", "2025-01-30")
    errors = {str(failure.days): failure.error for failure in outcome.failed}
    assert errors.keys() == {"2025-01-03", "2025-01-30"}
    assert "too late" in errors["2025-01-03"]
    assert "too early" in errors["2025-01-30"]


def test_days_that_fail_for_one_reason_are_one_failure(home: Home, define: DefineTable) -> None:
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
    home: Home, define: DefineTable, query: str, sentence: str
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


def test_a_source_that_is_missing_is_named(home: Home, define: DefineTable) -> None:
    (home.settings.tables / "sources.sql").write_text(
        "create view raw as from read_csv(getvariable('source') || '/x.csv')"
    )
    define("sales", "from raw")
    [failure] = home.rewrite(MONTH).failed
    assert "tables/sources.sql: IO Error: No files found that match" in failure.error


def test_a_foreign_file_in_a_partition_fails_that_day_alone(home: Home) -> None:
    home.rewrite(MONTH)
    stranger = home.file(date(2025, 1, 9)).with_name("part-0.parquet")
    shutil.copy(home.file(FIRST), stranger)
    outcome = home.rewrite(MONTH)
    assert outcome.published == MONTH - days("2025-01-09")
    assert "part-0.parquet besides data.parquet" in outcome.failed[0].error
    assert stranger.exists()


def test_days_that_fit_into_memory_one_by_one_are_published(home: Home, define: DefineTable) -> None:
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


def assert_nothing_happened(home: Home, outcome: Outcome, before: object) -> None:
    assert outcome.published == Days()
    [failure] = outcome.failed
    assert failure.transient, failure.error
    assert "\n" not in failure.error
    assert failure.error.endswith("; make room or grant access")
    assert home.state() == before
    assert home.staging() == []


INCOMPRESSIBLE = "md5(n::varchar || midnight) as x"


def test_a_disk_that_takes_no_more_keeps_the_old_partitions(home: Home, define: DefineTable) -> None:
    with small_disk(home.warehouse) as is_small:
        home.rewrite(days("2025-01-01..2025-01-10"))
        before = home.state()
        define("sales", of_each_day(INCOMPRESSIBLE, rows=10_000))
        with largest_file(2**30 if is_small else 2**16):
            outcome = home.rewrite(days("2025-01-01..2025-01-10"))
        assert_nothing_happened(home, outcome, before)


def test_a_disk_that_takes_no_more_empty_days_keeps_the_old_partitions(home: Home, define: DefineTable) -> None:
    years = days("1990-01-01..1992-12-31")
    with small_disk(home.warehouse) as is_small:
        home.rewrite(days("1990-01-01..1990-01-10"))
        before = home.state()
        define("sales", of_each_day(INCOMPRESSIBLE, rows=1))
        with largest_file(2**30 if is_small else 100):
            outcome = home.rewrite(years)
        assert_nothing_happened(home, outcome, before)


def test_a_quota_keeps_the_old_partitions(home: Home, define: DefineTable) -> None:
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
def shared_home(sales_settings: Settings) -> Iterator[Home]:
    """A home that nobody can read too, unlike one in ``tmp_path``."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        shutil.copytree(sales_settings.tables, Path(folder) / "tables")
        places = {"warehouse": Path(folder) / "warehouse", "tables": Path(folder) / "tables"}
        yield Home(sales_settings.model_copy(update=places))


def test_a_warehouse_that_cannot_be_written_keeps_the_old_partitions(shared_home: Home) -> None:
    shared_home.rewrite(MONTH)
    before = shared_home.state()
    with without_rights(shared_home.warehouse, shared_home.warehouse / ".staging"):
        outcome = shared_home.rewrite(MONTH)
    assert_nothing_happened(shared_home, outcome, before)


def test_partitions_that_cannot_be_written_keep_their_files(shared_home: Home) -> None:
    shared_home.rewrite(MONTH)
    before = shared_home.state()
    (shared_home.warehouse / ".staging").chmod(0o777)
    with without_rights(*(path.parent for path in before)):
        outcome = shared_home.rewrite(MONTH)
    assert_nothing_happened(shared_home, outcome, before)


def test_after_the_disk_has_room_again_everything_is_published(home: Home, define: DefineTable) -> None:
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


def test_a_reader_never_sees_a_missing_partial_or_unreadable_partition(home: Home, define: DefineTable) -> None:
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
from reloads.engine import Share
from reloads.rewrite import Provenance, rewrite_batch
from reloads.table import load_table
rewrite_batch(
    Days.between(date(2025, 1, 1), date(2025, 1, 31)),
    table=load_table(Path(sys.argv[1]), "sales"),
    warehouse=Path(sys.argv[2]),
    source=Path(sys.argv[2]),
    share=Share(threads=1, memory_mb=256),
    provenance=Provenance(requests=(), run="killed", written_at=datetime.now(UTC)),
)
"""


def test_a_process_killed_in_the_middle_leaves_the_old_partitions_and_its_staging_is_removed(
    home: Home, define: DefineTable
) -> None:
    home.rewrite(MONTH)
    before = home.state()
    # Day after day, and far more rows than anybody waits for.
    define(
        "sales",
        "select date '2025-01-01' + cast(n // 1_000_000_000 as int) as day, n from range(31_000_000_000) as r(n)",
    )
    arguments = [sys.executable, "-c", KILLED, str(home.settings.tables), str(home.warehouse)]
    with subprocess.Popen(arguments) as process:
        try:
            wait_for(lambda: any(path.suffix == ".parquet" for path in home.staging()))
            assert remove_abandoned(home.warehouse) == []
            assert process.poll() is None
        finally:
            process.kill()
    assert home.state() == before
    assert home.staging()
    assert len(remove_abandoned(home.warehouse)) == 1
    assert home.staging() == []


def wait_for(is_so: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def test_the_same_rows_make_the_same_file(home: Home) -> None:
    home.rewrite(MONTH)
    before = {path: content for path, (_, _, content) in home.state().items()}
    home.rewrite(MONTH, share=replace(Share(threads=4, memory_mb=512)))
    assert {path: content for path, (_, _, content) in home.state().items()} == before
