"""The engine: bounded by its share, and not held up by sources that a query does not read."""

from pathlib import Path

import duckdb
import pytest

from reloads.errors import QueryError
from reloads.rewriting.engine import Share, connect, message
from reloads.settings import Settings
from reloads.tables.definition import load_table

SHARE = Share(threads=1, memory_mb=256)
MISSING = "create view raw as from read_csv(getvariable('source') || '/*.csv');\n"


def settings_with(threads: int, memory_mb: int, tasks: int) -> Settings:
    return Settings(threads=threads, memory_mb=memory_mb, tasks_at_once=tasks)


@pytest.mark.parametrize(
    ("settings", "batches", "share"),
    [
        pytest.param(settings_with(8, 8000, 4), 4, Share(2, 2000), id="as many batches as tasks"),
        pytest.param(settings_with(8, 8000, 4), 1, Share(8, 2000), id="a batch alone has all threads"),
        pytest.param(settings_with(8, 8000, 4), 100, Share(2, 2000), id="batches that wait do not count"),
        pytest.param(settings_with(2, 8000, 4), 4, Share(1, 2000), id="never less than a thread"),
        pytest.param(settings_with(8, 100, 4), 4, Share(2, 64), id="never less memory than DuckDB needs"),
        pytest.param(settings_with(8, 8000, 4), 0, Share(8, 2000), id="no batch"),
    ],
)
def test_batches_share_the_machine(settings: Settings, batches: int, share: Share) -> None:
    assert Share.of(settings, batches=batches) == share


def test_a_connection_keeps_to_its_share_and_spills_where_it_is_told(sales_settings: Settings, tmp_path: Path) -> None:
    table = load_table(sales_settings.tables, "sales")
    with connect(table, source=tmp_path, spill=tmp_path / "spill", share=Share(threads=1, memory_mb=100)) as engine:
        row = engine.db.execute(
            "select current_setting('threads'), current_setting('memory_limit'), current_setting('temp_directory')"
        ).fetchone()
        assert row == (1, "95.3 MiB", str(tmp_path / "spill"))
        engine.db.execute("create table big as select md5(n::varchar) as text from range(5_000_000) as r(n)")
        assert list((tmp_path / "spill").iterdir())
    assert not list((tmp_path / "spill").glob("*"))


def test_the_variable_source_holds_the_source_folder(sales_settings: Settings) -> None:
    odd = Path("/odd ' folder; \"")
    with connect(load_table(sales_settings.tables, "sales"), source=odd, spill=odd, share=SHARE) as engine:
        assert engine.db.execute("select getvariable('source')").fetchall() == [(str(odd),)]


@pytest.mark.parametrize(
    "sources",
    [
        pytest.param(MISSING, id="files"),
        pytest.param(MISSING + "create view clean as from raw;", id="a view over the missing view"),
    ],
)
def test_a_missing_source_only_concerns_who_reads_it(sales_settings: Settings, tmp_path: Path, sources: str) -> None:
    (sales_settings.tables / "sources.sql").write_text(sources + "create view there as select 1 as n;")
    with connect(load_table(sales_settings.tables, "sales"), source=tmp_path, spill=tmp_path, share=SHARE) as engine:
        assert engine.db.execute("from there").fetchall() == [(1,)]
        with pytest.raises(duckdb.CatalogException) as caught:
            engine.db.execute("from raw")
        sentence = engine.explain(caught.value)
        assert "nowhere" not in sentence
        assert sentence.startswith("Catalog Error: Table with name raw does not exist!; tables/sources.sql: IO Error: ")
        assert "tables/sources.sql: IO Error: No files found that match" in sentence


@pytest.mark.parametrize(
    "sources",
    [
        pytest.param("create view raw as from nowhere;", id="unknown table"),
        pytest.param("create vieww raw as select 1;", id="syntax"),
        pytest.param("create view raw as select nowhere;", id="unknown column"),
    ],
)
def test_a_broken_statement_is_an_error_whoever_reads_it(
    sales_settings: Settings, tmp_path: Path, sources: str
) -> None:
    (sales_settings.tables / "sources.sql").write_text(sources)
    table = load_table(sales_settings.tables, "sales")
    with (
        pytest.raises(QueryError, match=r"^tables/sources\.sql: .*; mend that statement$"),
        connect(table, source=tmp_path, spill=tmp_path, share=SHARE),
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
