"""Runs of tables with snapshots: readers of the Delta table see a run once it has settled, and then all of it."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable

from reloads.days import Days
from reloads.inspection.sql_query import query_views
from reloads.inspection.sql_views import open_views
from reloads.inspection.verify import verify
from reloads.requests.batch_notes import open_runs
from reloads.runs import following
from reloads.runs.drop_table import drop_table, restore_table
from reloads.runs.following import follow
from reloads.runs.plan_step import plan_batches
from reloads.runs.rename_table import rename_table
from reloads.runs.retention import remove_expired, remove_old_snapshots
from reloads.runs.settle_step import Settled, settle_batches
from reloads.runs.small_run import begin_run
from reloads.runs.undo import undo_request
from reloads.tables.catalog import Catalog
from reloads.warehouse.upgrade import open_catalog
from tests.support.chain import NOW, Chain, JsonBatch

SNAPSHOTS = 'snapshots = "delta"\nparallelism = 4\ndays_per_batch = 1\nmb_per_batch = 0'
DAYS = ("2025-01-01", "2025-01-04")
OLD = {1: 1, 2: 2, 3: 3, 4: 4}
NEW = {1: 101, 2: 102, 3: 103, 4: 104}


@pytest.fixture
def loaded(chain: Chain) -> Chain:
    """Four days of ``a``, which has snapshots, and of ``b``, which reads it; ``a`` has other rows at its source now."""
    chain.define("a", "select day, amount from raw", SNAPSHOTS)
    for table in "ab":
        chain.ask(table, *DAYS, cascade=False)
        run_whole(chain, table)
    assert shown(chain) == OLD
    deliver(chain, NEW)
    return chain


def deliver(chain: Chain, amounts: dict[int, int]) -> None:
    for day, amount in amounts.items():
        chain.deliver(f"2025-01-0{day}", amount)


def settle(chain: Chain, table: str, batches: list[JsonBatch], outcomes: list[JsonBatch], run: str) -> Settled:
    catalog = open_catalog(chain.settings)
    return settle_batches(chain.settings, catalog, table, batches, outcomes, run=run, now=NOW)


def run_whole(chain: Chain, table: str, run: str | None = None) -> Settled:
    batches = chain.plan(table)
    run = run or f"whole run of {table} {batches[0]['days'] if batches else ''} {id(batches)}"
    return settle(chain, table, batches, chain.rewrite(table, batches, run=run), run)


def delta(chain: Chain, table: str = "a") -> DeltaTable:
    return DeltaTable(chain.settings.warehouse / ".delta" / table)


def shown(chain: Chain, table: str = "a", column: str = "amount") -> dict[int, int]:
    """The values that the Delta table shows, by day of January."""
    rows = pl.read_delta(str(chain.settings.warehouse / ".delta" / table)).to_dicts()
    return {row["day"].day: row[column] for row in rows}


def published(chain: Chain, table: str, column: str) -> dict[int, int]:
    """The values in the folders of a table, by day of January."""
    files = chain.settings.warehouse / table / "**" / "*.parquet"
    rows = pl.read_parquet(files, hive_partitioning=True).to_dicts()
    return {row["day"].day: row[column] for row in rows}


def last_commit(chain: Chain, table: str = "a") -> dict[str, Any]:
    return delta(chain, table).history(1)[0]


def follow_again(chain: Chain, table: str = "a") -> None:
    follow(chain.settings, Catalog.load(chain.settings.tables), table, now=NOW)


def begin(chain: Chain, run: str = "open run") -> tuple[list[JsonBatch], list[JsonBatch]]:
    """A run of ``a`` whose first two of four batches are done: all batches, and these outcomes."""
    chain.ask("a", *DAYS)
    batches = chain.plan("a")
    assert len(batches) == 4
    return batches, chain.rewrite("a", batches[:2], run=run)


def test_a_run_is_not_seen_before_it_settles_and_is_seen_whole_then(loaded: Chain) -> None:
    batches, outcomes = begin(loaded)
    follow_again(loaded)
    assert shown(loaded) == OLD
    assert published(loaded, "a", "amount") not in (OLD, NEW)
    outcomes += loaded.rewrite("a", batches[2:], run="open run")
    follow_again(loaded)
    assert shown(loaded) == OLD
    version = delta(loaded).version()
    settle(loaded, "a", batches, outcomes, "open run")
    assert shown(loaded) == NEW
    assert delta(loaded).version() == version + 1
    [request] = batches[0]["requests"]
    assert last_commit(loaded)["reloads.runs"] == ["open run"]
    assert last_commit(loaded)["reloads.requests"] == [request]


def test_a_run_whose_workers_see_no_drop_folder_is_not_seen_in_part(loaded: Chain) -> None:
    loaded.ask("a", *DAYS)
    catalog = Catalog.load(loaded.settings.tables)
    batches = begin_run(loaded.settings, catalog, "a", run="open run", clock=lambda: NOW).tasks()
    outcomes = loaded.away().rewrite("a", batches[:2], run="open run")
    follow_again(loaded)
    assert shown(loaded) == OLD
    assert published(loaded, "a", "amount") not in (OLD, NEW)
    outcomes += loaded.away().rewrite("a", batches[2:], run="open run")
    follow_again(loaded)
    assert shown(loaded) == OLD
    settle(loaded, "a", batches, outcomes, "open run")
    assert shown(loaded) == NEW


def test_what_is_published_behind_an_open_run_waits_for_it(loaded: Chain) -> None:
    batches, outcomes = begin(loaded)
    other = Days.parse(["2025-01-10"])
    [batch] = [{**batches[0], "days": other.texts(), "requests": {}}]
    [outcome] = loaded.rewrite("a", [batch], run="second run")
    settle(loaded, "a", [batch], [outcome], "second run")
    assert shown(loaded) == OLD
    outcomes += loaded.rewrite("a", batches[2:], run="open run")
    settle(loaded, "a", batches, outcomes, "open run")
    assert shown(loaded) == NEW | {10: 10}
    assert last_commit(loaded)["reloads.runs"] == ["open run", "second run"]


def test_a_run_that_published_a_part_and_was_given_up_is_seen_once_it_settles(loaded: Chain) -> None:
    batches, outcomes = begin(loaded)
    settle(loaded, "a", batches, [*outcomes, None, None], "open run")  # type: ignore[list-item]
    assert sorted(shown(loaded).values()) == sorted(published(loaded, "a", "amount").values())
    assert shown(loaded) != OLD


def test_an_undo_is_a_commit_of_its_own_that_names_its_request(loaded: Chain) -> None:
    request = loaded.ask("a", *DAYS)
    run_whole(loaded, "a")
    assert shown(loaded) == NEW
    version = delta(loaded).version()
    [undo] = undo_request(loaded.settings, request.id, force=False, now=NOW + timedelta(seconds=1))
    assert shown(loaded) == OLD
    assert delta(loaded).version() == version + 1
    assert last_commit(loaded)["reloads.requests"] == [undo.id]


def test_a_table_that_is_loaded_while_its_input_is_at_work_reads_the_snapshot_and_follows_later(loaded: Chain) -> None:
    batches, outcomes = begin(loaded)
    loaded.ask("b", *DAYS, cascade=False)
    run_whole(loaded, "b")
    assert published(loaded, "b", "twice") == {day: 2 * amount for day, amount in OLD.items()}
    assert loaded.cascades("b") == []
    outcomes += loaded.rewrite("a", batches[2:], run="open run")
    settle(loaded, "a", batches, outcomes, "open run")
    [wave] = [record for record in loaded.queue.records("accepted") if record.table == "b"]
    assert wave.days == Days.between(date(2025, 1, 1), date(2025, 1, 4))
    run_whole(loaded, "b")
    assert published(loaded, "b", "twice") == {day: 2 * amount for day, amount in NEW.items()}


def test_a_table_that_was_defined_while_its_input_is_at_work_follows_all_of_the_run(loaded: Chain) -> None:
    batches, outcomes = begin(loaded)
    loaded.define("e", "select day, 3 * amount as thrice from a")
    outcomes += loaded.rewrite("a", batches[2:3], run="open run")
    loaded.ask("e", *DAYS, cascade=False)
    run_whole(loaded, "e")
    assert published(loaded, "e", "thrice") == {day: 3 * amount for day, amount in OLD.items()}
    outcomes += loaded.rewrite("a", batches[3:], run="open run")
    settle(loaded, "a", batches, outcomes, "open run")
    run_whole(loaded, "e")
    assert published(loaded, "e", "thrice") == {day: 3 * amount for day, amount in NEW.items()}


def test_an_input_with_a_new_column_is_read_as_its_snapshot_has_it(loaded: Chain) -> None:
    append = 'on_schema_change = "append"'
    loaded.define("a", "select day, amount, 7 as seven from raw", f"{SNAPSHOTS}\n{append}")
    loaded.define("b", "select day, 2 * amount as twice, columns_of_a: to_json(a)::varchar from a", append)
    begin(loaded)
    remove_expired_much_later(loaded)
    loaded.ask("b", *DAYS, cascade=False)
    run_whole(loaded, "b")
    assert published(loaded, "b", "twice") == {day: 2 * amount for day, amount in OLD.items()}
    columns = pl.read_parquet(loaded.settings.warehouse / "b" / "**" / "*.parquet")["columns_of_a"].to_list()
    assert not [text for text in columns if "seven" in text]


def remove_expired_much_later(chain: Chain) -> None:
    catalog = Catalog.load(chain.settings.tables)
    remove_expired(chain.settings, catalog, catalog["a"], now=datetime.now(UTC) + timedelta(days=4000))


def test_sql_shows_the_snapshot_while_a_run_is_at_work(loaded: Chain) -> None:
    query = "select day(day), amount from a"
    batches, outcomes = begin(loaded)

    def ask() -> dict[int, int]:
        with open_views(loaded.settings, query=query) as db:
            return dict(query_views(db, query).fetchall())

    assert ask() == OLD
    outcomes += loaded.rewrite("a", batches[2:], run="open run")
    assert ask() == OLD
    settle(loaded, "a", batches, outcomes, "open run")
    assert ask() == NEW


def test_the_delta_table_goes_where_its_table_goes(chain: Chain) -> None:
    chain.define("last", "select day, amount from raw", SNAPSHOTS)
    chain.ask("last", *DAYS)
    run_whole(chain, "last")
    rename_table(chain.settings, "last", "newest")
    assert not (chain.settings.warehouse / ".delta" / "last").exists()
    assert shown(chain, "newest") == OLD
    deliver(chain, NEW)
    chain.ask("newest", *DAYS)
    run_whole(chain, "newest")
    assert shown(chain, "newest") == NEW
    drop_table(chain.settings, "newest", now=NOW)
    assert not (chain.settings.warehouse / ".delta" / "newest").exists()
    restore_table(chain.settings, "newest")
    assert shown(chain, "newest") == NEW


def test_files_that_no_kept_snapshot_has_expire_and_the_others_do_not(loaded: Chain) -> None:
    loaded.ask("a", *DAYS)
    run_whole(loaded, "a")
    loaded.define("a", "select day, amount from raw", f"{SNAPSHOTS}\nhistory_days = 0")
    catalog = Catalog.load(loaded.settings.tables)
    assert remove_old_snapshots(loaded.settings, catalog["a"]) == 0
    assert shown(loaded) == NEW


@pytest.mark.parametrize("history_days", [0, 30])
def test_what_an_open_run_replaced_and_expired_meanwhile_is_in_the_next_snapshot(
    chain: Chain, history_days: int
) -> None:
    chain.define("a", "select day, amount from raw", f"{SNAPSHOTS}\nhistory_days = {history_days}")
    chain.ask("a", *DAYS, cascade=False)
    run_whole(chain, "a")
    deliver(chain, NEW)
    batches, outcomes = begin(chain, "first")
    outcomes += chain.rewrite("a", batches[2:], run="first")
    deliver(chain, OLD)
    chain.rewrite("a", batches[:1], run="second")
    remove_expired_much_later(chain)
    settle(chain, "a", batches, outcomes, "first")
    assert shown(chain) == NEW
    plan_batches(chain.settings, Catalog.load(chain.settings.tables), "a", now=NOW)
    assert shown(chain) == published(chain, "a", "amount") != NEW


def test_a_run_that_begins_while_somebody_brings_the_snapshot_is_not_seen_in_part(
    loaded: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = open_runs

    def look_and_be_overtaken(landing: Path, table: str, *, now: datetime) -> set[str]:
        runs = look(landing, table, now=now)
        loaded.rewrite("a", batches[:2], run="just begun")
        return runs

    loaded.ask("a", *DAYS)
    batches = loaded.plan("a")
    version = delta(loaded).version()
    with monkeypatch.context() as patches:
        patches.setattr(following, "open_runs", look_and_be_overtaken)
        following.bring_visible(loaded.settings, Catalog.load(loaded.settings.tables)["a"], now=NOW)
    assert delta(loaded).version() == version
    assert shown(loaded) == OLD


def test_a_snapshot_that_cannot_be_written_holds_up_no_request_and_comes_later(
    loaded: Chain, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patches:
        # As Python itself has it where a module is not to be found.
        patches.setitem(sys.modules, "deltalake.exceptions", None)
        request = loaded.ask("a", *DAYS)
        run_whole(loaded, "a")
    assert request.id in [record.id for record in loaded.queue.records("done")]
    assert "Delta Lake is missing; install reloads[snapshots]" in caplog.text
    assert shown(loaded) == OLD
    assert loaded.queue.accepted("b") == []
    follow_again(loaded)
    assert shown(loaded) == NEW
    assert [record.mode for record in loaded.queue.accepted("b")] == ["cascade"]


def test_verify_finds_what_a_snapshot_lost_or_shows_and_should_not(loaded: Chain) -> None:
    begin(loaded)
    assert find_faults(loaded) == []
    run_whole(loaded, "a", run="open run")
    assert find_faults(loaded) == []
    table = delta(loaded)
    [lost, *_] = sorted(table.file_uris())
    Path(lost).rename(f"{lost}.away")
    [fault] = find_faults(loaded)
    assert fault.startswith(f"{lost} is part of the snapshot and is gone; move ")
    Path(f"{lost}.away").rename(lost)
    table.delete("day = '2025-01-02'")
    [fault] = find_faults(loaded)
    assert fault.startswith("the snapshot shows nothing of day=2025-01-02, and the log says ")


def find_faults(chain: Chain) -> list[str]:
    return [finding.sentence for finding in verify(chain.settings, "a")]
