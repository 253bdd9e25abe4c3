"""Undo: what a request replaced is back byte for byte, recorded like any change, and can itself be undone."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import date, timedelta
from itertools import count
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from unittest.mock import patch

import duckdb
import hypothesis
import pytest
from hypothesis import strategies as st

from reloads.errors import ReloadsError, RequestError
from reloads.planning.staleness import OUTDATED
from reloads.planning.whole_days import MISSING
from reloads.requests.conversion import request_from_record
from reloads.requests.queue import Queue
from reloads.requests.record import Record
from reloads.runs.settle_step import settle_batches
from reloads.runs.undo import undo_in_table, undo_request
from reloads.tables.catalog import Catalog
from reloads.warehouse.access import state_of
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.staging import staging_folder
from reloads.warehouse.upgrade import open_catalog
from tests.support.chain import NOW, STATES, Chain
from tests.support.process_kill import SCRATCH, Killed, killed_after
from tests.support.undo_history import (
    AMOUNTS,
    CORRECTED,
    DAYS,
    SHOPS,
    amounts,
    corrected,
    deliver,
    folder,
    folders,
    loaded,
    published,
    reload,
    tried_again,
    undone,
    whys,
)

__all__ = ["loaded"]

# what is put back


def test_exactly_the_files_that_the_request_replaced_are_back_with_their_times(loaded: Chain) -> None:
    before = published(loaded)
    request = corrected(loaded)
    between = published(loaded)
    assert [name for name in before if between[name] != before[name]] == list(CORRECTED)
    undone(loaded, request)
    assert published(loaded) == before


def test_partitions_that_were_not_there_before_are_gone_again(loaded: Chain) -> None:
    before, their_folders = published(loaded), folders(loaded, "a")
    request = reload(loaded, "a", "2025-01-01", "2025-01-06")
    assert len(published(loaded)) == 6
    undone(loaded, request)
    assert (published(loaded), folders(loaded, "a")) == (before, their_folders)


def test_the_first_load_of_a_table_can_be_undone(chain: Chain) -> None:
    request = reload(chain, "a", "2025-01-01", "2025-01-02")
    undone(chain, request)
    assert (published(chain), folders(chain, "a"), known(chain)) == ({}, [], {})
    assert whys(chain) == {str(day): MISSING for day in DAYS}
    assert reload(chain, "a", "2025-01-01", "2025-01-02").published.texts() == ["2025-01-01..2025-01-02"]


def test_a_key_value_that_lost_its_file_is_back_and_one_that_appeared_is_gone(loaded: Chain) -> None:
    deliver(loaded, "2025-01-02", 2, 203, 304)
    reload(loaded, "shops", "2025-01-02")
    before, their_folders = published(loaded, "shops"), folders(loaded, "shops")
    deliver(loaded, "2025-01-02", 2, 303, 405)
    request = reload(loaded, "shops", "2025-01-02")
    assert [name[20:] for name in published(loaded, "shops") if "01-02" in name] == ["0", "3", "4"]
    undone(loaded, request)
    assert (published(loaded, "shops"), folders(loaded, "shops")) == (before, their_folders)


@pytest.mark.parametrize("keys", ["", 'keys = ["shop"]'], ids=["days", "keys"])
def test_an_undo_of_what_came_out_as_before_gives_the_day_back_to_who_rewrote_it_then(chain: Chain, keys: str) -> None:
    chain.define("a", SHOPS, keys)
    deliver(chain, "2025-01-02", 100)
    reload(chain, "a", "2025-01-02")
    before = published(chain)
    deliver(chain, "2025-01-02", 200)
    earlier = reload(chain, "a", "2025-01-02")
    between = published(chain)
    request = tried_again(chain, "2025-01-02", 300, 200)
    assert published(chain).keys() == between.keys()

    undone(chain, request)
    assert published(chain) == between
    undone(chain, earlier)
    assert published(chain) == before


@pytest.mark.parametrize("slices", [1, 2])
def test_a_day_of_a_table_with_keys_that_was_never_loaded_is_so_again(chain: Chain, slices: int) -> None:
    chain.define("shops", SHOPS, f'keys = ["shop"]\nkey_slices = {slices}')
    reload(chain, "shops", "2025-01-02", "2025-01-04")
    before, known_before = published(chain, "shops"), known(chain, "shops")
    request = reload(chain, "shops", "2025-01-01")
    undone(chain, request)
    assert published(chain, "shops") == before
    assert whys(chain, "shops") == {"2025-01-01": MISSING}
    assert known(chain, "shops") == known_before


@pytest.mark.parametrize("slices", [1, 2])
def test_a_day_of_a_table_with_keys_that_had_no_rows_is_without_rows_again(chain: Chain, slices: int) -> None:
    chain.define("shops", SHOPS, f'keys = ["shop"]\nkey_slices = {slices}')
    reload(chain, "shops", "2025-01-01", "2025-01-04")
    deliver(chain, "2025-01-01", 0)
    reload(chain, "shops", "2025-01-01")
    before, their_folders = published(chain, "shops"), folders(chain, "shops")
    assert whys(chain, "shops") == {}
    deliver(chain, "2025-01-01", 101)
    request = reload(chain, "shops", "2025-01-01")
    undone(chain, request)
    assert (published(chain, "shops"), folders(chain, "shops")) == (before, their_folders)
    assert whys(chain, "shops") == {}


def test_only_the_keys_that_the_request_replaced_are_put_back(loaded: Chain) -> None:
    deliver(loaded, "2025-01-02", 102, 202)
    reload(loaded, "shops", "2025-01-02")
    deliver(loaded, "2025-01-02", 103, 203)
    request = reload(loaded, "shops", "2025-01-02", keys={"shop": ["1"]})
    reload(loaded, "shops", "2025-01-02", keys={"shop": ["2"]})
    undone(loaded, request)
    day = date(2025, 1, 2)
    assert [row for row in amounts(loaded, "shops") if row[1] == day] == [(102, day, 1), (203, day, 2)]


def test_of_a_partition_that_the_request_replaced_twice_the_first_is_back(loaded: Chain) -> None:
    before = published(loaded)
    request = loaded.ask("a", "2025-01-02", cascade=False)
    batches = loaded.plan("a")
    for amount in (50, 60):  # the second time because the task was tried again
        deliver(loaded, "2025-01-02", amount)
        outcomes = loaded.rewrite("a", batches, run="run/1")
    loaded.settle("a", batches, outcomes)
    undone(loaded, request)
    assert published(loaded) == before


def test_nothing_is_left_in_staging(loaded: Chain) -> None:
    undone(loaded, corrected(loaded))
    assert list((loaded.settings.warehouse / ".staging").rglob("*")) == []


def test_readers_see_every_file_whole_while_it_is_put_back(loaded: Chain) -> None:
    before = {name: file[2] for name, file in published(loaded).items()}
    request = corrected(loaded)
    between = {name: file[2] for name, file in published(loaded).items()}
    seen: list[dict[str, bytes]] = []

    def looking(real: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **more: Any) -> Any:
            done = real(*args, **more)
            seen.append({name: file[2] for name, file in published(loaded).items()})
            return done

        return step

    with patch("os.replace", looking(os.replace)), patch("os.unlink", looking(os.unlink)):
        undone(loaded, request)
    assert seen[-1] == before
    assert all(look.keys() == before.keys() for look in seen)
    assert all(content in (before[name], between[name]) for look in seen for name, content in look.items())


# what is said of it


def test_an_undo_is_recorded_with_what_was_put_back_and_why_and_who_asked(loaded: Chain) -> None:
    deliver(loaded, "2025-01-02", 120, 121)
    request = reload(loaded, "a", "2025-01-01", "2025-01-05")
    record = undone(loaded, request)
    state, filed = loaded.find_record(record.id)
    assert (state, filed.mode, filed.table, filed.reason) == ("done", "undo", "a", f"undo of {request.id}")
    assert (filed.requested_by, filed.days.texts()) == ("ann", ["2025-01-02", "2025-01-05"])
    assert filed.published == filed.days
    assert (filed.rows_before, filed.rows) == (3, 1)
    assert filed.finished_at == filed.accepted_at
    assert not filed.outstanding


def test_an_undo_stands_as_a_child_in_the_request_that_was_undone(loaded: Chain) -> None:
    request = corrected(loaded)
    record = undone(loaded, request)
    assert loaded.find_record(request.id) == ("done", request.model_copy(update={"children": (record.id,)}))


def test_tables_that_read_it_are_asked_to_follow_although_the_request_kept_them_out(loaded: Chain) -> None:
    reload(loaded, "b", "2025-01-01", "2025-01-04")
    before = amounts(loaded, "b")
    request = corrected(loaded)
    reload(loaded, "b", "2025-01-01", "2025-01-04")
    record = undone(loaded, request)
    [follower] = loaded.cascades("b")
    assert (follower.days.texts(), follower.reason) == (["2025-01-02..2025-01-03"], "a changed")
    assert follower.cause
    assert follower.cause.requests == (record.id,)
    assert follower.id in record.children
    assert set(loaded.find_record(record.id)[1].children) == {
        child.id for table in "bc" for child in loaded.cascades(table)
    }
    loaded.work_off("b")
    assert amounts(loaded, "b") == before


def test_the_tables_that_read_it_follow_although_the_undo_was_killed_before_it_asked_them(loaded: Chain) -> None:
    request = corrected(loaded)
    catalog = Catalog.load(loaded.settings.tables)
    [record] = undo_in_table(loaded.settings, catalog, "a", request.id, now=NOW)
    assert (record.children, loaded.cascades("b")) == ((), [])
    loaded.plan("b")
    [follower] = loaded.cascades("b")
    assert follower.cause
    assert (follower.days.texts(), follower.cause.requests) == (["2025-01-02..2025-01-03"], (record.id,))
    assert follower.id in loaded.find_record(record.id)[1].children


@pytest.mark.parametrize("table", ["a", "shops"])
def test_what_was_put_back_is_known_as_it_was_before(loaded: Chain, table: str) -> None:
    before = known(loaded, table)
    request = corrected(loaded, table)
    between = known(loaded, table)
    undone(loaded, request)
    after = known(loaded, table)
    assert after.keys() == before.keys()
    for name, entry in before.items():
        # What came out the same is as up to date as the request made it.
        put_back = str(name.day_name) in CORRECTED
        assert after[name] == (entry if put_back else between[name])


def known(chain: Chain, table: str = "a") -> dict[PartitionName, tuple[object, ...]]:
    """What is known of the content of each partition and day that is not as if it had never been."""
    entries = state_of(folder(chain, table)).read_all().entries
    return {
        name: (bool(entry.version), entry.making, entry.origin, entry.rows, entry.bytes, entry.content, entry.columns)
        for name, entry in entries.items()
        if entry.version or entry.making
    }


@pytest.mark.parametrize("table", ["a", "shops"])
def test_what_was_put_back_is_not_stale(loaded: Chain, table: str) -> None:
    undone(loaded, corrected(loaded, table))
    assert whys(loaded, table) == {}
    loaded.ask(table, "2025-01-01", "2025-01-04", only="stale", cascade=False)
    assert loaded.plan(table) == []


@pytest.mark.parametrize(("table", "query"), [("a", AMOUNTS), ("shops", SHOPS)])
def test_what_was_put_back_is_stale_if_the_query_changed_meanwhile(loaded: Chain, table: str, query: str) -> None:
    toml = 'keys = ["shop"]' if table == "shops" else ""
    loaded.define(table, query.replace(" amount from", " amount + 1 as amount from"), toml)
    request = reload(loaded, table, "2025-01-01", "2025-01-04")
    assert request.published == DAYS
    undone(loaded, request)
    assert whys(loaded, table) == {str(day): OUTDATED for day in DAYS}
    loaded.ask(table, "2025-01-01", "2025-01-04", only="stale", cascade=False)
    assert [batch["days"] for batch in loaded.plan(table)] == [["2025-01-01..2025-01-04"]]


def test_a_table_whose_input_changed_again_meanwhile_is_stale(loaded: Chain) -> None:
    reload(loaded, "b", "2025-01-01", "2025-01-04")
    corrected(loaded)
    request = reload(loaded, "b", "2025-01-01", "2025-01-04")
    undone(loaded, request)
    loaded.ask("b", "2025-01-01", "2025-01-04", only="stale", cascade=False)
    assert [batch["days"] for batch in loaded.plan("b")] == [["2025-01-02..2025-01-03"]]


# undo of an undo


def test_an_undo_can_be_undone_as_often_as_one_likes(loaded: Chain) -> None:
    before = published(loaded)
    request: Record = corrected(loaded)
    result = published(loaded)
    for expected in (before, result, before, result):
        request = undone(loaded, request)
        assert published(loaded) == expected
        assert whys(loaded) == {}


def test_an_undo_of_an_undo_with_keys_brings_the_values_that_had_appeared(loaded: Chain) -> None:
    before = published(loaded, "shops"), folders(loaded, "shops")
    request: Record = corrected(loaded, "shops")
    request = reload(loaded, "shops", "2025-01-05")
    result = published(loaded, "shops"), folders(loaded, "shops")
    first = undone(loaded, request)
    second = undone(loaded, first)
    assert (published(loaded, "shops"), folders(loaded, "shops")) == result
    assert before != result
    assert second.reason == f"undo of {first.id}"


def test_requests_are_undone_one_after_the_other_the_last_first(loaded: Chain) -> None:
    states, requests = [published(loaded)], []
    for amount in (50, 60, 70):
        deliver(loaded, "2025-01-02", amount)
        requests.append(reload(loaded, "a", "2025-01-02"))
        states.append(published(loaded))
    for request, state in zip(requests[::-1], states[-2::-1], strict=True):
        undone(loaded, request)
        assert published(loaded) == state


# what others rewrote since


def test_what_a_later_request_rewrote_is_named_and_left(loaded: Chain) -> None:
    before = published(loaded)
    request = corrected(loaded)
    deliver(loaded, "2025-01-03", 999)
    later = reload(loaded, "a", "2025-01-03")
    now = published(loaded)
    record = undone(loaded, request)
    assert published(loaded) == now | {"day=2025-01-02": before["day=2025-01-02"]}
    assert (record.published.texts(), record.days.texts()) == (["2025-01-02"], ["2025-01-02..2025-01-03"])
    [left] = record.skipped
    assert (left.days.texts(), left.why) == (["2025-01-03"], f"{later.id} rewrote it later")
    assert not record.outstanding


def test_a_later_request_that_came_to_the_same_does_not_stand_in_the_way(loaded: Chain) -> None:
    before = published(loaded)
    request = corrected(loaded)
    reload(loaded, "a", "2025-01-01", "2025-01-04")
    undone(loaded, request)
    assert published(loaded) == before


def test_a_file_that_somebody_put_there_since_is_left_and_force_puts_that_back_too(loaded: Chain) -> None:
    before = published(loaded)
    request = corrected(loaded)
    put_file(loaded, "2025-01-02", 999)
    theirs = published(loaded)
    record = undone(loaded, request)
    assert [(left.days.texts(), left.why) for left in record.skipped] == [(["2025-01-02"], "somebody rewrote it later")]
    assert published(loaded) == theirs | {"day=2025-01-03": before["day=2025-01-03"]}

    forced = undone(loaded, request, force=True)
    assert published(loaded) == before
    assert forced.rows_before == 1
    undone(loaded, forced)
    assert published(loaded)["day=2025-01-02"] == theirs["day=2025-01-02"]


def put_file(chain: Chain, day: str, amount: int) -> None:
    """Put a file into the place of a day of ``a``, as an editor does: beside it, and then by a rename."""
    file = chain.settings.warehouse / "a" / f"day={day}" / "data.parquet"
    beside = chain.settings.home / "mine.parquet"
    with duckdb.connect(":memory:") as db:
        db.execute("copy (select $1::int as amount) to $2 (format parquet)", [amount, str(beside)])
    beside.replace(file)


def test_what_is_rewritten_while_the_undo_is_under_way_is_left(loaded: Chain) -> None:
    request = corrected(loaded)
    real, rewritten = os.link, list[Record]()

    def link(*args: Any, **more: Any) -> None:
        if not rewritten:
            rewritten.append(request)
            deliver(loaded, "2025-01-03", 999)
            reload(loaded, "a", "2025-01-03")
        real(*args, **more)

    sentence = "^2025-01-03 of a could not be put back: it was superseded by run .*; ask again if need be$"
    with patch("os.link", link), pytest.raises(ReloadsError, match=sentence):
        undone(loaded, request)
    assert [row[0] for row in amounts(loaded)] == [1, 2, 4, 999]
    assert whys(loaded) == {}


def test_the_record_of_an_undo_asks_for_nothing(loaded: Chain) -> None:
    record = undone(loaded, corrected(loaded))
    with pytest.raises(
        RequestError, match=r"^the record is of an undo \(undo of .*\); undo again with: reloads undo ID$"
    ):
        request_from_record(record)


def test_force_puts_that_back_too_and_is_undone_to_what_the_later_request_made(loaded: Chain) -> None:
    before = published(loaded)
    request = corrected(loaded)
    deliver(loaded, "2025-01-03", 999)
    reload(loaded, "a", "2025-01-03")
    now = published(loaded)
    record = undone(loaded, request, force=True)
    assert published(loaded) == before
    assert (record.published.texts(), record.skipped) == (["2025-01-02..2025-01-03"], ())
    undone(loaded, record)
    assert published(loaded) == now


@pytest.mark.parametrize(("days", "more"), [(["2025-01-02"], ""), (["2025-01-02", "2025-01-03"], " and 1 more")])
def test_if_all_was_rewritten_later_one_sentence_names_who_did(loaded: Chain, days: list[str], more: str) -> None:
    for day in days:
        deliver(loaded, day, 50)
    request = reload(loaded, "a", days[0], days[-1])
    for day in days:
        deliver(loaded, day, 60)
    later = reload(loaded, "a", days[0], days[-1])
    now = published(loaded)
    sentence = f"^day=2025-01-02{more} was rewritten later, by {later.id}; undo that first, or write --force$"
    with pytest.raises(RequestError, match=sentence):
        undone(loaded, request)
    assert published(loaded) == now
    assert _undos(loaded) == []


# what cannot be undone


def test_a_request_that_changed_nothing_says_so(loaded: Chain) -> None:
    same = reload(loaded, "a", "2025-01-01", "2025-01-04")
    with pytest.raises(RequestError, match=f"^nothing of a that '{same.id}' replaced is kept: it changed nothing, or"):
        undone(loaded, same)


def test_an_unknown_request_says_so(loaded: Chain) -> None:
    with pytest.raises(RequestError, match=r"^'nobody' is not a request; reloads status lists them$"):
        undone(loaded, "nobody")


def test_a_request_under_way_is_not_undone(loaded: Chain) -> None:
    loaded.define("a", AMOUNTS, "partitions_per_run = 1")
    deliver(loaded, "2025-01-02", 50)
    request = loaded.ask("a", "2025-01-01", "2025-01-02")
    loaded.run("a")
    now = published(loaded)
    with pytest.raises(RequestError, match=f"^{request.id} is still under way; cancel it first, or wait$"):
        undone(loaded, request)
    assert published(loaded) == now


def test_without_history_nothing_is_kept_and_undo_says_so(loaded: Chain) -> None:
    loaded.define("a", AMOUNTS, "history_days = 0")
    deliver(loaded, "2025-01-02", 120)
    request = loaded.ask("a", "2025-01-01", "2025-01-04", cascade=False)
    batches = loaded.plan("a")
    outcomes = loaded.rewrite("a", batches)
    settle_batches(
        loaded.settings,
        open_catalog(loaded.settings),
        "a",
        batches,
        outcomes,
        run="run",
        now=NOW + timedelta(minutes=1),
    )
    assert loaded.find_record(request.id)[1].published.texts() == ["2025-01-02"]
    versions = sorted((loaded.settings.warehouse / ".versions" / "a").rglob("*.parquet"))
    assert len(versions) == len(published(loaded))
    with pytest.raises(RequestError, match=f"'{request.id}' replaced is kept: .* more than 0 days ago; ask for a rel"):
        undone(loaded, request)


def test_a_request_is_undone_by_the_name_of_its_file_in_all_its_tables(loaded: Chain) -> None:
    before = published(loaded, "a"), published(loaded, "shops")
    _ask_for_both(loaded, deliver_to="both")
    records = undo_request(loaded.settings, "both.json", force=False, now=NOW)
    assert sorted(record.table for record in records) == ["a", "shops"]
    assert (published(loaded, "a"), published(loaded, "shops")) == before


@pytest.mark.parametrize("unchanged", ["a", "shops"])
def test_a_table_in_which_a_file_changed_nothing_does_not_keep_the_others_from_their_undo(
    loaded: Chain, unchanged: str
) -> None:
    other = {"a": "shops", "shops": "a"}[unchanged]
    before = published(loaded, other)
    _ask_for_both(loaded, deliver_to=other)
    [record] = undo_request(loaded.settings, "both.json", force=False, now=NOW)
    assert (record.table, published(loaded, other)) == (other, before)


def _ask_for_both(chain: Chain, *, deliver_to: str) -> None:
    for table in ("a", "shops"):
        if deliver_to in (table, "both"):
            deliver(chain, "2025-01-02", 120)
        else:
            deliver(chain, "2025-01-02", 2)
        reload(chain, table, "2025-01-02", file="both.json")


def test_the_log_is_enough_where_the_record_was_cleared_away(loaded: Chain) -> None:
    before = published(loaded)
    request = corrected(loaded)
    (loaded.settings.landing / "done" / f"{request.id}.json").unlink()
    assert undone(loaded, request).table == "a"
    assert published(loaded) == before


def test_what_a_failed_request_published_can_be_undone(loaded: Chain) -> None:
    before = published(loaded)
    loaded.define("a", "select day, if(amount = 3, error('bad row'), amount + 1) as amount from raw")
    request = reload(loaded, "a", "2025-01-01", "2025-01-04")
    assert loaded.find_record(request.id)[0] == "failed"
    assert undone(loaded, request).published.texts() == ["2025-01-01..2025-01-02", "2025-01-04"]
    assert published(loaded) == before


# columns


def test_after_the_undo_of_a_new_column_the_table_is_readable_by_name_and_rewritten_as_before(loaded: Chain) -> None:
    before = published(loaded)
    loaded.define("a", "select day, amount, amount > 2 as is_big from raw", 'on_schema_change = "append"')
    request = reload(loaded, "a", "2025-01-02", "2025-01-03")
    undone(loaded, request)
    assert published(loaded) == before
    assert amounts(loaded) == [(day.day, day) for day in DAYS]

    again = reload(loaded, "a", "2025-01-03")
    assert again.published.texts() == ["2025-01-03"]
    assert amounts(loaded, columns="amount, is_big") == [(1, None), (2, None), (3, True), (4, None)]
    loaded.define("a", AMOUNTS, 'on_schema_change = "append"')
    assert reload(loaded, "a", "2025-01-04").failed[0].error.startswith("a: the column is_big (BOOLEAN) of the publ")


def test_after_the_undo_of_a_new_column_the_query_of_before_fits_again(loaded: Chain) -> None:
    loaded.define("a", "select day, amount, amount > 2 as is_big from raw", 'on_schema_change = "append"')
    request = reload(loaded, "a", "2025-01-02", "2025-01-03")
    undone(loaded, request)
    loaded.define("a", AMOUNTS)
    deliver(loaded, "2025-01-04", 44)
    assert reload(loaded, "a", "2025-01-04").published.texts() == ["2025-01-04"]


# a process that dies


def _contents(chain: Chain, table: str) -> dict[str, tuple[int, bytes]]:
    return {name: (time, content) for name, (_, time, content) in published(chain, table).items()}


def _killed_undos(chain: Chain, request: Record, *, force: bool = False) -> Iterator[tuple[int, Chain]]:
    """A home for each step before which an undo can die."""
    for steps in count():
        home = Path(mkdtemp(dir=SCRATCH))
        copy = chain.copied(home / "home")
        try:
            with killed_after(steps, home):
                undone(copy, request, force=force)
        except Killed:
            yield steps, copy
        else:
            assert steps > 10
            return
        finally:
            shutil.rmtree(home)


def _changed_request(chain: Chain, table: str) -> Record:
    """One that replaces and adds a partition, and in a table with keys removes one."""
    deliver(chain, "2025-01-02", 120)
    return reload(chain, table, "2025-01-01", "2025-01-05")


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("table", ["a", "shops"])
def test_an_undo_killed_anywhere_is_completed_by_the_same_command(loaded: Chain, table: str, *, force: bool) -> None:
    loaded.define("reader", f"select day, count(*) as n from {table} group by day")
    before = _contents(loaded, table)
    request = _changed_request(loaded, table)
    result = _contents(loaded, table)
    for steps, copy in _killed_undos(loaded, request, force=force):
        now = _contents(copy, table)
        for name in before | result:
            assert now.get(name) in (before.get(name), result.get(name)), (steps, name)
        with suppress(RequestError):  # where all is put back already
            undone(copy, request, force=force)
        assert _contents(copy, table) == before, steps
        assert whys(copy, table) == {}, steps
        [record] = _undos(copy)
        assert (record.reason, record.published.texts()) == (f"undo of {request.id}", ["2025-01-02", "2025-01-05"])
        assert record.id in copy.find_record(request.id)[1].children, steps
        [follower] = copy.cascades("reader")
        assert follower.days.texts() == ["2025-01-02", "2025-01-05"], steps
        assert follower.id in record.children, steps


def _undos(chain: Chain) -> list[Record]:
    return [record for state in STATES for record in chain.queue.records(state) if record.mode == "undo"]


def test_an_undo_of_an_undo_killed_anywhere_is_completed_by_the_same_command(loaded: Chain) -> None:
    request = _changed_request(loaded, "shops")
    result = _contents(loaded, "shops")
    undo = undone(loaded, request)
    for steps, copy in _killed_undos(loaded, undo):
        with suppress(RequestError):  # where all is put back already
            undone(copy, undo)
        assert _contents(copy, "shops") == result, steps
        assert sorted(record.reason or "" for record in _undos(copy)) == sorted(
            [f"undo of {request.id}", f"undo of {undo.id}"]
        )


def test_an_undo_that_was_refused_in_part_and_killed_is_recorded_and_the_rest_is_put_back(loaded: Chain) -> None:
    before = published(loaded)
    request = corrected(loaded)
    with (
        patch("os.replace", _refusing("day=2025-01-02")),
        patch.object(Queue, "note_children", side_effect=Killed),
        suppress(Killed),
    ):
        undone(loaded, request)
    assert _undos(loaded) == []
    records = undo_request(loaded.settings, request.id, force=False, now=NOW)
    assert published(loaded) == before
    assert [record.published.texts() for record in records] == [["2025-01-03"], ["2025-01-02"]]
    assert {record.id for record in records} == {record.id for record in _undos(loaded)}
    assert set(loaded.find_record(request.id)[1].children) == {record.id for record in records}


@pytest.mark.parametrize("force", [False, True])
def test_an_undo_that_is_repeated_changes_nothing_and_says_so(loaded: Chain, *, force: bool) -> None:
    before = published(loaded)
    request = corrected(loaded)
    record = undone(loaded, request)
    with pytest.raises(RequestError, match=f"^what '{request.id}' replaced in a is back already; ask for a reload"):
        undone(loaded, request, force=force)
    assert published(loaded) == before
    assert [undo.id for undo in _undos(loaded)] == [record.id]


# a place that refuses


def _refusing(name: str) -> Callable[..., None]:
    """``os.replace`` on a disk that does not take that partition."""
    real = os.replace

    def replace(source: Any, target: Any, **more: Any) -> None:
        if Path(target).parent.name == name:
            raise PermissionError(13, "Permission denied", str(source), None, str(target))
        real(source, target, **more)

    return replace


def test_a_partition_that_cannot_be_written_is_named_with_its_cure_and_the_others_are_put_back(loaded: Chain) -> None:
    before = published(loaded)
    request = corrected(loaded)
    result = published(loaded)
    target = loaded.settings.warehouse / ".versions" / "a" / "day=2025-01-02"
    sentence = f"^2025-01-02 of a could not be put back: {target}.* cannot be written .Permission denied.; make room or"
    with patch("os.replace", _refusing("day=2025-01-02")), pytest.raises(ReloadsError, match=sentence):
        undone(loaded, request)
    assert published(loaded) == result | {"day=2025-01-03": before["day=2025-01-03"]}
    assert whys(loaded) == {}
    assert not any("2025-01-02" in str(record.published) for record in _undos(loaded))


def test_what_an_undo_put_back_before_a_refusal_is_recorded_and_followed(loaded: Chain) -> None:
    request = corrected(loaded)
    with patch("os.replace", _refusing("day=2025-01-02")), suppress(ReloadsError):
        undone(loaded, request)
    [record] = _undos(loaded)
    assert (record.published.texts(), record.failed_days.texts()) == (["2025-01-03"], ["2025-01-02"])
    assert record.id in loaded.find_record(request.id)[1].children
    assert loaded.cascades("b")


def test_what_could_not_be_put_back_is_once_the_place_is_mended(loaded: Chain) -> None:
    before = published(loaded)
    request = corrected(loaded)
    with patch("os.replace", _refusing("day=2025-01-02")), suppress(ReloadsError):
        undone(loaded, request)
    undone(loaded, request)
    assert published(loaded) == before


def test_a_later_request_that_could_not_be_published_does_not_stand_in_the_way(loaded: Chain) -> None:
    before = published(loaded)
    request = corrected(loaded)
    deliver(loaded, "2025-01-02", 999)
    with patch("os.replace", _refusing("day=2025-01-02")):
        assert reload(loaded, "a", "2025-01-02").failed
    assert undone(loaded, request).published.texts() == ["2025-01-02..2025-01-03"]
    assert published(loaded) == before


def test_a_file_where_a_folder_should_be_is_named_and_the_undo_is_completed_later(loaded: Chain) -> None:
    before = published(loaded)
    request = corrected(loaded)
    place = loaded.settings.warehouse / "a" / "day=2025-01-02"
    shutil.rmtree(place)
    place.touch()
    with pytest.raises(ReloadsError, match=f"^2025-01-02 of a could not be put back: .*{place}.* cannot be written"):
        undone(loaded, request)
    assert published(loaded)["day=2025-01-03"] == before["day=2025-01-03"]
    place.unlink()
    undone(loaded, request)
    assert published(loaded) == before


def test_a_file_of_somebody_else_stops_the_undo_before_anything_is_touched(loaded: Chain) -> None:
    request = corrected(loaded)
    result, head = published(loaded), state_of(folder(loaded, "a")).read_head()
    stranger = loaded.settings.warehouse / "a" / "day=2025-01-02" / "copy.parquet"
    stranger.touch()
    with pytest.raises(ReloadsError, match=r"holds copy.parquet besides data.parquet .*; move it away"):
        undone(loaded, request)
    stranger.unlink()
    assert published(loaded) == result
    assert state_of(folder(loaded, "a")).read_head() == head


# any sequence of requests


days = st.integers(1, 4)
corrections = st.dictionaries(days, st.lists(st.integers(1, 400), max_size=3), max_size=3)


@hypothesis.settings(max_examples=12, derandomize=True, database=None)
@hypothesis.given(steps=st.lists(st.tuples(corrections, days, days), min_size=1, max_size=4))
def test_the_undo_of_the_last_request_restores_the_state_before_it(
    steps: list[tuple[dict[int, list[int]], int, int]],
) -> None:
    home = Path(mkdtemp(dir=SCRATCH))
    try:
        chain = Chain.at(home)
        chain.define("shops", SHOPS, 'keys = ["shop"]')
        for table in ("a", "shops"):
            _last_is_undone(chain, table, steps)
    finally:
        shutil.rmtree(home)


def _last_is_undone(chain: Chain, table: str, steps: list[tuple[dict[int, list[int]], int, int]]) -> None:
    for corrected_days, one, other in steps:
        for day, values in corrected_days.items():
            deliver(chain, f"2025-01-0{day}", *values)
        before, stale = published(chain, table), whys(chain, table)
        request = reload(chain, table, f"2025-01-0{min(one, other)}", f"2025-01-0{max(one, other)}")
    result = published(chain, table)
    # Loaded for the first time, and without rows: in a table with keys no file says so, and no file is put back.
    empty = {
        day for day in stale if folder(chain, table).has_day(date.fromisoformat(day)) and f"day={day}" not in result
    }
    empty -= {name[4:14] for name in result}
    try:
        record = undone(chain, request)
    except RequestError:
        assert result == before
        return
    assert published(chain, table) == before
    assert whys(chain, table) == {day: why for day, why in stale.items() if day not in empty}
    undone(chain, record)
    assert published(chain, table) == result


# a table that is cut otherwise by now, and batches that still run


@pytest.mark.parametrize("table", ["a", "shops"])
def test_a_table_that_is_cut_otherwise_by_now_is_rewritten_and_has_nothing_to_undo(loaded: Chain, table: str) -> None:
    request = corrected(loaded, table)
    folder = loaded.settings.tables / table
    (folder / "query.sql").write_text("select day as date, amount, 'x' as kind from raw")
    (folder / "table.toml").write_text('day_column = "date"\nfirst_day = 2025-01-01\nkeys = ["kind"]\nkey_slices = 2\n')
    (loaded.settings.warehouse / table).rename(loaded.settings.home / "moved away")
    assert reload(loaded, table, "2025-01-01", "2025-01-04").published.texts() == ["2025-01-01..2025-01-04"]
    again = reload(loaded, table, "2025-01-02", keys={"kind": ["x"]})
    assert again.unchanged.texts() == ["2025-01-02"]
    with pytest.raises(RequestError, match=f"^nothing of {table} that '{request.id}' replaced is kept"):
        undone(loaded, request)


def test_a_table_that_got_keys_is_rewritten_once_its_old_files_are_moved_away(loaded: Chain) -> None:
    shutil.rmtree(loaded.settings.warehouse / "a")
    loaded.define("a", "select day, amount, 'x' as kind from raw", 'keys = ["kind"]\nkey_slices = 2')
    assert reload(loaded, "a", "2025-01-01", "2025-01-04").published.texts() == ["2025-01-01..2025-01-04"]


def test_a_table_that_lost_its_keys_is_rewritten_once_its_old_files_are_moved_away(loaded: Chain) -> None:
    shutil.rmtree(loaded.settings.warehouse / "shops")
    loaded.define("shops", "select day, amount // 2 as half from raw")
    assert reload(loaded, "shops", "2025-01-01", "2025-01-04").published.texts() == ["2025-01-01..2025-01-04"]
    deliver(loaded, "2025-01-02", 120)
    assert reload(loaded, "shops", "2025-01-01", "2025-01-04").published.texts() == ["2025-01-02"]
    loaded.define("shops", "select day, amount from raw")
    [failure] = reload(loaded, "shops", "2025-01-02").failed
    assert failure.error.startswith("shops: the column half (INTEGER) of the published table is gone")


def test_a_cancelled_request_is_not_undone_while_one_of_its_batches_runs(loaded: Chain) -> None:
    deliver(loaded, "2025-01-02", 120)
    request = loaded.ask("a", "2025-01-01", "2025-01-04", cascade=False)
    batches = loaded.plan("a")
    loaded.queue.cancel(request.id, now=NOW)
    with (
        staging_folder(loaded.settings.warehouse, "a"),
        pytest.raises(RequestError, match=r"^a batch of a that was begun is still running; undo once it has ended$"),
    ):
        undone(loaded, request)
    with pytest.raises(RequestError, match=r"^nothing of a that"):
        undone(loaded, request)
    assert batches


def test_an_undo_that_was_recorded_days_after_it_was_killed_can_itself_be_undone(
    loaded: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = corrected(loaded)
    between = published(loaded)
    with monkeypatch.context() as patch:
        patch.setattr("reloads.requests.queue.Queue.file_away", _raise_killed)
        with pytest.raises(Killed):
            undone(loaded, request)
    catalog = Catalog.load(loaded.settings.tables)
    [undo] = undo_in_table(loaded.settings, catalog, "a", request.id, now=NOW + timedelta(days=3))
    undone(loaded, undo)
    assert published(loaded) == between


def _raise_killed(*_: object) -> None:
    raise Killed
