"""A change of columns that `replace` lets in: every other partition is asked for, once, and gets them too."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import date
from pathlib import Path

import duckdb
import pytest

from reloads.days import Days
from reloads.requests.queue import Queue
from reloads.requests.record import Record
from reloads.runs.follow_ups import request_schema_backfill
from reloads.runs.undo import undo_in_table
from reloads.tables.definition import load_table
from reloads.warehouse.ledger import read_ledger
from tests.support.chain import NOW, STATES, Chain, changed

REPLACE = 'on_schema_change = "replace"'
OTHER_TYPE = "select day, amount + 0.5 as amount from raw"
DAYS = Days.between(date(2025, 1, 1), date(2025, 1, 4))
THIRD, OTHERS = ["2025-01-03"], ["2025-01-01..2025-01-02", "2025-01-04"]


@pytest.fixture
def loaded(chain: Chain) -> Chain:
    """Four days of ``a`` and ``b``, and a query of ``a`` that makes another type of a column since."""
    chain.define("a", "select day, amount from raw", REPLACE)
    chain.define("b", "select day, 2 * amount as twice from a", REPLACE)
    for table in "ab":
        chain.ask(table, "2025-01-01", "2025-01-04", cascade=False)
    chain.work_off("a", "b")
    chain.define("a", OTHER_TYPE, REPLACE)
    return chain


def asked_for_rest(chain: Chain, table: str = "a") -> list[Record]:
    found = (one for state in STATES for one in chain.queue.records(state))
    return [one for one in found if (one.table, one.mode) == (table, "schema")]


def types(chain: Chain, table: str = "a") -> dict[str, str]:
    """The types of the columns in each published file; those of one name differ between days where it is mixed."""
    found: dict[str, set[str]] = {}
    with duckdb.connect() as db:
        for file in chain.settings.warehouse.glob(f"{table}/*/data.parquet"):
            query = "describe from read_parquet($1, hive_partitioning = false)"
            for name, kind, *_ in db.execute(query, [str(file)]).fetchall():
                found.setdefault(name, set()).add(kind)
    return {name: " or ".join(sorted(kinds)) for name, kinds in found.items()}


def values(chain: Chain, table: str = "a") -> list[tuple[object, ...]]:
    files = str(chain.settings.warehouse / table / "*" / "data.parquet")
    with duckdb.connect() as db:
        query = "select * exclude (day) from read_parquet($1, hive_partitioning = true) order by day"
        return [tuple(map(float, row)) for row in db.execute(query, [files]).fetchall()]


def owed(chain: Chain, table: str = "a") -> str:
    return read_ledger(chain.settings.warehouse, table).schema_backfill


def test_a_reload_of_one_day_publishes_it_and_asks_for_all_others(loaded: Chain) -> None:
    before = loaded.files()
    loaded.ask("a", "2025-01-03", cascade=False)
    settled = loaded.run("a")
    assert (settled.published.texts(), settled.failed) == (THIRD, ())
    assert changed(before, loaded.files()) == ["a 2025-01-03"]
    [record] = asked_for_rest(loaded)
    assert (record.table, record.mode, record.only, record.reason) == ("a", "schema", "all", "the columns changed")
    assert record.days == DAYS
    assert [one.request for one in settled.announce if one.table == "a"] == [record.id]


def test_after_it_was_worked_off_the_whole_table_has_the_new_columns_and_owes_nothing(loaded: Chain) -> None:
    loaded.ask("a", "2025-01-03", cascade=False)
    loaded.work_off("a")
    [record] = asked_for_rest(loaded)
    assert loaded.find_record(record.id)[0] == "done"
    assert record.published.texts() == OTHERS
    assert (record.unchanged.texts(), record.skipped) == (["2025-01-03"], ())
    assert types(loaded) == {"amount": "DECIMAL(12,1)"}
    assert values(loaded) == [(1.5,), (2.5,), (3.5,), (4.5,)]
    assert owed(loaded) == ""
    loaded.ask("a", "2025-01-01", "2025-01-04")
    loaded.work_off("a")
    assert len(asked_for_rest(loaded)) == 1


def test_the_readers_follow_and_owe_in_their_turn(loaded: Chain) -> None:
    loaded.ask("a", "2025-01-03")
    loaded.work_off("a")
    assert types(loaded, "b") == {"twice": "DECIMAL(18,1)"}
    assert values(loaded, "b") == [(3.0,), (5.0,), (7.0,), (9.0,)]
    assert owed(loaded, "b") == ""
    assert loaded.queue.records("accepted") == []


@pytest.mark.parametrize(
    "query",
    [
        pytest.param("select day, amount, 1 as one from raw", id="a new column"),
        pytest.param("select day, amount as total from raw", id="a column renamed"),
    ],
)
def test_every_change_of_columns_is_owed_to_the_others(loaded: Chain, query: str) -> None:
    loaded.define("a", query, REPLACE)
    loaded.ask("a", "2025-01-03", cascade=False)
    loaded.work_off("a")
    assert [record.published.texts() for record in asked_for_rest(loaded)] == [OTHERS]
    ledger = read_ledger(loaded.settings.warehouse, "a")
    assert types(loaded) == ledger.columns


@pytest.mark.parametrize(
    ("query", "toml"),
    [
        pytest.param("select day, amount * 2 as amount from raw", REPLACE, id="other values"),
        pytest.param("select amount, day from raw", REPLACE, id="another order"),
        pytest.param("select day, amount, 1 as one from raw", 'on_schema_change = "append"', id="append"),
        pytest.param(OTHER_TYPE, "", id="refuse"),
    ],
)
def test_what_changes_no_columns_or_is_not_to_replace_them_owes_nothing(loaded: Chain, query: str, toml: str) -> None:
    loaded.define("a", query, toml)
    loaded.ask("a", "2025-01-03", cascade=False)
    loaded.run("a")
    assert (asked_for_rest(loaded), owed(loaded)) == ([], "")


def test_what_is_published_first_owes_nothing(chain: Chain) -> None:
    chain.define("a", OTHER_TYPE, REPLACE)
    chain.ask("a", "2025-01-03", cascade=False)
    chain.run("a")
    assert (asked_for_rest(chain), owed(chain)) == ([], "")


def test_what_was_refused_by_a_check_owes_nothing(loaded: Chain) -> None:
    (loaded.settings.tables / "a" / "checks.sql").write_text("-- name: none\nselect day from new_rows\n")
    loaded.ask("a", "2025-01-03", cascade=False)
    assert loaded.run("a").failed
    assert (asked_for_rest(loaded), owed(loaded)) == ([], "")
    assert types(loaded) == {"amount": "INTEGER"}


def test_two_changes_one_after_the_other_are_two_requests(loaded: Chain) -> None:
    loaded.ask("a", "2025-01-03", cascade=False)
    loaded.work_off("a")
    loaded.define("a", "select day, amount::text as amount from raw", REPLACE)
    loaded.ask("a", "2025-01-02", cascade=False)
    loaded.work_off("a")
    assert len({record.id for record in asked_for_rest(loaded)}) == 2
    assert types(loaded) == {"amount": "VARCHAR"}


def test_a_change_back_to_the_query_of_before_is_a_change_of_its_own(loaded: Chain) -> None:
    for query, kind in (
        (OTHER_TYPE, "DECIMAL(12,1)"),
        ("select day, amount from raw", "INTEGER"),
        (OTHER_TYPE, "DECIMAL(12,1)"),
    ):
        loaded.define("a", query, REPLACE)
        loaded.ask("a", "2025-01-03", cascade=False)
        loaded.work_off("a")
        assert types(loaded) == {"amount": kind}
    assert len(asked_for_rest(loaded)) == 3


def test_a_change_while_another_is_still_owed_reaches_all_days(loaded: Chain) -> None:
    loaded.ask("a", "2025-01-03", cascade=False)
    loaded.run("a")
    loaded.define("a", "select day, amount::text as amount from raw", REPLACE)
    loaded.ask("a", "2025-01-02", cascade=False)
    loaded.work_off("a")
    assert types(loaded) == {"amount": "VARCHAR"}
    assert loaded.queue.records("accepted") == []


def test_several_batches_of_one_run_owe_one_request(loaded: Chain) -> None:
    for day in ("2025-01-01", "2025-01-03"):
        loaded.ask("a", day, cascade=False, parameters={})
    loaded.define("a", OTHER_TYPE, f"{REPLACE}\ndays_per_batch = 1")
    batches = loaded.plan("a")
    assert len(batches) == 2
    loaded.settle("a", batches, loaded.rewrite("a", batches))
    assert len(asked_for_rest(loaded)) == 1


# columns that changed without a change of the query


def test_a_source_that_got_another_type_is_a_change_for_all_days(chain: Chain) -> None:
    (chain.settings.tables / "sources.sql").write_text(
        "create view raw as from read_csv(getvariable('source') || '/*.csv')"
    )
    chain.define("a", "select day, amount from raw", REPLACE)
    chain.ask("a", "2025-01-01", "2025-01-04", cascade=False)
    chain.work_off("a")
    assert types(chain) == {"amount": "BIGINT"}
    (chain.settings.source / "2025-01-03.csv").write_text("day,amount\n2025-01-03,3.5\n")
    chain.ask("a", "2025-01-03", cascade=False)
    chain.work_off("a")
    assert len(asked_for_rest(chain)) == 1
    assert types(chain) == {"amount": "DOUBLE"}
    assert values(chain) == [(1.0,), (2.0,), (3.5,), (4.0,)]


def test_a_change_of_columns_is_owed_too_where_the_ledger_was_lost(loaded: Chain) -> None:
    (loaded.settings.warehouse / ".ledger" / "a.json").unlink()
    loaded.ask("a", "2025-01-03", cascade=False)
    loaded.work_off("a")
    assert types(loaded) == {"amount": "DECIMAL(12,1)"}
    assert len(asked_for_rest(loaded)) == 1


def test_a_change_of_columns_is_owed_too_after_an_undo(loaded: Chain) -> None:
    loaded.define("a", "select day, amount * 2 as amount from raw", REPLACE)
    asked = loaded.ask("a", "2025-01-02", cascade=False)
    loaded.work_off("a")
    undo_in_table(loaded.settings, "a", asked.id, now=NOW)
    loaded.define("a", OTHER_TYPE, REPLACE)
    loaded.ask("a", "2025-01-03", cascade=False)
    loaded.work_off("a")
    assert types(loaded) == {"amount": "DECIMAL(12,1)"}
    assert len(asked_for_rest(loaded)) == 1


# crashes


class Crash(BaseException):
    """The process ends here."""


def crash(*_: object, **__: object) -> None:
    raise Crash


def nowhere(_patch: pytest.MonkeyPatch) -> None:
    """Between publishing and asking."""


def before_it_is_asked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Queue, "add", crash)


def before_the_request_has_its_name(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(os, "replace", crash)


def before_the_ledger_says_so(patch: pytest.MonkeyPatch) -> None:
    replace = os.replace

    def crash_at_the_ledger(source: Path, target: Path) -> None:
        if Path(target).name == "a.json":
            raise Crash
        replace(source, target)

    patch.setattr(os, "replace", crash_at_the_ledger)


Where = Callable[[pytest.MonkeyPatch], None]
CRASHES = [before_it_is_asked, before_the_request_has_its_name, before_the_ledger_says_so]


def ask(chain: Chain) -> Record | None:
    return request_schema_backfill(chain.settings, load_table(chain.settings.tables, "a"), now=NOW)


@pytest.mark.parametrize("is_settled", [True, False], ids=["settled", "never settled"])
@pytest.mark.parametrize("where", [nowhere, *CRASHES], ids=lambda where: where.__name__)
def test_a_crash_before_or_while_asking_asks_exactly_once(
    loaded: Chain, where: Where, monkeypatch: pytest.MonkeyPatch, *, is_settled: bool
) -> None:
    loaded.ask("a", "2025-01-03", cascade=False)
    batches = loaded.plan("a")
    outcomes = loaded.rewrite("a", batches)
    if where is not nowhere:
        with monkeypatch.context() as patch:
            where(patch)
            with pytest.raises(Crash):
                ask(loaded)
    assert owed(loaded)
    if is_settled:
        loaded.settle("a", batches, outcomes)
    loaded.work_off("a")
    [record] = asked_for_rest(loaded)
    assert record.published.texts() == OTHERS
    assert types(loaded) == {"amount": "DECIMAL(12,1)"}
    assert owed(loaded) == ""


def test_the_next_plan_takes_up_what_a_crash_left_owed(loaded: Chain) -> None:
    loaded.ask("a", "2025-01-03", cascade=False)
    loaded.rewrite("a", loaded.plan("a"))
    planned = Days.parse(text for batch in loaded.plan("a") for text in batch["days"])
    assert planned == DAYS


def test_a_request_that_was_worked_off_before_the_ledger_said_so_is_not_made_again(
    loaded: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded.ask("a", "2025-01-03", cascade=False)
    loaded.rewrite("a", loaded.plan("a"))
    with monkeypatch.context() as patch:
        before_the_ledger_says_so(patch)
        with pytest.raises(Crash):
            ask(loaded)
    [record] = asked_for_rest(loaded)
    loaded.queue.cancel(record.id, now=NOW)
    assert ask(loaded) is None
    assert [one.id for one in asked_for_rest(loaded)] == [record.id]
    assert owed(loaded) == ""


def test_asking_twice_asks_once(loaded: Chain) -> None:
    loaded.ask("a", "2025-01-03", cascade=False)
    loaded.rewrite("a", loaded.plan("a"))
    assert ask(loaded)
    assert ask(loaded) is None
    assert len(asked_for_rest(loaded)) == 1
