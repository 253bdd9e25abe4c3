"""A change through a chain of tables: exactly the days that depend on it, level by level, once, whatever crashes."""

from __future__ import annotations

import shutil
import tempfile
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest

from reloads.days import Days
from reloads.planning.runnable_requests import leave_out_waiting
from reloads.requests.announcement import Announcement
from reloads.requests.intake import collect_requests
from reloads.requests.neglect import neglect
from reloads.requests.record import Record
from reloads.runs.following import follow
from reloads.tables.catalog import Catalog
from tests.support.chain import NOW, Chain, changed
from tests.support.process_kill import SCRATCH, Killed, killed_after
from tests.support.undo_history import published

ITS_WEEK = [f"2025-01-{day}" for day in range(10, 17)]
AFFECTED = ["a 2025-01-10", "b 2025-01-10", *(f"{table} {day}" for table in "cd" for day in ITS_WEEK)]


@pytest.fixture(scope="module")
def january(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """All of January in all four tables, and the tenth corrected at the source since."""
    chain = Chain.at(tmp_path_factory.mktemp("january"))
    chain.load()
    chain.deliver("2025-01-10", 1000)
    return chain


@pytest.fixture
def loaded(january: Chain, tmp_path: Path) -> Chain:
    """A copy of it."""
    return january.copied(tmp_path / "home")


# the whole chain


def test_a_corrected_day_changes_exactly_the_days_of_four_tables_that_depend_on_it(loaded: Chain) -> None:
    before = loaded.files()
    record = loaded.ask("a", "2025-01-10")
    runs = loaded.work_off("a")
    assert [table for table, _ in runs] in (["a", "b", "c", "d"], ["a", "c", "b", "d"])
    assert dict(runs) == {
        "a": ["2025-01-10"],
        "b": ["2025-01-10"],
        "c": ["2025-01-10..2025-01-16"],
        "d": ["2025-01-10..2025-01-16"],
    }
    assert changed(before, loaded.files()) == AFFECTED
    assert loaded.find_record(record.id)[0] == "done"
    assert loaded.queue.records("accepted") == []


def test_the_same_request_again_changes_nothing_and_wakes_nobody(loaded: Chain) -> None:
    loaded.ask("a", "2025-01-10")
    loaded.work_off("a")
    before, followed = loaded.files(), [len(loaded.cascades(table)) for table in "bcd"]

    again = loaded.ask("a", "2025-01-10")
    settled = loaded.run("a")
    assert (settled.published, settled.announce) == (Days(), ())
    assert changed(before, loaded.files()) == []
    assert [len(loaded.cascades(table)) for table in "bcd"] == followed
    state, record = loaded.find_record(again.id)
    assert (state, record.unchanged.texts(), record.children) == ("done", ["2025-01-10"], ())


def test_a_change_that_makes_no_difference_to_a_table_goes_no_further(chain: Chain) -> None:
    chain.define("b", "select day, amount > 0 as twice from a")
    chain.define("d", "select day, twice from b")
    chain.load()
    before = chain.files()
    chain.deliver("2025-01-10", 1000)
    chain.ask("a", "2025-01-10")
    chain.work_off("a")
    assert changed(before, chain.files()) == [name for name in AFFECTED if name[0] in "ac"]
    assert [one.unchanged.texts() for one in chain.cascades("b")] == [["2025-01-10"]]
    assert chain.cascades("d") == []


# once, and level by level


@pytest.mark.parametrize("first", ["b", "c", "d"])
def test_a_table_waits_until_all_its_inputs_are_through_whoever_wakes_first(loaded: Chain, first: str) -> None:
    loaded.ask("a", "2025-01-10")
    loaded.run("a")
    runs = loaded.work_off(first, "b", "c")
    assert [table for table, _ in runs].count("d") == 1
    assert runs[-1] == ("d", ["2025-01-10..2025-01-16"])


def test_a_table_does_not_wait_for_days_that_do_not_concern_it(loaded: Chain) -> None:
    loaded.ask("a", "2025-01-10")
    loaded.run("a")
    loaded.ask("a", "2025-01-25")
    loaded.run("b")
    assert [table for table, _ in loaded.work_off("c")] == ["c", "d"]
    assert [one.table for one in loaded.queue.records("accepted")] == ["a"]


# which days follow


def test_days_of_a_window_that_were_never_loaded_are_not_loaded_by_it(chain: Chain) -> None:
    for table in "abcd":
        chain.ask(table, "2025-01-10", "2025-01-12", cascade=False)
    chain.work_off(*"abcd")
    chain.deliver("2025-01-10", 1000)
    chain.ask("a", "2025-01-10")
    chain.work_off("a")
    assert sorted(chain.files()) == [f"{table} 2025-01-{day}" for table in "abcd" for day in (10, 11, 12)]
    [followed] = chain.cascades("c")
    assert followed.published.texts() == ["2025-01-10..2025-01-12"]
    assert {one.why: one.days.texts() for one in followed.skipped} == {
        "it was never loaded": ["2025-01-13..2025-01-16"]
    }


def test_a_day_that_is_loaded_for_the_first_time_is_loaded_in_all_tables(chain: Chain) -> None:
    chain.ask("a", "2025-01-10")
    chain.work_off("a")
    assert sorted(chain.files()) == [f"{table} 2025-01-10" for table in "abcd"]


def test_nobody_follows_into_the_future(loaded: Chain) -> None:
    loaded.deliver("2025-01-29", 1000)
    loaded.ask("a", "2025-01-29")
    loaded.run("a")
    [followed] = loaded.cascades("c")
    assert followed.days.texts() == ["2025-01-29..2025-01-31"]


def test_nobody_follows_to_before_its_first_day(loaded: Chain) -> None:
    (loaded.settings.tables / "b" / "table.toml").write_text('day_column = "day"\nfirst_day = 2025-01-11\n')
    loaded.ask("a", "2025-01-10")
    loaded.run("a")
    assert loaded.cascades("b") == []


def test_without_cascade_nobody_follows_and_the_tables_that_read_it_are_stale(loaded: Chain) -> None:
    before = loaded.files()
    loaded.ask("a", "2025-01-10", cascade=False)
    assert loaded.run("a").announce == ()
    assert changed(before, loaded.files()) == ["a 2025-01-10"]

    late = loaded.ask("b", "2025-01-01", "2025-01-31", only="stale")
    loaded.work_off("b")
    assert loaded.find_record(late.id)[1].published.texts() == ["2025-01-10"]


def test_of_two_requests_for_one_day_one_that_cascades_is_enough(loaded: Chain) -> None:
    quiet, loud = loaded.ask("a", "2025-01-10", cascade=False), loaded.ask("a", "2025-01-10")
    loaded.run("a")
    [followed] = loaded.cascades("b")
    assert followed.cause is not None
    assert followed.cause.requests == tuple(sorted([quiet.id, loud.id]))


def test_a_broken_table_does_not_hold_up_the_others(loaded: Chain) -> None:
    (loaded.settings.tables / "b" / "query.sql").write_text("selec")
    asked = loaded.ask("a", "2025-01-10")
    loaded.run("a")
    assert loaded.find_record(asked.id)[0] == "done"
    assert len(loaded.cascades("c")) == 1


# who knows of whom


def test_a_request_names_those_that_follow_from_it_and_they_name_it(loaded: Chain) -> None:
    asked = loaded.ask("a", "2025-01-10")
    loaded.work_off("a")
    [b], [c] = loaded.cascades("b"), loaded.cascades("c")
    assert set(loaded.find_record(asked.id)[1].children) == {b.id, c.id}
    assert b.cause is not None
    assert (b.cause.table, b.cause.days.texts(), b.cause.requests) == ("a", ["2025-01-10"], (asked.id,))
    assert b.reason == "a changed"
    assert {*b.children, *c.children} == {one.id for one in loaded.cascades("d")}


def test_only_the_requests_that_wanted_a_changed_day_are_its_parents(loaded: Chain) -> None:
    cause, other = loaded.ask("a", "2025-01-10"), loaded.ask("a", "2025-01-11")
    loaded.run("a")
    assert len(loaded.find_record(cause.id)[1].children) == 2
    assert loaded.find_record(other.id)[1].children == ()


# a crash


class Crash(BaseException):
    """Nothing catches it, like a kill."""


def crash(*_: object, **__: object) -> None:
    raise Crash


def follow_a(chain: Chain) -> list[Record]:
    return follow(chain.settings, Catalog.load(chain.settings.tables), "a", now=NOW)


def test_a_crash_anywhere_while_asking_loses_nothing_and_asks_each_table_once(loaded: Chain) -> None:
    request = loaded.ask("a", "2025-01-10")
    batches = loaded.plan("a")
    outcomes = loaded.rewrite("a", batches)
    for steps in count():
        home = Path(tempfile.mkdtemp(dir=SCRATCH))
        copy = loaded.copied(home / "home")
        try:
            with killed_after(steps, home):
                follow_a(copy)
        except Killed:
            copy.settle("a", batches, outcomes)
            [b], [c] = copy.cascades("b"), copy.cascades("c")
            assert set(copy.find_record(request.id)[1].children) == {b.id, c.id}, steps
            assert follow_a(copy) == []
        else:
            assert steps > 10
            return
        finally:
            shutil.rmtree(home)


def test_a_crash_between_publishing_and_settling_loses_no_wave(loaded: Chain) -> None:
    before = loaded.files()
    loaded.ask("a", "2025-01-10")
    loaded.rewrite("a", loaded.plan("a"))
    # The next run finds the day as it should be, and has nothing to publish.
    assert loaded.run("a").published == Days()
    loaded.work_off("b", "c")
    assert changed(before, loaded.files()) == AFFECTED


def test_a_crash_before_anything_is_published_asks_nobody(loaded: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    before = loaded.files()
    request = loaded.ask("a", "2025-01-10")
    with monkeypatch.context() as patch:
        patch.setattr("reloads.warehouse.commit_log.CommitLog.create", crash)
        with pytest.raises(Crash):
            loaded.rewrite("a", loaded.plan("a"))
    loaded.queue.cancel(request.id, now=NOW)
    loaded.work_off("a", "b", "c")
    assert changed(before, loaded.files()) == []
    assert [loaded.cascades(table) for table in "bcd"] == [[], [], []]


def test_following_twice_asks_once(loaded: Chain) -> None:
    loaded.ask("a", "2025-01-10")
    loaded.rewrite("a", loaded.plan("a"))
    assert {record.table for record in follow_a(loaded)} == {"b", "c"}
    assert follow_a(loaded) == []


@pytest.mark.parametrize("who", ["the table itself", "another table of its input", "the next change"])
def test_a_table_that_was_broken_follows_once_it_is_mended_whoever_comes_next(loaded: Chain, who: str) -> None:
    loaded.define("b", "selec")
    loaded.ask("a", "2025-01-10")
    loaded.run("a")
    loaded.define("b", "select day, 2 * amount as twice from a")
    if who == "the next change":
        loaded.deliver("2025-01-20", 2000)
        loaded.ask("a", "2025-01-20")
        loaded.run("a")
    else:
        loaded.plan("b" if who == "the table itself" else "c")
    asked = sorted(record.days.texts() for record in loaded.cascades("b"))
    assert asked == [["2025-01-10"], *([["2025-01-20"]] if who == "the next change" else [])]


# keys

BY_HALF = "select day, unnest([1, 2]) as half, amount from raw"


def test_a_change_of_one_partition_asks_for_its_day_and_no_other_partition_changes(loaded: Chain) -> None:
    loaded.define(
        "halves", "select day, unnest([1, 2]) as half, amount // 100 * half as hundreds from a", 'keys = ["half"]'
    )
    loaded.define("firsts", "select day, sum(hundreds) as hundreds from halves where half = 1 group by day")
    loaded.define("both", "select day, half, hundreds from halves", 'keys = ["half"]')
    for table in ("halves", "firsts", "both"):
        loaded.ask(table, "2025-01-09", "2025-01-11", cascade=False)
    loaded.work_off("halves", "firsts", "both")
    before = published(loaded, "both")
    loaded.define(
        "halves",
        "select day, unnest([1, 2]) as half, if(half = 2, 7, amount // 100) as hundreds from a",
        'keys = ["half"]',
    )
    loaded.ask("halves", "2025-01-10", keys={"half": ["2"]})
    loaded.work_off("halves")
    [firsts], [both] = loaded.cascades("firsts"), loaded.cascades("both")
    assert (firsts.days.texts(), firsts.unchanged.texts()) == (["2025-01-10"], ["2025-01-10"])
    assert (both.days.texts(), both.published.texts()) == (["2025-01-10"], ["2025-01-10"])
    after = published(loaded, "both")
    assert [name for name in before if after[name] != before[name]] == ["day=2025-01-10/half=2"]


def test_a_key_value_that_goes_is_gone_in_the_tables_that_read_it(loaded: Chain) -> None:
    loaded.define("large", "select day, amount // 100 as hundreds, amount from raw", 'keys = ["hundreds"]')
    loaded.define("large_too", "select * from large", 'keys = ["hundreds"]')
    for table in ("large", "large_too"):
        loaded.ask(table, "2025-01-10", cascade=False)
    loaded.work_off("large", "large_too")
    loaded.deliver("2025-01-10", 250)
    loaded.ask("large", "2025-01-10")
    loaded.work_off("large")
    assert list(published(loaded, "large_too")) == ["day=2025-01-10/hundreds=2"]


def test_without_cascade_of_some_keys_only_the_changes_of_others_are_followed(loaded: Chain) -> None:
    loaded.define("halves", BY_HALF, 'keys = ["half"]')
    loaded.define("sums", "select day, sum(amount) as amount from halves group by day")
    for table in ("halves", "sums"):
        loaded.ask(table, "2025-01-10", "2025-01-11", cascade=False)
    loaded.work_off("halves", "sums")
    loaded.deliver("2025-01-10", 30)
    loaded.deliver("2025-01-11", 31)
    loaded.ask("halves", "2025-01-10", keys={"half": ["1"]}, cascade=False)
    loaded.ask("halves", "2025-01-11", keys={"half": ["2"]})
    loaded.run("halves")
    [record] = loaded.cascades("sums")
    assert record.days.texts() == ["2025-01-11"]


def test_a_request_whose_table_or_input_is_broken_is_not_announced_and_stays_neglected_until_it_is_mended(
    loaded: Chain,
) -> None:
    record = loaded.ask("b", "2025-01-02", only="all", cascade=False)
    neglect(loaded.queue, [record])
    loaded.define("b", "selec")
    loaded.ask("a", "2025-01-03", cascade=False)
    assert [one.table for one in loaded.run("a").announce] == []

    def announced() -> list[Announcement]:
        catalog = Catalog.load(loaded.settings.tables)
        return list(
            collect_requests(loaded.settings, catalog, clock=lambda: later, leave_out=leave_out_waiting).announce
        )

    later = datetime.now(UTC)
    assert announced() == []
    loaded.define("b", "select day, 2 * amount as twice from a")
    [one] = announced()
    assert one.request == record.id


def test_cursors_that_are_lost_while_a_batch_waits_lose_no_wave(chain: Chain) -> None:
    chain.load()
    chain.deliver("2025-01-10", 1000)
    chain.ask("a", "2025-01-10")
    batches = chain.plan("a")
    shutil.rmtree(chain.settings.warehouse / ".cursors")
    chain.rewrite("a", batches)
    # Whoever was to settle it was killed; the next run of anybody asks.
    chain.plan("b")
    assert [record.days.texts() for record in chain.cascades("b")] == [["2025-01-10"]]
