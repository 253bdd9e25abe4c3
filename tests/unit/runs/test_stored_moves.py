"""Commands that rename and drop a table in an object store, with machines that have tables and mirrors of their own."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from unittest.mock import patch
from uuid import uuid4

import pytest
from deltalake import DeltaTable

from reloads.errors import OperatorError, RequestError, TableError
from reloads.inspection.verify import verify
from reloads.runs.drop_table import drop_table, restore_table
from reloads.runs.rename_table import rename_table
from reloads.runs.settle_step import settle_batches
from reloads.stores.object_store import ObjectStore
from reloads.warehouse.move_notes import list_begun
from reloads.warehouse.partitions import TableFolder
from reloads.warehouse.stored_move import StoredMove
from reloads.warehouse.upgrade import open_catalog
from tests.support.chain import NOW, Chain
from tests.support.process_kill import Killed
from tests.support.s3_server import BUCKET
from tests.support.warehouses import all_keys, keys, prefix_of, read
from tests.unit.warehouse.test_stored_move import is_left

FIRST, LAST = "2025-01-01", "2025-01-03"
QUERY = "select day, amount from raw"


@pytest.fixture
def home(s3: object, tmp_path: Path) -> Chain:
    """A table ``sales`` that no other one reads, loaded."""
    assert s3
    chain = Chain.at(tmp_path / "home", warehouse=f"s3://{BUCKET}/{uuid4().hex}")
    for table in "abcd":
        shutil.rmtree(chain.settings.tables / table)
    chain.define("sales", QUERY)
    load(chain, "sales")
    return chain


def load(chain: Chain, table: str) -> None:
    chain.ask(table, FIRST, LAST, cascade=False)
    chain.work_off(table)


def machine(chain: Chain, name: str) -> Chain:
    """Another machine, with a mirror, tables and a drop folder of its own."""
    place = chain.settings.home.parent / name
    shutil.copytree(chain.settings.tables, place / "tables")
    (place / "landing").mkdir()
    mirror = place / "mirrors" / chain.settings.warehouse.name
    update = {"home": place, "tables": place / "tables", "landing": place / "landing", "mirrors": mirror.parent}
    settings = chain.settings.model_copy(update={**update, "warehouse": mirror})
    return Chain(settings, type(chain.queue)(settings.landing))


def worker_of(chain: Chain) -> Chain:
    """One that sees no drop folder."""
    worker = machine(chain, "worker")
    return replace(worker, settings=worker.settings.model_copy(update={"sees_landing": False}))


def place_of(chain: Chain, table: str = "sales") -> TableFolder:
    return TableFolder(chain.settings.warehouse, table, "day")


def days_of(chain: Chain, table: str) -> list[date]:
    return [name.day for name in place_of(chain, table).published()]


def shown(chain: Chain, table: str) -> dict[str, bytes]:
    """What a reader of plain files finds below the table's URL."""
    place = place_of(chain)
    return {key.removeprefix(f"{table}/"): read(place, key) for key in keys(place, table)}


def rename(chain: Chain) -> None:
    rename_table(chain.settings, "sales", "orders")


def drop(chain: Chain) -> None:
    drop_table(chain.settings, "sales", now=NOW)


@pytest.mark.parametrize("move", [rename, drop])
def test_a_batch_that_was_planned_before_a_move_publishes_nothing_on_a_worker_that_has_the_old_definition(
    home: Chain, move: object
) -> None:
    worker = worker_of(home)
    home.deliver("2025-01-02", 99)
    request = home.ask("sales", FIRST, LAST)
    batches = home.plan("sales")
    home.queue.cancel(request.id, now=NOW)
    assert callable(move)
    move(home)
    [outcome] = worker.rewrite("sales", batches)
    [failure] = outcome["failed"]
    assert failure["error"].startswith("sales was renamed or dropped since this was begun, and nothing of it is")
    assert "transient" not in failure
    assert not is_left(place_of(home), "sales")


def test_a_batch_that_has_begun_when_the_table_is_moved_publishes_nothing(home: Chain) -> None:
    worker = worker_of(home)
    request = home.ask("sales", FIRST, LAST)
    batches = home.plan("sales")
    home.queue.cancel(request.id, now=NOW)
    with patch("reloads.runs.rewrite_step.begin_to_follow", side_effect=lambda *_: rename(home)):
        [outcome] = worker.rewrite("sales", batches)
    [failure] = outcome["failed"]
    assert failure["error"].startswith("sales was renamed or dropped since this was begun, and nothing of it is")
    assert not is_left(place_of(home), "sales")


def test_a_machine_whose_definition_is_that_of_before_plans_nothing_until_it_is_written_anew(home: Chain) -> None:
    other = machine(home, "other")
    assert len(days_of(other, "sales")) == 3
    rename(home)
    load_later = other.ask("sales", FIRST, LAST, cascade=False)
    real_describe = ObjectStore.describe

    def describe_later(store: ObjectStore, key: str) -> object:
        found = real_describe(store, key)
        # Its clock has whole seconds, and the definition was written in the same one.
        return replace(found, modified_at=found.modified_at + timedelta(seconds=60))

    with (
        patch.object(ObjectStore, "describe", describe_later),
        pytest.raises(
            TableError, match="sales is older than the rename or drop that took sales away; remove it or, if a"
        ),
    ):
        other.plan("sales")
    assert not is_left(place_of(home), "sales")
    other.define("sales", QUERY)
    other.work_off("sales")
    assert other.find_record(load_later.id)[0] == "done"
    assert shown(home, "sales").keys() == shown(home, "orders").keys()


def test_a_command_that_was_interrupted_is_seen_and_carried_on_by_another_machine(home: Chain) -> None:
    other = machine(home, "other")
    before = shown(home, "sales")
    with pytest.raises(Killed), patch.object(ObjectStore, "copy", side_effect=Killed):
        rename(home)
    assert [move.command for move in list_begun(other.settings.warehouse)] == ["reloads rename sales orders"]
    with pytest.raises(
        RequestError, match="reloads rename sales orders was interrupted; give that command again first"
    ):
        drop(other)
    other.ask("sales", FIRST, LAST)
    with pytest.raises(
        OperatorError, match="sales is being moved by reloads rename sales orders; wait for it, or give"
    ):
        other.plan("sales")
    rename(other)
    assert list_begun(home.settings.warehouse) == []
    assert shown(home, "orders") == before
    assert days_of(home, "sales") == []


def test_a_name_that_another_machine_takes_just_then_leaves_the_table_as_it_is(home: Chain) -> None:
    other = machine(home, "other")
    other.define("orders", QUERY)
    real_claim, before = StoredMove.claim, shown(home, "sales")

    def claim_late(move: StoredMove) -> None:
        load(other, "orders")
        real_claim(move)

    with (
        patch.object(StoredMove, "claim", claim_late),
        pytest.raises(RequestError, match="'orders' is taken, another machine published a table of that name just now"),
    ):
        rename(home)
    assert list_begun(home.settings.warehouse) == []
    home.deliver("2025-01-02", 99)
    load(home, "sales")
    assert shown(home, "sales").keys() == before.keys()
    assert [day for day, data in shown(home, "sales").items() if before[day] != data] == ["day=2025-01-02/data.parquet"]


def test_once_the_old_name_is_free_the_same_command_touches_nothing_that_lies_there(home: Chain) -> None:
    with pytest.raises(Killed), patch("reloads.runs.rename_table.end_move", side_effect=Killed):
        rename(home)
    other = machine(home, "other")
    other.define("sales", QUERY)
    load(other, "sales")
    before = shown(other, "sales")
    rename(home)
    assert shown(other, "sales") == before
    assert list(verify(other.settings)) == []
    assert len(keys(place_of(home), ".versions/sales")) == 3


def test_a_table_with_snapshots_goes_on_under_its_new_name(home: Chain) -> None:
    home.define("sales", QUERY, 'snapshots = "delta"')
    run_whole(home, "sales", "run 1")
    rename(home)
    url = f"s3://{BUCKET}/{prefix_of(place_of(home))}/.versions/orders"
    options = {"aws_allow_http": "true"}
    versions = DeltaTable(url, storage_options=options).version()
    assert len(DeltaTable(url, storage_options=options).file_uris()) == 3
    assert list(verify(home.settings)) == []
    home.deliver("2025-01-02", 99)
    run_whole(home, "orders", "run 2")
    delta = DeltaTable(url, storage_options=options)
    assert delta.version() == versions + 1
    names = {uri.rpartition("/")[2] for uri in delta.file_uris()}
    assert names == {file.name for file in place_of(home, "orders").published().values()}
    # And a new one of the old name begins a Delta table of its own.
    home.define("sales", QUERY, 'snapshots = "delta"')
    run_whole(home, "sales", "run 3")
    assert DeltaTable(url.replace("orders", "sales"), storage_options=options).version() == 0
    assert list(verify(home.settings)) == []


def run_whole(chain: Chain, table: str, run: str) -> None:
    """A run whose steps all know it by that name, so that it has ended once it is settled."""
    chain.ask(table, FIRST, LAST, cascade=False)
    batches = chain.plan(table)
    outcomes = chain.rewrite(table, batches, run=run)
    settle_batches(chain.settings, open_catalog(chain.settings), table, batches, outcomes, run=run, now=NOW)


def test_a_table_that_was_dropped_on_one_machine_comes_back_on_another(home: Chain) -> None:
    other, before = machine(home, "other"), shown(home, "sales")
    drop(home)
    assert shown(home, "sales") == {}
    shutil.rmtree(other.settings.tables / "sales")
    restore_table(other.settings, "sales")
    assert shown(home, "sales") == before
    assert days_of(home, "sales") == [date(2025, 1, day) for day in (1, 2, 3)]
    assert [key for key in all_keys(place_of(home)) if key.startswith(".dropped")] == []
