"""A change of columns that `replace` lets in: every other partition is asked for, once, and gets them too."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from datetime import date
from itertools import count
from pathlib import Path
from unittest.mock import patch

import duckdb
import pytest

from reloads.days import Days
from reloads.requests.record import Record
from reloads.runs.following import follow
from reloads.runs.undo import undo_request
from reloads.tables.catalog import Catalog
from reloads.warehouse.access import state_of
from reloads.warehouse.cursors import Cursor, Position
from tests.support.chain import NOW, STATES, Chain, changed
from tests.support.process_kill import SCRATCH, Killed, killed_after
from tests.support.undo_history import folder

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
    records: list[Record] = []
    for state in STATES:
        records += [each for each in chain.queue.records(state) if (each.table, each.mode) == (table, "schema")]
    return sorted(records, key=lambda record: record.accepted_at)


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


def is_owed(chain: Chain, table: str = "a") -> bool:
    """Whether there are commits that were not looked at for a change of columns."""
    head = state_of(folder(chain, table)).read_head()
    position = Cursor(chain.settings.warehouse, table, table).read()
    return position is None or position.followed != head.point


def test_a_reload_of_one_day_publishes_it_and_asks_for_all_others(loaded: Chain) -> None:
    before = loaded.files()
    loaded.ask("a", "2025-01-03", cascade=False)
    settled = loaded.run("a")
    assert (settled.published.texts(), settled.failed) == (THIRD, ())
    assert changed(before, loaded.files()) == ["a 2025-01-03"]
    [record] = asked_for_rest(loaded)
    assert (record.table, record.mode, record.only, record.reason) == ("a", "schema", "all", "the columns changed")
    assert record.days.texts() == OTHERS
    assert [one.request for one in settled.announce if one.table == "a"] == [record.id]


def test_after_it_was_worked_off_the_whole_table_has_the_new_columns_and_owes_nothing(loaded: Chain) -> None:
    loaded.ask("a", "2025-01-03", cascade=False)
    loaded.work_off("a")
    [record] = asked_for_rest(loaded)
    assert loaded.find_record(record.id)[0] == "done"
    assert (record.published.texts(), record.unchanged, record.skipped) == (OTHERS, Days(), ())
    assert types(loaded) == {"amount": "DECIMAL(12,1)"}
    assert values(loaded) == [(1.5,), (2.5,), (3.5,), (4.5,)]
    assert not is_owed(loaded)
    loaded.ask("a", "2025-01-01", "2025-01-04")
    loaded.work_off("a")
    assert len(asked_for_rest(loaded)) == 1


def test_the_readers_follow_and_owe_in_their_turn(loaded: Chain) -> None:
    loaded.ask("a", "2025-01-03")
    loaded.work_off("a")
    assert types(loaded, "b") == {"twice": "DECIMAL(18,1)"}
    assert values(loaded, "b") == [(3.0,), (5.0,), (7.0,), (9.0,)]
    assert not is_owed(loaded, "b")
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
    assert types(loaded) == state_of(folder(loaded, "a")).read_head().columns


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
    assert (asked_for_rest(loaded), is_owed(loaded)) == ([], False)


def test_what_is_published_first_owes_nothing(chain: Chain) -> None:
    chain.define("a", OTHER_TYPE, REPLACE)
    chain.ask("a", "2025-01-03", cascade=False)
    chain.run("a")
    assert (asked_for_rest(chain), is_owed(chain)) == ([], False)


def test_what_was_refused_by_a_check_owes_nothing(loaded: Chain) -> None:
    (loaded.settings.tables / "a" / "checks.sql").write_text("-- name: none\nselect day from new_rows\n")
    loaded.ask("a", "2025-01-03", cascade=False)
    assert loaded.run("a").failed
    assert (asked_for_rest(loaded), is_owed(loaded)) == ([], False)
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
    loaded.define("a", OTHER_TYPE, f"{REPLACE}\ndays_per_batch = 1\nmb_per_batch = 0")
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


def lose_state(warehouse: Path) -> None:
    shutil.rmtree(warehouse / ".state")


def lose_state_and_log(warehouse: Path) -> None:
    for name in (".state", ".log"):
        shutil.rmtree(warehouse / name)


def lose_all_but_the_partitions(warehouse: Path) -> None:
    for path in warehouse.glob(".*"):
        shutil.rmtree(path)


@pytest.mark.parametrize(
    "lose", [lose_state, lose_state_and_log, lose_all_but_the_partitions], ids=lambda lose: lose.__name__
)
def test_a_change_of_columns_is_owed_too_where_what_was_known_was_lost(
    loaded: Chain, lose: Callable[[Path], None]
) -> None:
    lose(loaded.settings.warehouse)
    loaded.ask("a", "2025-01-03", cascade=False)
    loaded.work_off("a")
    assert types(loaded) == {"amount": "DECIMAL(12,1)"}
    assert len(asked_for_rest(loaded)) == 1


def undo(chain: Chain, request: Record) -> None:
    undo_request(chain.settings, request.id, force=False, now=NOW)


def test_a_change_of_columns_is_owed_too_after_an_undo(loaded: Chain) -> None:
    loaded.define("a", "select day, amount * 2 as amount from raw", REPLACE)
    request = loaded.ask("a", "2025-01-02", cascade=False)
    loaded.work_off("a")
    undo(loaded, request)
    assert asked_for_rest(loaded) == []
    loaded.define("a", OTHER_TYPE, REPLACE)
    loaded.ask("a", "2025-01-03", cascade=False)
    loaded.work_off("a")
    assert types(loaded) == {"amount": "DECIMAL(12,1)"}
    assert len(asked_for_rest(loaded)) == 1


def test_an_undo_that_brings_earlier_columns_back_is_followed_by_the_columns_of_the_table(loaded: Chain) -> None:
    request = loaded.ask("a", "2025-01-03", cascade=False)
    loaded.work_off("a")
    undo(loaded, request)
    loaded.work_off("a")
    assert types(loaded) == {"amount": "DECIMAL(12,1)"}
    assert sorted(record.days.texts() for record in asked_for_rest(loaded)) == sorted([OTHERS, THIRD])
    assert loaded.queue.records("accepted") == []


def test_an_undo_that_leaves_no_partition_with_the_new_columns_asks_for_nothing(loaded: Chain) -> None:
    request = loaded.ask("a", "2025-01-03", cascade=False)
    loaded.run("a")
    [rest] = asked_for_rest(loaded)
    loaded.queue.cancel(rest.id, now=NOW)
    undo(loaded, request)
    assert types(loaded) == {"amount": "INTEGER"}
    assert (asked_for_rest(loaded)[1:], is_owed(loaded)) == ([], False)


# keys


def test_the_days_of_a_table_with_keys_are_owed_too_whichever_of_its_partitions_changed(loaded: Chain) -> None:
    keys = f'keys = ["half"]\n{REPLACE}'
    loaded.define("halves", "select day, unnest([1, 2]) as half, amount from raw", keys)
    loaded.ask("halves", "2025-01-01", "2025-01-04", cascade=False)
    loaded.work_off("halves")
    loaded.define("halves", "select day, unnest([1, 2]) as half, amount + 0.5 as amount from raw", keys)
    loaded.ask("halves", "2025-01-03", cascade=False, keys={"half": ["1"]})
    loaded.work_off("halves")
    [record] = asked_for_rest(loaded, "halves")
    assert record.days == DAYS
    with duckdb.connect() as db:
        files = str(loaded.settings.warehouse / "halves" / "*" / "*" / "data.parquet")
        kinds = db.execute("select distinct precision, scale from parquet_schema($1) where name = 'amount'", [files])
        assert kinds.fetchall() == [(12, 1)]


# crashes


@pytest.mark.parametrize("is_settled", [True, False], ids=["settled", "never settled"])
def test_a_crash_anywhere_before_or_while_asking_asks_exactly_once(loaded: Chain, *, is_settled: bool) -> None:
    loaded.ask("a", "2025-01-03", cascade=False)
    batches = loaded.plan("a")
    outcomes = loaded.rewrite("a", batches)
    assert is_owed(loaded)
    for steps in count():
        home = Path(tempfile.mkdtemp(dir=SCRATCH))
        copy = loaded.copied(home / "home")
        try:
            with killed_after(steps, home):
                follow_a(copy)
        except Killed:
            if is_settled:
                copy.settle("a", batches, outcomes)
            copy.work_off("a")
            [record] = asked_for_rest(copy)
            assert record.published.texts() == OTHERS, steps
            assert types(copy) == {"amount": "DECIMAL(12,1)"}
            assert not is_owed(copy)
        else:
            assert steps > 5
            return
        finally:
            shutil.rmtree(home)


def follow_a(chain: Chain) -> list[Record]:
    return follow(chain.settings, Catalog.load(chain.settings.tables), "a", now=NOW)


def test_the_next_plan_takes_up_what_a_crash_left_owed(loaded: Chain) -> None:
    loaded.ask("a", "2025-01-03", cascade=False)
    loaded.rewrite("a", loaded.plan("a"))
    planned = Days.parse(text for batch in loaded.plan("a") for text in batch["days"])
    assert planned == DAYS


def test_a_request_that_was_given_up_before_a_crash_is_not_made_again(loaded: Chain) -> None:
    loaded.ask("a", "2025-01-03", cascade=False)
    loaded.rewrite("a", loaded.plan("a"))
    with patch.object(Cursor, "write", side_effect=Killed), suppress(Killed):
        follow_a(loaded)
    # Of the downstream table first: its cursor was about to move.
    assert asked_for_rest(loaded) == []
    write = Cursor.write

    def write_or_die(cursor: Cursor, position: Position) -> None:
        if cursor.follower == "a":
            raise Killed
        write(cursor, position)

    with patch.object(Cursor, "write", write_or_die), suppress(Killed):
        follow_a(loaded)
    [record] = asked_for_rest(loaded)
    loaded.queue.cancel(record.id, now=NOW)
    assert follow_a(loaded) == []
    assert [other.id for other in asked_for_rest(loaded)] == [record.id]
    assert not is_owed(loaded)


def test_asking_twice_asks_once(loaded: Chain) -> None:
    loaded.ask("a", "2025-01-03", cascade=False)
    loaded.rewrite("a", loaded.plan("a"))
    [record] = follow_a(loaded)
    assert follow_a(loaded) == []
    assert asked_for_rest(loaded) == [record]
