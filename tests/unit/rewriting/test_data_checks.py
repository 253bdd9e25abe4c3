"""Checks: what is wrong with new rows is found by day before they are published, and nothing wrong is ignored."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reloads.days import Days
from reloads.errors import QueryError, TableError
from reloads.outcome import CheckResult
from reloads.rewriting.check_statements import list_checks
from reloads.rewriting.data_checks import bind_checks, run_checks
from reloads.tables.definition import CheckSettings, Table, TableSettings

FIRST, SECOND, THIRD = "2024-01-01", "2024-01-02", "2024-01-03"
DAY = {"day": "DATE"}
NEGATIVE = "create view negative as select day, amount as found from new where amount < 0;"
FEWER = """
    create view fewer as
    select day, count(n.id) as found, count(*) as expected
    from old as o left join new as n using (day, id)
    group by day having 2 * found < expected;
"""
KEY_GONE = """
    create view key_gone as
    select day, key as expected from (select distinct day, key from old) anti join new using (day, key);
"""
DUPLICATES = (
    "create view duplicates as select day, id as found, 1 as expected from new group by day, id having count(*) > 1"
)


@pytest.fixture
def db() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 1}) as connection:
        yield connection


def table_with(
    checks: str, *, day_column: str = "day", keys: Sequence[str] = (), severities: Mapping[str, str] | None = None
) -> Table:
    named = {name: CheckSettings.model_validate({"severity": text}) for name, text in (severities or {}).items()}
    settings = TableSettings(day_column=day_column, keys=list(keys), first_day=date(2024, 1, 1), checks=named)
    return Table("sales", "select 1", settings, "1", checks=checks)


class Files:
    """``write(side, query)`` writes the rows of a query into the Hive layout, and gives the files of that side."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, side: str, query: str, *by: str) -> list[Path]:
        columns = ", ".join(by or ("day",))
        options = f"format parquet, partition_by ({columns}), filename_pattern 'data', overwrite_or_ignore"
        return self._copy(side, f"copy ({query}) to '{self.folder / side}' ({options})")

    def write_empty(self, side: str, day: str) -> list[Path]:
        folder = self.folder / side / f"day={day}"
        folder.mkdir(parents=True)
        return self._copy(side, f"copy (select 1 as id, 1.5 as amount where false) to '{folder}/data.parquet'")

    def _copy(self, side: str, statement: str) -> list[Path]:
        with duckdb.connect(config={"threads": 1}) as db:
            db.execute(statement)
        return sorted((self.folder / side).rglob("*.parquet"))


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def sales(amounts: Mapping[str, list[float]]) -> str:
    rows = []
    for day, amounts_of_day in amounts.items():
        for number, amount in enumerate(amounts_of_day):
            rows.append(f"(date '{day}', {number}, {amount})")
    return f"select * from (values {', '.join(rows)}) as t(day, id, amount)"


@pytest.fixture(scope="module")
def three_days(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return Files(tmp_path_factory.mktemp("three")).write("new", sales({FIRST: [1], SECOND: [1], THIRD: [1]}))


def days(*texts: str) -> Days:
    return Days.parse(texts)


def run_on_files(
    db: duckdb.DuckDBPyConnection,
    table: Table,
    *,
    new: Sequence[Path],
    old: Sequence[Path],
    columns: Mapping[str, str],
) -> tuple[CheckResult, ...]:
    """The checks of a batch that asks for the days of these files."""
    texts = re.findall(rf"/{table.settings.day_column}=([0-9-]+)/", " ".join(map(str, [*new, *old])))
    return run_checks(db, table, days=Days.of(map(date.fromisoformat, texts)), new=new, old=old, columns=columns)


def test_rows_that_break_no_check_give_no_result(db: duckdb.DuckDBPyConnection, files: Files) -> None:
    new = files.write("new", sales({FIRST: [1, 2], SECOND: [3]}))
    table = table_with(NEGATIVE + FEWER + DUPLICATES)
    assert run_on_files(db, table, new=new, old=files.write("old", sales({FIRST: [1]})), columns=DAY) == ()
    assert run_on_files(db, table, new=new, old=[], columns=DAY) == ()


def test_each_day_has_a_result_of_its_own(db: duckdb.DuckDBPyConnection, files: Files) -> None:
    new = files.write("new", sales({FIRST: [-1.5, 2, -3], SECOND: [4], THIRD: [-5]}))
    assert run_on_files(db, table_with(NEGATIVE), new=new, old=[], columns=DAY) == (
        CheckResult(check="negative", severity="error", days=days(FIRST), rows=2, found="-1.5"),
        CheckResult(check="negative", severity="error", days=days(THIRD), rows=1, found="-5.0"),
    )


def test_a_day_that_lost_half_its_rows_or_all_is_found(db: duckdb.DuckDBPyConnection, files: Files) -> None:
    old = files.write("old", sales({FIRST: [1] * 4, SECOND: [1] * 5, THIRD: [1] * 3}))
    files.write("new", sales({FIRST: [1] * 2, SECOND: [1] * 2}))
    new = files.write_empty("new", THIRD)
    results = run_on_files(db, table_with(FEWER), new=new, old=old, columns=DAY)
    assert [(str(result.days), result.found, result.expected) for result in results] == [
        (SECOND, "2", "5"),
        (THIRD, "0", "3"),
    ]


def test_a_key_that_vanished_is_found(db: duckdb.DuckDBPyConnection, files: Files) -> None:
    rows = f"select * from (values (date '{FIRST}', '007', 1), (date '{FIRST}', 'b c', 2)) as t(day, key, n)"
    old = files.write("old", rows, "day", "key")
    new = files.write("new", f"{rows} where key = '007'", "day", "key")
    columns = DAY | {"key": "VARCHAR"}
    [result] = run_on_files(db, table_with(KEY_GONE, keys=["key"]), new=new, old=old, columns=columns)
    assert (result.days, result.found, result.expected) == (days(FIRST), None, "b c")
    everything_gone = run_on_files(db, table_with(KEY_GONE, keys=["key"]), new=[], old=old, columns=columns)
    assert [(result.rows, result.expected) for result in everything_gone] == [(2, "007")]


def test_duplicates_are_found(db: duckdb.DuckDBPyConnection, files: Files) -> None:
    new = files.write("new", f"{sales({FIRST: [1, 2]})} union all {sales({FIRST: [1]})}")
    [result] = run_on_files(db, table_with(DUPLICATES), new=new, old=[], columns=DAY)
    assert (result.days, result.rows, result.found, result.expected) == (days(FIRST), 1, "0", "1")


def test_a_check_reads_the_checks_before_it(db: duckdb.DuckDBPyConnection, files: Files) -> None:
    second_check = (
        "create view many_negative as select day, count(*) as found from negative group by day having found > 1"
    )
    new = files.write("new", sales({FIRST: [-1, -2], SECOND: [-3]}))
    results = run_on_files(db, table_with(NEGATIVE + second_check), new=new, old=[], columns=DAY)
    assert [(result.check, str(result.days)) for result in results] == [
        ("negative", FIRST),
        ("negative", SECOND),
        ("many_negative", FIRST),
    ]


def test_a_check_reads_the_sources(db: duckdb.DuckDBPyConnection, files: Files) -> None:
    db.execute("create view ledger as select 1 as id")
    check = "create view unknown as select day, id as found from new anti join ledger using (id)"
    new = files.write("new", sales({FIRST: [1, 1, 1]}))
    [result] = run_on_files(db, table_with(check), new=new, old=[], columns=DAY)
    assert result.found == "0"


def test_a_source_is_what_it_is_until_a_check_takes_its_name(db: duckdb.DuckDBPyConnection, files: Files) -> None:
    db.execute(f"create view late as select date '{FIRST}' as day, 'source' as found")
    checks = """
        create view early as from late;
        create view late as select day, found || ', extended' as found from late;
        create view last as from late;
    """
    new = files.write("new", sales({FIRST: [1]}))
    results = run_on_files(db, table_with(checks), new=new, old=[], columns=DAY)
    assert [result.found for result in results] == ["source", "source, extended", "source, extended"]


def test_sources_named_like_the_rows_of_a_check_stay_what_they_are(db: duckdb.DuckDBPyConnection, files: Files) -> None:
    db.execute(f"create view new as select date '{FIRST}' as day, 'source' as text")
    db.execute("create view old as from new; create view clean as from new; create view negative as from new")
    check = "create view sources as select day, text as found from clean where exists (from new where id = 0)"
    new = files.write("new", sales({FIRST: [-1]}))
    before = db.execute("select view_name, sql from duckdb_views() order by all").fetchall()
    results = run_on_files(db, table_with(NEGATIVE + check), new=new, old=new, columns=DAY)
    assert [result.found for result in results] == ["-1", "source"]
    assert db.execute("from clean").fetchall() == db.execute("from old").fetchall()
    assert db.execute("select view_name, sql from duckdb_views() order by all").fetchall() == before


def test_a_run_leaves_nothing_in_the_database(db: duckdb.DuckDBPyConnection, files: Files) -> None:
    new = files.write("new", sales({FIRST: [-1]}))
    table = table_with(NEGATIVE + "create or replace temp view broken as select day from new where error('no') = '';")
    for _ in range(2):
        with pytest.raises(QueryError):
            run_on_files(db, table, new=new, old=new, columns=DAY)
        assert db.execute("select * from duckdb_views() where not internal").fetchall() == []
        assert db.execute("select * from duckdb_tables() where not internal").fetchall() == []


def test_a_violation_without_a_day_or_outside_the_batch_fails_all_days(
    db: duckdb.DuckDBPyConnection, files: Files
) -> None:
    check = """
        create view lost as
        select unnest([null, date '2031-05-06', date '20000-01-01', day]) as day from new where amount < 0
    """
    new = files.write("new", sales({FIRST: [-1], SECOND: [2], THIRD: [3]}))
    in_batch, outside = run_on_files(db, table_with(check), new=new, old=[], columns=DAY)
    assert (in_batch.days, in_batch.rows, in_batch.found) == (days(FIRST), 1, None)
    assert outside.days == days(f"{FIRST}..{THIRD}")
    assert (outside.rows, outside.expected) == (3, "a day of the batch")
    assert outside.found == "2031-05-06, 20000-01-01, no day"


def test_a_published_day_without_new_rows_belongs_to_the_batch(db: duckdb.DuckDBPyConnection, files: Files) -> None:
    check = "create view gone as select day from old anti join new using (day)"
    old = files.write("old", sales({FIRST: [1], SECOND: [1]}))
    new = files.write("new", sales({FIRST: [1]}))
    [result] = run_on_files(db, table_with(check), new=new, old=old, columns=DAY)
    assert result.days == days(SECOND)


ABSENT = "create view absent as select day, 'a row' as expected from asked anti join new using (day)"


@pytest.mark.parametrize("text", [f"{FIRST}..{THIRD}", f"{FIRST}..2030-12-31", THIRD])
def test_a_check_finds_days_that_were_asked_for_and_have_no_rows(
    db: duckdb.DuckDBPyConnection, files: Files, text: str
) -> None:
    asked = days(text)
    new = files.write("new", sales({FIRST: [1]}))
    results = run_checks(db, table_with(ABSENT), days=asked, new=new, old=[], columns=DAY)
    assert Days.union(result.days for result in results) == asked - days(FIRST)


def test_it_finds_them_where_nothing_is_staged_or_published(db: duckdb.DuckDBPyConnection) -> None:
    asked = days(FIRST, THIRD)
    table = table_with(ABSENT.replace("new", "(from new union all from old)"))
    results = run_checks(db, table, days=asked, new=[], old=[], columns={"day": "DATE", "id": "INTEGER"})
    assert [(result.days, result.rows) for result in results] == [(days(FIRST), 1), (days(THIRD), 1)]


def test_asked_has_the_day_column_alone_one_row_a_day(db: duckdb.DuckDBPyConnection, files: Files) -> None:
    check = "create view kinds as select day, typeof(day) as found, count(*) as expected from asked group by all"
    new = files.write("new", sales({FIRST: [1, 1], SECOND: [1]}))
    results = run_checks(db, table_with(check), days=days(f"{FIRST}..{THIRD}"), new=new, old=new, columns=DAY)
    assert [(result.found, result.expected) for result in results] == [("DATE", "1")] * 3
    bind_checks(db, table_with("create view a as select * from asked where false"), columns={"day": "DATE"})


@pytest.mark.parametrize(("day_count", "result_count"), [(50, 50), (51, 51), (75, 51)])
def test_many_days_share_one_result(
    db: duckdb.DuckDBPyConnection, files: Files, day_count: int, result_count: int
) -> None:
    all_days = [date(2024, 1, 1) + timedelta(days=n) for n in range(day_count)]
    new = files.write("new", sales({str(day): [-n - 1, -n - 1] for n, day in enumerate(all_days)}))
    results = run_on_files(db, table_with(NEGATIVE), new=new, old=[], columns=DAY)
    assert len(results) == result_count
    assert [result.days for result in results[:50]] == [Days.of([day]) for day in all_days[:50]]
    assert Days.union(result.days for result in results) == Days.of(all_days)
    assert sum(result.rows for result in results) == 2 * day_count
    if shared := results[50:]:
        assert shared[0].found == "-51"


@given(
    violations=st.lists(
        st.tuples(st.sampled_from([FIRST, SECOND, THIRD, "2031-01-01", None]), st.text("ab", max_size=3))
    )
)
def test_no_violation_is_ignored(violations: list[tuple[str | None, str]], three_days: list[Path]) -> None:
    with duckdb.connect(config={"threads": 1}) as db:
        db.execute("create table bad (day date, found varchar)")
        for violation in violations:
            db.execute("insert into bad values (?, ?)", violation)
        results = run_on_files(db, table_with("create view any_ as from bad"), new=three_days, old=[], columns=DAY)
    assert sum(result.rows for result in results) == len(violations)
    for day in (FIRST, SECOND, THIRD):
        texts = [text for day_of_text, text in violations if day_of_text == day]
        results_of_day = [(result.rows, result.found) for result in results if result.days == days(day)]
        assert results_of_day == ([(len(texts), min(texts))] if texts else [])


def test_found_and_expected_are_of_one_row_short_and_on_one_line(db: duckdb.DuckDBPyConnection, files: Files) -> None:
    check = """
        create view texts as select day, t.* from new, (values
            ({'a': 2}, 'a'), ({'a': 1}, repeat(e'long\\n text ', 1000)), ({'a': 1}, null)
        ) as t(Found, EXPECTED)
    """
    new = files.write("new", sales({FIRST: [1]}))
    [result] = run_on_files(db, table_with(check), new=new, old=[], columns=DAY)
    assert result.found == "{'a': 1}"
    assert result.expected is not None
    assert result.expected.startswith("long text long text")
    assert len(result.expected) == 100


def test_a_warning_is_not_an_error(db: duckdb.DuckDBPyConnection, files: Files) -> None:
    new = files.write("new", f"{sales({FIRST: [-1]})} union all {sales({FIRST: [-1]})}")
    table = table_with(NEGATIVE + DUPLICATES, severities={"negative": "warn"})
    results = run_on_files(db, table, new=new, old=[], columns=DAY)
    assert {result.check: result.severity for result in results} == {"negative": "warn", "duplicates": "error"}


def test_a_column_that_the_published_files_lack_is_null_in_them(db: duckdb.DuckDBPyConnection, files: Files) -> None:
    check = (
        "create view changed as select day, o.Amount as found, o.tags as expected from old as o join new using (day)"
    )
    new = files.write("new", f"select *, [1] as tags, 1 as Amount from ({sales({FIRST: [1]})}) as t(day, id, price)")
    old = files.write("old", sales({FIRST: [7]}))
    [result] = run_on_files(db, table_with(check), new=new, old=old, columns=DAY)
    assert (result.found, result.expected) == ("7", None)
    [whole] = run_on_files(
        db, table_with("create view a as select day, o as found from old as o"), new=new, old=old, columns=DAY
    )
    assert whole.found == "{'id': 0, 'amount': 7, 'day': 2024-01-01, 'price': NULL, 'tags': NULL}"


def test_published_files_may_have_other_columns_and_types(db: duckdb.DuckDBPyConnection, files: Files) -> None:
    new = files.write("new", sales({FIRST: [1], SECOND: [1]}))
    files.write("old", f"select date '{FIRST}' as day, 0 as id, date '2000-01-01' as amount, 5 as gone")
    old = files.write("old", f"select date '{SECOND}' as day, 0 as id, null::date as amount")
    check = "create view types as select day, o.amount as found, o.gone as expected from old as o"
    results = run_on_files(db, table_with(check), new=new, old=old, columns=DAY)
    assert [(result.found, result.expected) for result in results] == [("2000-01-01", "5"), (None, None)]


def test_a_damaged_published_file_only_concerns_checks_that_read_it(
    db: duckdb.DuckDBPyConnection, files: Files
) -> None:
    new = files.write("new", sales({FIRST: [-1]}))
    [old] = files.write("old", sales({FIRST: [1]}))
    old.write_bytes(b"no Parquet")
    assert len(run_on_files(db, table_with(NEGATIVE), new=new, old=[old], columns=DAY)) == 1
    with pytest.raises(
        QueryError, match=r"rows of sales cannot be checked: .*data.*\.parquet.*; mend or remove that file"
    ):
        run_on_files(db, table_with(FEWER), new=new, old=[old], columns=DAY)


def test_without_new_files_new_has_no_rows(db: duckdb.DuckDBPyConnection, files: Files) -> None:
    old = files.write("old", sales({FIRST: [-1]}))
    assert run_on_files(db, table_with(NEGATIVE + DUPLICATES), new=[], old=old, columns=DAY) == ()


def test_without_checks_or_files_there_is_nothing_to_do(db: duckdb.DuckDBPyConnection) -> None:
    nowhere = [Path("day=2024-01-01/nowhere.parquet")]
    assert run_on_files(db, table_with("-- none yet"), new=nowhere, old=nowhere, columns=DAY) == ()
    assert run_on_files(db, table_with(NEGATIVE), new=[], old=[], columns=DAY) == ()


def test_the_day_column_may_have_any_name(db: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    new = Files(tmp_path).write("new", f"select date '{FIRST}' as \"Found\", 1 as id", '"Found"')
    table = table_with("create view odd as select found, 1 as expected from new", day_column="Found")
    [result] = run_on_files(db, table, new=new, old=[], columns={"Found": "DATE"})
    assert (result.days, result.found, result.expected) == (days(FIRST), FIRST, "1")


def test_checks_are_named_in_order_whatever_is_written_around_them() -> None:
    checks = """
        -- a comment; with a semicolon
        create /* and one here */ view b as -- and here ü
        (select 1 as "as"); -- behind
        CREATE OR REPLACE TEMP VIEW a AS from new where 'create view x as' <> ';' ; ;
        create temporary view c as with x as (from new) from x -- at the end
    """
    assert list_checks(table_with(checks)) == ["b", "a", "c"]
    assert list_checks(table_with("")) == []


@pytest.mark.parametrize(
    ("checks", "rule"),
    [
        pytest.param("create vieww a as select 1", "does not parse: .*; mend that statement", id="syntax"),
        pytest.param("select 1", "a check is `create view name as select ...`, not `select 1`", id="select"),
        pytest.param("create table a as select 1", "a check is `create view", id="table"),
        pytest.param("create view if not exists a as select 1", "a check is `create view", id="if not exists"),
        pytest.param("create view a(day) as select 1", "a check is `create view", id="column names"),
        pytest.param("create view main.a as select 1", "a check is `create view", id="schema"),
        pytest.param("drop view a", "a check is `create view", id="drop"),
        pytest.param('create view "a b" as select 1', "a check is `create view", id="space in the name"),
        pytest.param("create view A as select 1", "'A': names are lower case letters", id="upper case"),
        pytest.param("create view ä as select 1", "'ä': names are lower case letters", id="letter of a language"),
        pytest.param('create view "a" as select 1', "'\"a\"': names are", id="quotes"),
        pytest.param(
            "create view new as select 1", "'new': names are .*not new, old or asked.*; rename that check", id="new"
        ),
        pytest.param("create view old as select 1", "'old': names are", id="old"),
        pytest.param(NEGATIVE + NEGATIVE, "'negative': names are .*each of its own; rename", id="twice"),
    ],
)
def test_anything_but_checks_is_refused_with_file_and_rule(checks: str, rule: str) -> None:
    with pytest.raises(TableError, match=rf"^tables/sales/checks\.sql:? .*{rule}"):
        list_checks(table_with(checks))


def test_a_severity_of_a_check_that_is_not_there_is_refused() -> None:
    rule = r"^tables/sales/table\.toml: checks names 'negativ' but checks\.sql makes negative; mend either$"
    with pytest.raises(TableError, match=rule):
        list_checks(table_with(NEGATIVE, severities={"negativ": "warn"}))
    with pytest.raises(TableError, match=r"makes none"):
        list_checks(table_with("", severities={"negativ": "warn"}))


COLUMNS = {"day": "DATE", "id": "BIGINT", "amount": "DOUBLE", 'Odd "name': 'STRUCT(a INTEGER[], "b c" VARCHAR)'}


def test_good_checks_bind_without_a_file(db: duckdb.DuckDBPyConnection) -> None:
    bind_checks(db, table_with(NEGATIVE + FEWER + DUPLICATES), columns=COLUMNS)
    bind_checks(db, table_with('create view b as select day, "odd ""name"."b c" as found from old'), columns=COLUMNS)


@pytest.mark.parametrize(
    ("check", "rule"),
    [
        pytest.param("select day from nowhere", "wrong: .*nowhere does not exist.*; mend the check", id="table"),
        pytest.param("select day, nowhere from new", "wrong: .*nowhere.*; mend the check", id="column"),
        pytest.param("select day from new where amount > ?", "wrong: .*parameters.*; mend the check", id="parameter"),
        pytest.param("select id from new", "wrong has no column day, only id; select it", id="no day"),
        pytest.param(
            "select day::timestamp as day from new", "wrong has day as TIMESTAMP, not DATE; cast", id="not a date"
        ),
        pytest.param("select null as day from new", "wrong has day as .*, not DATE; cast", id="null"),
        pytest.param("describe new", "wrong", id="no rows"),
    ],
)
def test_a_check_that_cannot_work_is_named(db: duckdb.DuckDBPyConnection, files: Files, check: str, rule: str) -> None:
    table = table_with(f"{NEGATIVE} create view wrong as {check}")
    with pytest.raises(QueryError, match=rf"^tables/sales/checks\.sql: the check {rule}"):
        bind_checks(db, table, columns=COLUMNS)
    new = files.write("new", sales({FIRST: [1]}))
    with pytest.raises(QueryError, match=rf"^tables/sales/checks\.sql: the check {rule}"):
        run_on_files(db, table, new=new, old=[], columns=DAY)


def test_an_error_while_a_check_runs_names_it_on_one_line(db: duckdb.DuckDBPyConnection, files: Files) -> None:
    new = files.write("new", sales({FIRST: [1]}))
    check = "create view wide as select day, 2::tinyint * (id + 127)::tinyint as found from new"
    with pytest.raises(QueryError) as caught:
        run_on_files(db, table_with(check), new=new, old=[], columns=DAY)
    assert str(caught.value).startswith("tables/sales/checks.sql: the check wide: Out of Range Error: ")
    assert str(caught.value).endswith("; mend the check")
    assert isinstance(caught.value.__cause__, duckdb.Error)
