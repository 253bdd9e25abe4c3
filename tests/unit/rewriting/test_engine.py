"""The engine: bounded by its share, and not held up by sources that a query does not read."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import duckdb
import pendulum
import pytest

from reloads.errors import OperatorError, QueryError
from reloads.rewriting.engine import Engine, Share, connect, message
from reloads.settings import Settings
from reloads.tables.definition import load_table
from reloads.tables.raw_files import RawFiles
from tests.conftest import DefineTable

SHARE = Share(threads=1, memory_mb=256)
MISSING = "create view raw as from read_csv(getvariable('source') || '/*.csv');\n"


def settings_with(threads: int, memory_mb: int, tasks: int, workers: int = 1) -> Settings:
    return Settings(threads=threads, memory_mb=memory_mb, tasks_at_once=tasks, workers=workers)


@pytest.mark.parametrize(
    ("settings", "batches", "share"),
    [
        pytest.param(settings_with(8, 8000, 4), 4, Share(2, 2000), id="as many batches as tasks"),
        pytest.param(settings_with(8, 8000, 4), 1, Share(8, 2000), id="a batch alone has all threads"),
        pytest.param(settings_with(8, 8000, 4), 100, Share(2, 2000), id="batches that wait do not count"),
        pytest.param(settings_with(2, 8000, 4), 4, Share(1, 2000), id="never less than a thread"),
        pytest.param(settings_with(8, 100, 4), 4, Share(2, 64), id="never less memory than DuckDB needs"),
        pytest.param(settings_with(8, 8000, 4), 0, Share(8, 2000), id="no batch"),
        pytest.param(settings_with(8, 8000, 4, workers=4), 4, Share(8, 2000), id="a batch for each machine"),
        pytest.param(settings_with(8, 8000, 4, workers=4), 5, Share(4, 2000), id="two on one of four machines"),
        pytest.param(settings_with(8, 8000, 4, workers=4), 99, Share(2, 2000), id="more than all machines do at once"),
    ],
)
def test_batches_share_the_machine(settings: Settings, batches: int, share: Share) -> None:
    assert Share.of(settings, batches=batches) == share


def test_a_connection_keeps_to_its_share_and_spills_where_it_is_told(sales_settings: Settings, tmp_path: Path) -> None:
    table = load_table(sales_settings.tables, "sales")
    with connect(table, raw=raw_files(tmp_path), folder=tmp_path, share=Share(threads=1, memory_mb=100)) as engine:
        row = engine.db.execute(
            "select current_setting('threads'), current_setting('memory_limit'), current_setting('temp_directory')"
        ).fetchone()
        assert row == (1, "95.3 MiB", str(tmp_path / "spill"))
        engine.db.execute("create table big as select md5(n::varchar) as text from range(5_000_000) as r(n)")
        assert list((tmp_path / "spill").iterdir())
    assert not list((tmp_path / "spill").glob("*"))


def test_a_long_query_says_how_far_it_is_and_prints_nothing(
    sales_settings: Settings, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    table = load_table(sales_settings.tables, "sales")
    with connect(table, raw=raw_files(tmp_path), folder=tmp_path, share=SHARE) as engine:
        engine.db.execute("set progress_bar_time = 0")
        engine.db.execute("create table big as select hash(n) as h from range(3_000_000) as r(n)")
        with ThreadPoolExecutor(1) as threads:
            query = threads.submit(engine.db.execute, "select count(distinct h) from big, range(2)")
            percents = {engine.db.query_progress()}
            while not query.done():
                percents.add(engine.db.query_progress())
            query.result()
    assert any(0 < percent <= 100 for percent in percents)
    assert capfd.readouterr() == ("", "")


def test_the_variable_source_holds_the_source_folder(sales_settings: Settings) -> None:
    odd = Path("/odd ' folder; \"")
    with connect(load_table(sales_settings.tables, "sales"), raw=raw_files(odd), folder=odd, share=SHARE) as engine:
        assert engine.db.execute("select getvariable('source')").fetchall() == [(str(odd),)]


def raw_files(source: Path) -> RawFiles:
    return RawFiles(source, stable_seconds=0)


def open_engine(tables: Path, table: str, *, time_zone: str = "UTC") -> AbstractContextManager[Engine]:
    folder = tables.parent
    return connect(load_table(tables, table), raw=raw_files(folder), folder=folder, share=SHARE, time_zone=time_zone)


def relations_of(engine: Engine) -> set[str]:
    names = "select table_name from information_schema.tables where table_schema = 'main'"
    return {name for (name,) in engine.db.execute(names).fetchall()}


DAMAGED = "create view torn as from read_parquet(getvariable('source') || '/torn.parquet');\n"


@pytest.mark.parametrize(
    "sources",
    [
        pytest.param(MISSING, id="a file that is missing"),
        pytest.param(DAMAGED, id="a file that is damaged"),
        pytest.param("create view broken as from nowhere;\n", id="a table that is unknown"),
        pytest.param("create view broken as select nowhere;\n", id="a column that is unknown"),
        pytest.param("create view broken as selec 1;\n", id="syntax"),
        pytest.param(DAMAGED + "create view clean as from torn;", id="a view over a broken view"),
        pytest.param(DAMAGED + "create table copied as from torn;", id="a table of a broken view"),
        pytest.param(DAMAGED + "create macro torn_of(n) as table from torn;", id="a macro over a broken view"),
    ],
)
def test_a_broken_source_stops_nobody_who_does_not_read_it(
    sales_settings: Settings, define: DefineTable, sources: str
) -> None:
    (sales_settings.home / "torn.parquet").write_bytes(b"half a file")
    (sales_settings.tables / "sources.sql").write_text(sources + "create view fine as select 1 as n;")
    define("sales", "select current_date as day, n from fine")
    with open_engine(sales_settings.tables, "sales") as engine:
        assert relations_of(engine) == {"fine"}
        assert not engine.source_errors


@pytest.mark.parametrize(
    ("query", "checks", "created"),
    [
        pytest.param("select 1", "", "", id="nothing"),
        pytest.param("from raw", "", "raw", id="one"),
        pytest.param('from "CLEAN"', "", "raw clean", id="through another, in any case"),
        pytest.param("from main.clean, memory.main.other", "", "raw clean other", id="behind a schema"),
        pytest.param("with raw as (select 1) from raw", "", "raw", id="a CTE of its name, to be safe"),
        pytest.param("from cleaned(1)", "", "raw clean", id="a table macro"),
        pytest.param("select latest(1)", "", "raw", id="a scalar macro"),
        pytest.param("from copied", "", "raw clean copied", id="a table"),
        pytest.param("select 1", "create view c as from new join other using (day)", "other", id="a check's"),
        pytest.param('from "odd ""name"', "", 'odd_"name', id="an odd name"),
    ],
)
def test_a_table_gets_the_sources_that_it_reads_and_no_others(
    sales_settings: Settings, define: DefineTable, query: str, checks: str, created: str
) -> None:
    (sales_settings.tables / "sources.sql").write_text(
        """
        create or replace view raw as select current_date as day, 1 as n; -- clean
        create view Clean (day, n) as from raw;
        create view other as select current_date as day;
        create view if not exists "odd ""name" as select 1;
        create macro latest(x) as (select max(n) from raw);
        create or replace temp macro cleaned(x) as table from clean;
        create table copied as from clean;
        """
    )
    (define("sales", query) / "checks.sql").write_text(checks)
    with open_engine(sales_settings.tables, "sales") as engine:
        assert {name.lower().replace(" ", "_") for name in relations_of(engine)} == set(created.split())
        if query:
            engine.db.execute(f"explain {query}")


def test_a_statement_that_cannot_be_told_apart_runs_for_everybody_with_what_it_names(
    sales_settings: Settings, define: DefineTable
) -> None:
    (sales_settings.tables / "sources.sql").write_text(
        "create type size as enum ('S', 'L'); create view raw as select 1 as n; create view other as select 2;"
        "create table held (n integer); insert into held from raw; set variable fixed = 7; create schema apart;"
        "create view apart.hidden as select 3"
    )
    define("sales", "select current_date as day, 1 as n")
    with open_engine(sales_settings.tables, "sales") as engine:
        assert relations_of(engine) == {"raw", "held"}
        query = "select 'S'::size, getvariable('fixed'), n, hidden from held, apart.hidden as h(hidden)"
        assert engine.db.execute(query).fetchall() == [("S", 7, 1, 3)]


@pytest.mark.parametrize(
    ("sources", "fault"),
    [
        pytest.param(DAMAGED, r"the view torn: Invalid Input Error: .*torn\.parquet", id="damaged"),
        pytest.param(
            "create view torn as from nowhere;", "the view torn: Catalog Error: .*nowhere", id="unknown table"
        ),
        pytest.param("create view torn as select nowhere;", "the view torn: Binder Error: .*nowhere", id="column"),
        pytest.param("create view torn as selec 1;", "the view torn: Parser Error: .*selec", id="syntax"),
        pytest.param("create vieww torn as select 1;", "`create vieww torn as select 1`: Parser Error", id="no name"),
    ],
)
def test_who_reads_a_broken_source_is_told_which_and_which_file(
    sales_settings: Settings, define: DefineTable, sources: str, fault: str
) -> None:
    (sales_settings.home / "torn.parquet").write_bytes(b"half a file")
    (sales_settings.tables / "sources.sql").write_text(sources + "create view clean as from torn")
    define("sales", "select day, n from clean")
    with (
        pytest.raises(QueryError, match=rf"^tables/sources\.sql: {fault}.*; mend that statement or its files$"),
        open_engine(sales_settings.tables, "sales"),
    ):
        pass


def test_a_missing_file_is_named_to_who_reads_its_view(sales_settings: Settings, define: DefineTable) -> None:
    (sales_settings.tables / "sources.sql").write_text(MISSING + "create view clean as from raw;")
    define("sales", "select day, n from clean")
    with open_engine(sales_settings.tables, "sales") as engine:
        with pytest.raises(duckdb.CatalogException) as caught:
            engine.db.execute("from clean")
        sentence = engine.explain(caught.value)
    missing = "tables/sources.sql: the view raw: IO Error: No files found that match"
    assert sentence.startswith(f"Catalog Error: Table with name clean does not exist!; {missing}")


# The hour at which this moment's day begins elsewhere.
MOMENT = "timestamptz '2024-01-02 02:00:00+00'"


@pytest.mark.parametrize("process_zone", ["UTC", "America/New_York", "Asia/Tokyo"])
def test_a_day_begins_where_the_setting_says_whatever_process_runs(
    sales_settings: Settings, define: DefineTable, monkeypatch: pytest.MonkeyPatch, process_zone: str
) -> None:
    (sales_settings.tables / "sources.sql").write_text(f"create table raw as select ({MOMENT})::date as day, 1 as n;")
    define("sales", "from raw")
    monkeypatch.setenv("TZ", process_zone)
    time.tzset()
    try:
        for zone, day in (("UTC", "2024-01-02"), ("America/New_York", "2024-01-01")):
            with open_engine(sales_settings.tables, "sales", time_zone=zone) as engine:
                days = engine.db.execute(f"select day::text, ({MOMENT})::date::text from raw").fetchall()
                assert days == [(day, day)], "also what a source makes when it is created"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_every_time_zone_that_a_setting_may_name_is_one_of_the_database(sales_settings: Settings) -> None:
    with open_engine(sales_settings.tables, "sales") as engine:
        names = {name for (name,) in engine.db.execute("select name from pg_timezone_names()").fetchall()}
    # What "localtime" is depends on the machine, so it is no zone to set.
    assert set(pendulum.timezones()) - names <= {"localtime"}


def test_a_zone_that_the_database_does_not_know_is_said_in_a_sentence(sales_settings: Settings) -> None:
    with (
        pytest.raises(OperatorError, match=r"^RELOADS_TIME_ZONE='Mars/North' cannot be used: .*; write a zone that"),
        open_engine(sales_settings.tables, "sales", time_zone="Mars/North"),
    ):
        pass


def words_of_database(query: str) -> str:
    with duckdb.connect() as db:
        db.execute("create table sales (day date, amount int)")
        with pytest.raises(duckdb.Error) as caught:
            db.execute(query)
    return message(caught.value)


@pytest.mark.parametrize(
    ("query", "name"),
    [
        pytest.param("from raw", "Table with name raw", id="a system table is guessed"),
        pytest.param("from duckdb_log", "Table with name duckdb_log", id="a system table is near"),
        pytest.param("select 1 from sale as s", "Table with name sale", id="a table is near"),
        pytest.param('from "odd\nname"', "Table with name odd name", id="a name of two lines"),
        pytest.param("insert into nowhere values (1)", "Table with name nowhere", id="no picture of the statement"),
        pytest.param("drop view nowhere", "View with name nowhere", id="view"),
    ],
)
def test_the_database_does_not_guess_at_a_missing_table(query: str, name: str) -> None:
    assert words_of_database(query) == f"Catalog Error: {name} does not exist!"


@pytest.mark.parametrize(
    ("query", "words"),
    [
        pytest.param(
            "select amont from sales",
            'Binder Error: Referenced column "amont" not found in FROM clause! Candidate bindings: "amount", "day"',
            id="column",
        ),
        pytest.param(
            "select sal.amount from sales",
            'Binder Error: Referenced table "sal" not found! Candidate tables: "sales"',
            id="table of a column",
        ),
        pytest.param(
            "select sume(amount) from sales",
            'Catalog Error: Scalar Function with name sume does not exist! Did you mean "sum"?',
            id="function",
        ),
        pytest.param(
            "from read_csvv('raw.csv')",
            'Catalog Error: Table Function with name read_csvv does not exist! Did you mean "read_csv"?',
            id="table function",
        ),
        pytest.param(
            "select 1::integr",
            'Catalog Error: Type with name integr does not exist! Did you mean "integer"?',
            id="type",
        ),
    ],
)
def test_candidates_for_other_names_stay(query: str, words: str) -> None:
    assert words_of_database(query) == words
