"""Whatever a query of ``reloads sql`` says, it reads the landing folder and the warehouse only, and writes nowhere.

Each way is seen to lead somewhere in a database without the guard.
"""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from reloads.errors import RequestError
from reloads.inspection.sql_query import query_views
from reloads.inspection.sql_views import open_views
from reloads.settings import Settings

SECRET = "classified"
PARTITION = "day=2024-01-01/data.parquet"

READS = {
    "text": "select content from read_text('{out}/classified.csv')",
    "blob": "select content from read_blob('{out}/classified.csv')",
    "csv": "from read_csv('{out}/classified.csv')",
    "a path as a table": "from '{out}/classified.csv'",
    "a URL of a file": "select content from read_text('file://{out}/classified.csv')",
    "the look of a CSV file": "select Columns from sniff_csv('{out}/classified.csv')",
    "a Parquet schema": "select name from parquet_schema('{out}/classified.parquet')",
    "another database": "from read_duckdb('{out}/classified.db', table_name = 'classified')",
    "a list of names": "from glob('{out}/*')",
    "a subquery": "select (select max(content) from read_text('{out}/*.csv'))",
    "a query in a text": "from query('select content from read_text(''{out}/classified.csv'')')",
    "a table in a text": "from query_table('{out}/classified.csv')",
    "a serialised query": "from json_execute_serialized_sql(json_serialize_sql('from ''{out}/classified.csv'' '))",
    "dots": "select content from read_text('{landing}/../out/classified.csv')",
    "computed dots": "select content from read_text('{landing}/' || repeat(chr(46), 2) || '/out/classified.csv')",
    "a link to a file": "select content from read_text('{landing}/link.csv')",
    "a link to a folder": "select content from read_text('{landing}/folder/classified.csv')",
    "a link that a pattern matches": "select content from read_text('{landing}/fold*/classified.csv')",
    "links that a pattern matches": "select content from read_text('{landing}/*/*.csv')",
    "a link and dots": "select content from read_text('{landing}/folder/../out/classified.csv')",
    "a list through a link": "from glob('{landing}/*/*')",
    "a link in the warehouse": "from read_parquet('{warehouse}/sales/day=2024-01-02/data.parquet')",
    "an attached database": "attach '{out}/classified.db' as other (read_only); from other.classified",
    "a second statement": "select 1; select content from read_text('{out}/classified.csv')",
}

WRITES = {
    "copy": "copy (select 1 as a) to '{out}/new.csv'",
    "copy in a WITH": "with x as (copy (select 1 as a) to '{out}/new.csv') from x",
    "copy in a WITH into the warehouse": "with x as (copy (select 1 as a) to '{warehouse}/new.csv') from x",
    "copy in a WITH into landing": "with x as (copy (select 1 as a) to '{landing}/new.json') from x",
    "copy over a partition": (
        "with x as (copy (select 1 as a) to '{warehouse}/sales/day=2024-01-01/data.parquet') from x"
    ),
    "copy into partitions": (
        "with x as (copy (select 1 as a, 2 as b) to '{warehouse}/t' (format csv, partition_by (a))) from x"
    ),
    "copy through a link": "with x as (copy (select 1 as a) to '{landing}/link.csv') from x",
    "a serialised copy": (
        "from json_execute_serialized_sql(json_serialize_sql("
        "'with x as (copy (select 1 as a) to ''{warehouse}/new.csv'') from x'))"
    ),
    "a serialised copy outside": (
        "from json_execute_serialized_sql(json_serialize_sql("
        "'with x as (copy (select 1 as a) to ''{out}/new.csv'') from x'))"
    ),
    "a new database": "attach '{warehouse}/new.db' as other; create table other.t as select 1",
    "an export": "export database '{out}/export'",
    "a log": "call enable_logging(storage = 'file', storage_path = '{out}/log'); select 1",
    "a persistent secret": (
        "set secret_directory = '{out}/secrets'; create persistent secret s (type http, bearer_token 'x')"
    ),
    "a statement behind a comment": "select 1 -- ;\n; copy (select 1 as a) to '{out}/new.csv'",
    "a statement between comments": "/* select 1 */ copy (select 1 as a) to '{landing}/new.json' -- select 1",
}

AS_NAMED = {"landing": "landing:/", "warehouse": "warehouse:/"}
"""The two folders as a query names them, up to the slash before a path."""


@pytest.fixture
def places(sales_settings: Settings) -> dict[str, str]:
    """A partition in the warehouse, and beside it a folder that nobody may read, to which links lead."""
    out = sales_settings.home / "out"
    sales = sales_settings.warehouse / "sales"
    out.mkdir()
    (sales / PARTITION).parent.mkdir(parents=True)
    duckdb.execute(f"copy (select 1 as n) to '{sales / PARTITION}'")
    (out / "classified.csv").write_text(f"{SECRET}\n1\n")
    duckdb.execute(f"copy (select 1 as {SECRET}) to '{out}/classified.parquet'")
    with duckdb.connect(out / "classified.db") as db:
        db.execute(f"create table {SECRET} as select '{SECRET}' as word")
    (sales_settings.landing / "link.csv").symlink_to(out / "classified.csv")
    (sales_settings.landing / "folder").symlink_to(out)
    (sales / "day=2024-01-02").mkdir()
    (sales / "day=2024-01-02/data.parquet").symlink_to(out / "classified.parquet")
    return {"out": str(out), "landing": str(sales_settings.landing), "warehouse": str(sales_settings.warehouse)}


def content_of(home: Path) -> dict[str, tuple[int, bytes]]:
    """Every file below the home, links too, with its time and content."""
    files = [path for path in home.rglob("*") if not path.is_dir()]
    return {str(path): (path.lstat().st_mtime_ns, path.read_bytes()) for path in files}


def ask(settings: Settings, statement: str) -> tuple[list[Any], str]:
    """The rows of the answer and its columns, or the sentence that refuses it."""
    try:
        with open_views(settings) as db:
            answer = query_views(db, statement)
            return [*answer.fetchall(), answer.columns], ""
    except RequestError as error:
        return [], str(error)


@pytest.mark.parametrize("statement", READS.values(), ids=READS)
def test_nothing_outside_the_two_folders_is_read(
    sales_settings: Settings, places: dict[str, str], statement: str
) -> None:
    with duckdb.connect() as unguarded:
        db = unguarded.execute(statement.format(**places))
        assert SECRET in repr([db.description, db.fetchall()])
    for names in (places, places | AS_NAMED):
        answer, sentence = ask(sales_settings, statement.format(**names))
        assert SECRET not in repr(answer)
        assert sentence.isprintable()


@pytest.mark.parametrize("statement", WRITES.values(), ids=WRITES)
def test_nothing_is_written_anywhere(sales_settings: Settings, places: dict[str, str], statement: str) -> None:
    before = content_of(sales_settings.home)
    for names in (places, places | AS_NAMED):
        answer, sentence = ask(sales_settings, statement.format(**names))
        assert answer == []
        assert sentence.startswith(
            ("the views answer exactly one SELECT; ", "the query is refused: ", "the query fails: ")
        )
        assert sentence.isprintable()
        assert content_of(sales_settings.home) == before
    with duckdb.connect() as unguarded:
        unguarded.execute(statement.format(**places)).fetchall()
    assert content_of(sales_settings.home) != before


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        pytest.param("from read_text('/etc/passwd')", "it reaches for something outside", id="a file"),
        pytest.param("from read_csv('/proc/self/environ')", "it reaches for something outside", id="the environment"),
        pytest.param("from read_csv('https://127.0.0.1/x.csv')", "it reaches for something outside", id="the network"),
        pytest.param("from read_parquet('s3://x/y')", "it reaches for something outside", id="a bucket"),
        pytest.param("from glob('/*')", "it reaches for something outside", id="a list"),
        pytest.param("from read_text('landing://../x')", "it leaves the folder landing://", id="dots"),
        pytest.param("from read_text('landing://link.csv')", "link.csv is a symbolic link", id="a link"),
        pytest.param(
            "from json_execute_serialized_sql("
            "json_serialize_sql('with x as (copy (select 1) to ''landing://x'') from x'))",
            "it would write landing://x",
            id="a copy",
        ),
    ],
)
def test_a_refused_query_says_why_and_what_may_be_read(
    sales_settings: Settings, places: dict[str, str], statement: str, reason: str
) -> None:
    assert places
    assert ask(sales_settings, statement)[1] == (
        f"the query is refused: {reason}; it may read the views, and files like "
        "'warehouse://flights/**/*.parquet' or 'landing://done/*.json'"
    )


@pytest.mark.parametrize(
    "statement",
    [
        "install httpfs",
        "load httpfs",
        "pragma threads = 1",
        "call enable_logging()",
        "checkpoint",
        "reset lock_configuration",
        "create secret s (type http, bearer_token 'x')",
        "with x as (insert into held.footers (file) values ('x') returning *) from x",
        "select (with x as (update held.footers set run = 'x' returning run) from x)",
        "from requests, (with x as (delete from held.footers returning *) from x)",
    ],
)
def test_what_changes_the_database_itself_is_not_a_select(sales_settings: Settings, statement: str) -> None:
    assert ask(sales_settings, statement)[1] == ("the views answer exactly one SELECT; write one like: from requests")


@pytest.mark.parametrize(
    "setting",
    [
        "lock_configuration = false",
        "enable_external_access = true",
        "disabled_filesystems = ''",
        "allowed_directories = ['/']",
        "temp_directory = '/tmp'",
        "python_enable_replacements = true",
    ],
)
def test_no_setting_can_be_changed_back(sales_settings: Settings, setting: str) -> None:
    with open_views(sales_settings) as db, pytest.raises(duckdb.Error):
        db.execute(f"set {setting}")


def test_no_variable_of_the_program_is_a_table(sales_settings: Settings) -> None:
    assert "Table with name sales_settings does not exist" in ask(sales_settings, "from sales_settings")[1]


@pytest.mark.usefixtures("places")
def test_files_of_the_two_folders_can_be_read(sales_settings: Settings) -> None:
    (sales_settings.landing / "done").mkdir()
    (sales_settings.landing / "done/a.json").write_text('{"id": "a"}')
    (sales_settings.landing / "large.csv").write_text("n\n" + "1\n" * 2**20)
    queries = {
        f"from 'warehouse://sales/{PARTITION}'": (1, date(2024, 1, 1)),
        "from read_parquet(['warehouse://sales/*-01/*.parquet'])": (1, date(2024, 1, 1)),
        "select count(*) from read_json('landing://**/*.json')": (1,),
        "select id from 'landing://done/a.json'": ("a",),
        "select sum(n) from 'landing://large.csv'": (2**20,),
        "from glob('landing://**/*.json')": ("landing://done/a.json",),
    }
    answers = {query: ask(sales_settings, query) for query in queries}
    assert {query: (rows[:1], sentence) for query, (rows, sentence) in answers.items()} == {
        query: ([row], "") for query, row in queries.items()
    }


@pytest.mark.usefixtures("places")
def test_folders_that_are_links_are_read(sales_settings: Settings, tmp_path: Path) -> None:
    links = {"landing": tmp_path / "other landing", "warehouse": tmp_path / "other warehouse"}
    for name, link in links.items():
        link.symlink_to(tmp_path / name)
    linked = sales_settings.model_copy(update=links)
    assert ask(linked, "select count(*) from requests")[0][0] == (0,)
    assert ask(linked, "select n from 'warehouse://sales/*/*.parquet'")[0][0] == (1,)


def test_what_else_lies_among_the_records_hides_none(sales_settings: Settings, tmp_path: Path) -> None:
    accepted, rejected = sales_settings.landing / "accepted", sales_settings.landing / "rejected"
    for folder in (accepted, rejected, accepted / "folder.json"):
        folder.mkdir()
    (accepted / "a.json").write_text('{"id": "a"}')
    (accepted / "link.json").symlink_to(accepted / "a.json")
    (accepted / "nowhere.json").symlink_to(tmp_path / "nowhere")
    os.mkfifo(accepted / "pipe.json")
    (rejected / os.fsdecode(b"\xff\n.error.txt")).write_text("no\n")
    rows, _ = ask(sales_settings, "select id, file, error from requests order by id nulls last")
    assert rows[:-1] == [("a", None, None), (None, "\\xff\\n.json", "no")]
