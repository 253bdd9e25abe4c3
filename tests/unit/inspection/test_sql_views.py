"""The index: one row a request and one a partition, whatever else lies in the folders."""

import json
import os
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reloads.batch import Batch
from reloads.days import Days
from reloads.errors import RequestError
from reloads.inspection.sql_query import ATTEMPTS, csv_lines, look_again, query_views
from reloads.inspection.sql_views import open_views
from reloads.outcome import CheckResult, Failure, Handiwork, Reason
from reloads.progress import BatchProgress
from reloads.requests.archive import archive_done
from reloads.requests.batch_notes import note_batch
from reloads.requests.progress import with_progress
from reloads.requests.queue import Queue
from reloads.requests.record import Cause, Record
from reloads.rewriting.context import Locations, Provenance
from reloads.rewriting.engine import Share
from reloads.rewriting.rewrite import rewrite_batch
from reloads.settings import Settings
from reloads.tables.definition import load_table

DefineTable = Callable[..., Path]
Row = tuple[Any, ...]

NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
DAYS = Days.parse(["2024-01-01..2024-01-03"])
RECORD = Record(id="a", mode="landing", table="sales", days=DAYS, accepted_at=NOW)
FULL = RECORD.model_copy(
    update={
        "file": "a.json",
        "dropped": {"table": "sales"},
        "reason": 'it\'s "late";\n\u2028näch\\',
        "requested_by": "ann",
        "keys": {"origin": ("EWR", "JFK")},
        "only": "stale",
        "cascade": False,
        "parameters": {"limit": 3, "name": "x"},
        "cause": Cause(table="flights", days=DAYS, requests=("r1",)),
        "planned": (Reason(days=DAYS, why="asked for"),),
        "skipped": (Reason(days=Days.parse(["2024-01-02"]), why="not stale"),),
        "published": Days.parse(["2024-01-01"]),
        "unchanged": Days.parse(["2024-01-02"]),
        "cancelled": Days.parse(["2024-01-03"]),
        "failed": (Failure(days=DAYS, error="no such column", transient=True), Failure(days=DAYS, error="later")),
        "rows": 7,
        "rows_before": 6,
        "bytes": 5_000_000_000,
        "seconds": 1.5,
        "checks": (CheckResult(check="some", severity="warn", days=DAYS, rows=2, found="1", expected="2"),),
        "children": ("b",),
        "runs": ("run/1", "run/2"),
        "workers": (Handiwork(days=DAYS, worker="one"),),
        "finished_at": NOW,
    }
)
ODD_FOLDER = "odd [a]* ?'home'"


def put(settings: Settings, place: str, content: str | bytes) -> Path:
    path = settings.landing / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def ask(settings: Settings, statement: str) -> list[Row]:
    with open_views(settings) as db:
        return query_views(db, statement).fetchall()


def states(settings: Settings) -> list[Row]:
    return ask(settings, "select id, state from requests order by id")


@pytest.fixture
def odd_settings(sales_settings: Settings, tmp_path: Path) -> Settings:
    """A home whose name means something to SQL and to patterns."""
    home = tmp_path / ODD_FOLDER
    (home / "landing").mkdir(parents=True)
    return sales_settings.model_copy(update={"landing": home / "landing", "warehouse": home / "warehouse"})


# requests


@pytest.mark.parametrize("state", ["accepted", "done", "failed", "cancelled"])
def test_a_request_is_one_row_in_the_state_of_its_folder(sales_settings: Settings, state: str) -> None:
    put(sales_settings, f"{state}/a.json", RECORD.to_json())
    assert states(sales_settings) == [("a", state)]


def test_a_row_holds_every_field_of_its_record(sales_settings: Settings) -> None:
    put(sales_settings, "failed/a.json", FULL.to_json())
    [(text,)] = ask(sales_settings, "select to_json(r)::varchar from requests as r")
    row = json.loads(text)
    fields = FULL.model_dump(mode="json", exclude={"dropped", "drop"})
    for name in ("accepted_at", "finished_at"):
        assert datetime.fromisoformat(row.pop(name)) == datetime.fromisoformat(fields.pop(name))
    assert row == fields | {"state": "failed", "error": "no such column", "progress": None}


def test_a_request_that_a_batch_works_at_has_the_progress_that_the_record_has(sales_settings: Settings) -> None:
    put(sales_settings, "accepted/a.json", RECORD.to_json())
    with note_batch(sales_settings.landing, "sales", Batch(DAYS, requests={"a": DAYS}), run="run/1") as note:
        note.write(BatchProgress("writing", Days.parse(["2024-01-01"]), {date(2024, 1, 1): 7}))
        note.flush()
        [(text,)] = ask(sales_settings, "select to_json(progress)::varchar from requests")
        [record] = with_progress(sales_settings.landing, [RECORD], now=datetime.now(UTC))
    row = json.loads(text)
    assert record.progress
    assert datetime.fromisoformat(row.pop("at")) == record.progress.at
    assert row == record.progress.model_dump(mode="json", exclude={"at"})
    assert (row["days"], row["staged"], row["rows"]) == (3, 1, 7)


def test_an_old_record_is_null_where_it_lacks_a_field_and_a_new_one_may_have_more(sales_settings: Settings) -> None:
    old = {"id": "a", "mode": "landing", "table": "sales", "tomorrow": {"n": [1]}, "cause": {"table": "t", "more": 1}}
    put(sales_settings, "done/a.json", json.dumps(old))
    answer = ask(
        sales_settings, 'select mode, "table", days, rows, failed, keys, cause.table, cause.days from requests'
    )
    assert answer == [("landing", "sales", None, None, None, None, "t", None)]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("no json", id="no JSON"),
        pytest.param("", id="nothing"),
        pytest.param(RECORD.to_json()[:-9], id="half a record"),
        pytest.param(b'{"id": "b", "reason": "\xff\xfe"}', id="no UTF-8"),
        pytest.param("[1, 2]", id="a list"),
        pytest.param("{}", id="no id"),
        pytest.param(RECORD.to_json(), id="the record of another name"),
    ],
)
def test_a_file_that_is_no_record_is_left_out(sales_settings: Settings, content: str | bytes) -> None:
    put(sales_settings, "accepted/a.json", RECORD.to_json())
    put(sales_settings, "accepted/b.json", content)
    assert states(sales_settings) == [("a", "accepted")]


def test_a_field_of_another_type_is_null_and_the_others_stay(sales_settings: Settings) -> None:
    fields = json.loads(RECORD.to_json()) | {"rows": "many", "days": 3, "accepted_at": "soon"}
    put(sales_settings, "done/a.json", json.dumps(fields))
    answer = ask(sales_settings, "select id, rows, days, accepted_at::varchar from requests")
    assert answer == [("a", None, None, None)]


@pytest.mark.parametrize("folders", [(), ("accepted", "done", "done/archive", "failed", "rejected", "cancelled")])
def test_without_requests_there_are_no_rows(sales_settings: Settings, folders: tuple[str, ...]) -> None:
    for folder in folders:
        (sales_settings.landing / folder).mkdir()
    assert ask(sales_settings, "from requests") == []


def test_archived_requests_are_done_and_a_broken_line_is_left_out(sales_settings: Settings, queue: Queue) -> None:
    queue.file_away(FULL.model_copy(update={"failed": (), "cancelled": Days()}))
    archive_done(queue, now=datetime(2026, 12, 1, tzinfo=UTC), older_than_days=30)
    archive = sales_settings.landing / "done/archive/2026-03.jsonl"
    put(sales_settings, "done/archive/2026-02.jsonl", 'no json\n\n[1]\n{"id": "b", "table": "visits"}\n{"id": ')
    assert archive.exists()
    answer = ask(sales_settings, "select id, state, reason, rows from requests order by id")
    assert answer == [("a", "done", FULL.reason, 7), ("b", "done", None, None)]


def test_a_record_met_in_two_places_counts_where_it_went(sales_settings: Settings) -> None:
    for state in ("accepted", "cancelled", "failed", "done"):
        put(sales_settings, f"{state}/a.json", RECORD.to_json())
        assert states(sales_settings) == [("a", state)]
    put(sales_settings, "done/archive/2026-03.jsonl", json.dumps(json.loads(RECORD.to_json())) + "\n")
    assert states(sales_settings) == [("a", "done")]


def test_a_rejected_file_is_a_row_with_the_sentence(sales_settings: Settings) -> None:
    put(sales_settings, "rejected/bad.error.json", "{")
    note = put(sales_settings, "rejected/bad.error.error.txt", "bad.error.json: it is no JSON; mend it\n")
    os.utime(note, (NOW.timestamp(), NOW.timestamp()))
    put(sales_settings, "rejected/stray.error.txt", b"\xff\xfe")
    query = "select id, state, file, error, accepted_at is null, finished_at::varchar from requests order by file"
    first, second = ask(sales_settings, query)
    sentence = "bad.error.json: it is no JSON; mend it"
    assert first == (None, "rejected", "bad.error.json", sentence, True, "2026-03-01 12:30:00+00")
    assert second[:4] == (None, "rejected", "stray.json", None)


def test_requests_are_read_when_they_are_asked_for_and_an_answer_stays(sales_settings: Settings) -> None:
    with open_views(sales_settings) as db:
        path = put(sales_settings, "accepted/a.json", RECORD.to_json())
        answer = query_views(db, "select id, state from requests")
        (sales_settings.landing / "done").mkdir()
        path.rename(sales_settings.landing / "done/a.json")
        assert query_views(db, "select id, state from requests").fetchall() == [("a", "done")]
        assert "accepted" in str(answer)
        assert answer.fetchall() == [("a", "accepted")]


def test_a_record_that_moves_on_while_the_folders_are_read_is_looked_for_again(sales_settings: Settings) -> None:
    listed = [sales_settings.landing / place / "a.json" for place in ("accepted", "failed", "done")]
    put(sales_settings, "done/a.json", RECORD.to_json())
    look_again(lambda: duckdb.execute("from read_json($1)", [str(listed.pop(0))]))
    assert listed == []


def test_a_file_that_stays_away_is_an_error_in_the_end(tmp_path: Path) -> None:
    looks: list[int] = []

    def look() -> None:
        looks.append(1)
        duckdb.execute("from read_json($1)", [str(tmp_path / "a.json")])

    with pytest.raises(duckdb.IOException):
        look_again(look)
    assert len(looks) == ATTEMPTS


def test_records_that_move_on_while_they_are_read_are_met_all_the_same(sales_settings: Settings) -> None:
    count = 200
    for number in range(count):
        record = RECORD.model_copy(update={"id": f"r{number}"})
        put(sales_settings, f"accepted/{record.id}.json", record.to_json())
    (sales_settings.landing / "done").mkdir()
    asked = threading.Event()

    def move() -> None:
        for number in range(count):
            asked.wait(0.1)  # for another query, so that each meets some on the way
            asked.clear()
            name = f"r{number}.json"
            (sales_settings.landing / "accepted" / name).rename(sales_settings.landing / "done" / name)

    answers: set[Row] = set()
    with open_views(sales_settings) as db, ThreadPoolExecutor() as pool:
        moving = pool.submit(move)
        while not moving.done():
            asked.set()
            answers |= set(query_views(db, "select count(distinct id) from requests").fetchall())
    assert answers == {(count,)}


def test_a_home_with_an_odd_name_is_read(odd_settings: Settings) -> None:
    put(odd_settings, "accepted/a.json", RECORD.to_json())
    put(odd_settings, "done/archive/2026-03.jsonl", '{"id": "b"}\n')
    put(odd_settings, "rejected/c.error.txt", "c.json: no\n")
    publish(odd_settings, "2024-01-01")
    assert states(odd_settings) == [("a", "accepted"), ("b", "done"), (None, "rejected")]
    assert ask(odd_settings, "select day, rows from partitions") == [(date(2024, 1, 1), 3)]


# queries


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("", id="nothing"),
        pytest.param("-- from requests", id="a comment"),
        pytest.param("from requests; from partitions", id="two"),
        pytest.param("create table mine as from requests", id="create"),
        pytest.param("copy (from requests) to 'requests.csv'", id="copy"),
        pytest.param("drop view requests", id="drop"),
        pytest.param("set threads = 1", id="set"),
        pytest.param("attach 'some.db'", id="attach"),
    ],
)
def test_anything_but_one_select_is_refused(sales_settings: Settings, statement: str) -> None:
    with pytest.raises(RequestError, match=r"^the views answer exactly one SELECT; write one like: from requests$"):
        ask(sales_settings, statement)


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        pytest.param("selec 1", "Parser Error: syntax error at or near", id="syntax"),
        pytest.param("select stat from requests", 'Binder Error: Referenced column "stat" not found', id="column"),
        pytest.param("from request", "Catalog Error: Table with name request does not exist", id="table"),
        pytest.param("select 'a'::int", "Conversion Error: Could not convert string 'a'", id="while it runs"),
        pytest.param("from read_text('landing://*', nothing = 1)", "Binder Error", id="option"),
        pytest.param("from read_csv('landing://a.csv')", "IO Error: No files found", id="file"),
    ],
)
def test_a_query_that_fails_says_so_in_the_words_of_the_database(
    sales_settings: Settings, statement: str, words: str
) -> None:
    with pytest.raises(RequestError, match=r"^the query fails: [^\n]*; mend it, or ask again$") as caught:
        ask(sales_settings, statement)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "statement",
    ["from requests", "select 1 as state, 2 as state;", "describe requests", "with r as (from requests) from r -- all"],
)
def test_every_form_of_a_select_is_answered(sales_settings: Settings, statement: str) -> None:
    with open_views(sales_settings) as db:
        assert "state" in str(query_views(db, statement))


def test_only_the_views_and_the_tables_are_shown(sales_settings: Settings) -> None:
    with open_views(sales_settings) as db:
        query_views(db, "from requests")
        shown = [name for (name,) in query_views(db, "show tables").fetchall()]
    assert shown == ["calendar", "partitions", "requests", "sales", "visits"]


# output

TEXTS = (
    st.none() | st.text(max_size=9) | st.sampled_from(["", "a\nb", "\r", "\x1b[31m", "\u202e", "#", ",", '"', "NULL"])
)
ROWS = st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=5)


@given(ROWS)
def test_csv_is_what_the_database_writes(rows: list[tuple[str | None, str | None]]) -> None:
    with duckdb.connect() as db, TemporaryDirectory() as folder:
        db.execute('create table t ("a,b" varchar, list varchar[], day date, "at" timestamptz, ok boolean)')
        for text, other in rows:
            db.execute("insert into t values ($1, [$2, 'x'], '2024-01-01', '2024-01-01', true)", [text, other])
        db.table("t").write_csv(f"{folder}/t.csv")
        written = Path(folder, "t.csv").read_bytes().decode()
        assert "".join(f"{line}\n" for line in csv_lines(db.table("t"))) == written


# partitions


def publish(settings: Settings, *texts: str, table: str = "sales", **parameters: object) -> None:
    days = Days.parse(texts)
    outcome = rewrite_batch(
        Batch(days, parameters=parameters, requests={"r1": days, "r'2": days}),
        table=load_table(settings.tables, table),
        place=Locations(settings.warehouse, settings.source),
        share=Share(threads=1, memory_mb=256),
        provenance=Provenance(run="run/1", written_at=NOW),
    )
    assert [failure.error for failure in outcome.failed] == []


def file_of(settings: Settings, name: str, table: str = "sales") -> Path:
    return settings.warehouse / table / name / "data.parquet"


def test_without_partitions_there_are_no_rows(sales_settings: Settings) -> None:
    assert ask(sales_settings, "from partitions") == []


def test_a_partition_is_one_row_with_its_provenance(sales_settings: Settings) -> None:
    publish(sales_settings, "2024-01-01..2024-01-02")
    publish(sales_settings, "2024-01-01", table="visits")
    path = file_of(sales_settings, "day=2024-01-01")
    os.utime(path, (NOW.timestamp(), NOW.timestamp()))
    columns = """partition, day, keys, rows, bytes, published_at::varchar, requests, run, written_at::varchar,
        query_version, parameters, checked_at::varchar, file"""
    [row] = ask(sales_settings, f"select {columns} from partitions where \"table\" = 'sales' and day = '2024-01-01'")
    at, version = "2026-03-01 12:30:00+00", load_table(sales_settings.tables, "sales").version
    assert row == (
        *("day=2024-01-01", date(2024, 1, 1), "{}", 3, path.stat().st_size, at),
        *(["r1", "r'2"], "run/1", at, version, None, at, str(path)),
    )
    counts = ask(sales_settings, 'select "table", count(*) from partitions group by all order by all')
    assert counts == [("sales", 2), ("visits", 1)]


def test_keys_have_the_values_that_the_names_of_the_folders_hold(sales_settings: Settings, define: DefineTable) -> None:
    query = "select date '2024-01-01' as day, unnest(['EWR', 'a/b = [é]*']) as origin, 7 as gate, 1 as n"
    define("gates", query, 'keys = ["origin", "gate"]')
    publish(sales_settings, "2024-01-01", table="gates")
    answer = ask(sales_settings, "select keys, rows, is_current, file from partitions order by keys ->> 'origin'")
    assert [json.loads(keys) for keys, *_ in answer] == [
        {"origin": "EWR", "gate": "7"},
        {"origin": "a/b = [é]*", "gate": "7"},
    ]
    assert all(row[1:3] == (1, True) and Path(row[3]).is_file() for row in answer)


def test_parameters_are_those_that_the_rows_were_made_with(sales_settings: Settings, define: DefineTable) -> None:
    query = "select date '2024-01-01' as day, unnest(range(getvariable('n'))) as x"
    define("lots", query, '[parameters.n]\ntype = "integer"\ndefault = 2')
    publish(sales_settings, "2024-01-01", table="lots", n=5)
    assert ask(sales_settings, "select parameters ->> 'n', rows from partitions") == [("5", 5)]


def test_a_partition_is_current_while_the_log_speaks_of_its_file_and_query(
    sales_settings: Settings, define: DefineTable
) -> None:
    def current() -> list[bool]:
        return [is_current for (is_current,) in ask(sales_settings, "select is_current from partitions order by day")]

    publish(sales_settings, "2024-01-01..2024-01-03")
    assert current() == [True, True, True]
    file = file_of(sales_settings, "day=2024-01-01")
    other = file.with_name("other")
    other.write_bytes(file.read_bytes())
    other.replace(file)
    assert current() == [False, True, True]
    define("sales", "select date '2024-01-03' as day, 1 as sale_id, 2 as amount")
    assert current() == [False, False, False]


def test_a_partition_without_a_log_has_its_rows_all_the_same(sales_settings: Settings) -> None:
    publish(sales_settings, "2024-01-01..2024-01-02")
    query = "select rows, checked_at is null from partitions order by day"
    assert ask(sales_settings, query) == [(3, False), (3, False)]
    for name in (".log", ".state"):
        shutil.rmtree(sales_settings.warehouse / name)
    assert ask(sales_settings, query) == [(3, True), (3, True)]


def test_an_unreadable_partition_is_a_row_without_rows_and_hides_no_other(sales_settings: Settings) -> None:
    publish(sales_settings, "2024-01-01..2024-01-09")
    for day, content in {2: b"", 5: b"PAR1", 9: b"no Parquet at all, but longer than a footer"}.items():
        file_of(sales_settings, f"day=2024-01-0{day}").write_bytes(content)
    answer = ask(sales_settings, "select day(day), bytes, is_current from partitions where rows is null order by day")
    assert answer == [(2, 0, False), (5, 4, False), (9, 43, False)]
    assert ask(sales_settings, "select count(*), sum(rows), sum(len(requests)) from partitions") == [(9, 18, 12)]


def test_a_file_of_somebody_else_has_rows_and_no_provenance(sales_settings: Settings) -> None:
    publish(sales_settings, "2024-01-01")
    for day, footer in {
        "02": "",
        "03": ", kv_metadata {'reloads.requests': '[', 'reloads.written_at': 'soon'}",
    }.items():
        path = file_of(sales_settings, f"day=2024-01-{day}")
        path.parent.mkdir()
        duckdb.execute(f"copy (from range(7)) to '{path}' (format parquet{footer})")
    query = "select rows, requests, run, written_at::varchar, query_version, is_current from partitions order by day"
    assert ask(sales_settings, query)[1:] == [(7, None, None, None, None, False)] * 2


def test_what_is_no_day_is_no_partition(sales_settings: Settings) -> None:
    publish(sales_settings, "2024-01-01")
    for name in ("day=2024-13-45", "day=2024-01-0x", "other=2024-01-02"):
        path = file_of(sales_settings, name)
        path.parent.mkdir()
        path.write_bytes(file_of(sales_settings, "day=2024-01-01").read_bytes())
    assert ask(sales_settings, "select partition from partitions") == [("day=2024-01-01",)]


def test_a_broken_table_hides_no_other(sales_settings: Settings, define: DefineTable) -> None:
    publish(sales_settings, "2024-01-01")
    publish(sales_settings, "2024-01-01", table="visits")
    define("visits", "this is no query")
    assert ask(sales_settings, 'select "table" from partitions') == [("sales",)]


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("from requests", 0),
        ("from partitions", 2),
        ('select * from "PARTITIONS"', 2),
        ("with p as (from partitions) from p", 2),
    ],
)
def test_partitions_are_looked_at_for_a_query_that_names_them(sales_settings: Settings, query: str, count: int) -> None:
    publish(sales_settings, "2024-01-01..2024-01-02")
    with open_views(sales_settings, query=query) as db:
        assert query_views(db, "select count(*) from partitions").fetchall() == [(count,)]
