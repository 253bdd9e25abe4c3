"""Checking all table folders: whatever would fail a reload without its data is found before somebody asks for one."""

import sys
from pathlib import Path

import pytest

from reloads.errors import TableError
from reloads.inspection.check_tables import check_tables
from reloads.settings import Settings
from tests.conftest import THREE_ROWS_A_DAY, DefineTable


def test_the_names_of_good_tables_are_returned(sales_settings: Settings) -> None:
    assert check_tables(sales_settings).names == ["sales", "visits"]


@pytest.mark.parametrize(
    ("query", "rule"),
    [
        pytest.param(
            "select date '2024-01-01' as day, nowhere", 'visits/query.sql: .*"nowhere" was not found', id="column"
        ),
        pytest.param("from nowhere", "visits/query.sql: .*Table with name nowhere does not exist", id="table"),
        pytest.param("select 1 as n", "visits/query.sql has no column day, only n", id="no day column"),
        pytest.param("select '2024-01-01' as day, 1 as sale_id", "day is VARCHAR, not DATE", id="not a date"),
        pytest.param("select date '2024-01-01' as day", "has no column besides day", id="only the day"),
        pytest.param(
            "select date '2024-01-01' as day, 1 as n", "has no column sale_id, only day, n; .*order_by", id="order_by"
        ),
        pytest.param("select date '2024-01-01' as day, ? as x", "visits/query.sql: .*parameter", id="a parameter"),
    ],
)
def test_a_query_that_cannot_work_is_named_with_the_rule(sales_settings: Settings, query: str, rule: str) -> None:
    (sales_settings.tables / "visits" / "query.sql").write_text(query)
    with pytest.raises(TableError, match=rule) as caught:
        check_tables(sales_settings)
    assert len(str(caught.value).splitlines()) == 1
    assert "Did you mean" not in str(caught.value)


def test_each_bad_table_gets_a_line_and_good_ones_none(sales_settings: Settings) -> None:
    (sales_settings.tables / "visits" / "query.sql").write_text("from nowhere")
    (sales_settings.tables / "empty").mkdir()
    with pytest.raises(TableError) as caught:
        check_tables(sales_settings)
    first_line, second_line = str(caught.value).splitlines()
    assert "empty/table.toml is missing" in first_line
    assert "visits/query.sql" in second_line


def test_missing_source_files_are_not_a_fault_and_what_they_kept_from_being_checked_is_said(
    sales_settings: Settings,
) -> None:
    (sales_settings.tables / "sources.sql").write_text(
        "create view raw as from read_csv(getvariable('source') || '/*.csv');\ncreate view clean as from raw;"
    )
    (sales_settings.tables / "visits" / "query.sql").write_text("select day, sale_id from clean")
    checked = check_tables(sales_settings)
    assert (checked.names, list(checked.unchecked)) == (["sales", "visits"], ["visits"])
    [sentence] = checked.gaps()
    assert sentence.startswith("the columns of visits were not checked: ")
    assert "No files found that match" in sentence
    sales_settings.source.mkdir(parents=True, exist_ok=True)
    (sales_settings.source / "1.csv").write_text("day,sale_id\n2024-01-01,1\n")
    assert check_tables(sales_settings).unchecked == {}
    (sales_settings.tables / "visits" / "query.sql").write_text("select day, sail_id from clean")
    with pytest.raises(TableError, match="sail_id"):
        check_tables(sales_settings)


def test_a_check_that_reads_a_source_is_bound_once_the_source_has_files(
    sales_settings: Settings, tmp_path: Path
) -> None:
    sources = f"create view customers as from read_csv('{tmp_path}/customers.csv');"
    (sales_settings.tables / "sources.sql").write_text(sources)
    check = "create view strangers as select day from new anti join customers using (no_such_column)"
    (sales_settings.tables / "visits" / "checks.sql").write_text(check)
    assert check_tables(sales_settings).names == ["sales", "visits"]

    (tmp_path / "customers.csv").write_text("sale_id\n1\n")
    with pytest.raises(TableError, match=r"visits/checks.sql: the check strangers: .*no_such_column"):
        check_tables(sales_settings)


def test_a_broken_statement_in_the_sources_is_named_by_who_reads_it(sales_settings: Settings) -> None:
    (sales_settings.tables / "sources.sql").write_text("create view raw as from nowhere;")
    assert check_tables(sales_settings).names == ["sales", "visits"]
    (sales_settings.tables / "visits" / "query.sql").write_text("select day, sale_id from raw")
    with pytest.raises(TableError, match=r"tables/sources.sql: .*nowhere does not exist.*; mend that statement"):
        check_tables(sales_settings)


@pytest.mark.parametrize(
    ("value", "sql_type", "stored"),
    [
        pytest.param("sum(1)", "HUGEINT", "HUGEINT as DOUBLE, which rounds it; cast it to bigint", id="hugeint"),
        pytest.param("1::uhugeint", "UHUGEINT", "UHUGEINT as DOUBLE", id="uhugeint"),
        pytest.param("1::bignum", "BIGNUM", "BIGNUM as VARCHAR", id="bignum"),
        pytest.param("'101'::bit", "BIT", "BIT as VARCHAR", id="bit"),
        pytest.param("interval 1 day", "INTERVAL", "INTERVAL as whole milliseconds", id="interval"),
        pytest.param("'10:00:00+02'::timetz", "TIME WITH TIME ZONE", "ZONE as UTC without its zone", id="timetz"),
        pytest.param("union_value(a := 1)", "UNION(a INTEGER)", "UNION as a STRUCT", id="union"),
        pytest.param("{'a': [1::hugeint]}", "STRUCT(a HUGEINT[])", "HUGEINT as DOUBLE", id="in a struct of a list"),
        pytest.param("map {1::hugeint: 'a'}", "MAP(HUGEINT, VARCHAR)", "HUGEINT as DOUBLE", id="in a map"),
        pytest.param("[[1::hugeint]]::hugeint[1][]", "HUGEINT[1][]", "HUGEINT as DOUBLE", id="in arrays"),
    ],
)
def test_a_column_that_parquet_stores_as_something_else_is_said_with_a_cure(
    sales_settings: Settings, define: DefineTable, value: str, sql_type: str, stored: str
) -> None:
    define("visits", f"select date '2024-01-01' as day, {value} as total")
    with pytest.raises(TableError) as caught:
        check_tables(sales_settings)
    sentence = f"tables/visits/query.sql: the column total is {sql_type}, and Parquet stores "
    assert str(caught.value).startswith(sentence)
    assert stored in str(caught.value)


@pytest.mark.parametrize(
    "value",
    [
        *("'a'::enum ('HUGEINT')", "timestamp_s '2024-01-01'", "timestamp_ms '2024-01-01'", "[1]::int[1]"),
        *("1::decimal(38, 0)", "uuid()", "{'hugeint': 1}", "'{}'::json", "'a'::blob", "1::ubigint", "null", "now()"),
    ],
)
def test_a_column_that_comes_back_without_loss_is_fine(
    sales_settings: Settings, define: DefineTable, value: str
) -> None:
    define("visits", f"select date '2024-01-01' as day, {value} as total")
    assert check_tables(sales_settings).names == ["sales", "visits"]


def test_partitions_of_another_layout_are_said(sales_settings: Settings) -> None:
    (sales_settings.warehouse / "visits" / "old_day=2024-01-01").mkdir(parents=True)
    with pytest.raises(TableError, match=r"visits holds old_day=2024-01-01, and the table is partitioned by day now; "):
        check_tables(sales_settings)


def test_checking_writes_nothing(sales_settings: Settings, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    check_tables(sales_settings)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_receiver_of_messages_without_apprise_is_a_sentence(
    sales_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings.from_environment({"RELOADS_HOME": str(sales_settings.home), "RELOADS_NOTIFY": "json://a"})
    assert check_tables(settings).names == ["sales", "visits"]
    # As Python itself has it where a module is not to be found.
    monkeypatch.setitem(sys.modules, "apprise", None)
    assert check_tables(sales_settings).names == ["sales", "visits"]
    with pytest.raises(TableError, match=r"Apprise is missing; install reloads\[notify\]"):
        check_tables(settings)


def test_a_table_with_snapshots_without_delta_lake_is_a_sentence(
    sales_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = sales_settings.model_copy(update={"snapshots": "delta"})
    assert check_tables(settings).names == ["sales", "visits"]
    monkeypatch.setitem(sys.modules, "deltalake", None)
    assert check_tables(sales_settings).names == ["sales", "visits"]
    with pytest.raises(TableError, match=r"sales, visits have snapshots, but Delta Lake is missing; install reloads\["):
        check_tables(settings)


def test_a_table_that_names_a_receiver_nobody_set_is_a_sentence_where_receivers_are_known(
    sales_settings: Settings, define: DefineTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    define("visits", THREE_ROWS_A_DAY, 'notify = ["TEAM"]')
    assert check_tables(sales_settings).names == ["sales", "visits"]
    monkeypatch.setenv("RELOADS_NOTIFY_OTHERS", "json://others")
    with pytest.raises(TableError, match=r"visits/table.toml: notify names TEAM, which nobody set"):
        check_tables(sales_settings)
    monkeypatch.setenv("RELOADS_NOTIFY_TEAM", "json://team")
    assert check_tables(sales_settings).names == ["sales", "visits"]
