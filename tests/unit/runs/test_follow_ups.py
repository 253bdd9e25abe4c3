"""A change is carried on: exactly the days that depend on it, level by level, once, and whatever crashes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from reloads.days import Days
from reloads.requests.intake import collect_requests
from reloads.requests.neglect import neglect
from reloads.requests.queue import Queue
from reloads.requests.record import Record
from reloads.runs.follow_ups import cascade_changes
from reloads.tables.catalog import Catalog
from reloads.warehouse.change_notices import read_notices
from tests.support.chain import NOW, Chain, changed

ITS_WEEK = [f"2025-01-{day}" for day in range(10, 17)]
AFFECTED = ["a 2025-01-10", "b 2025-01-10", *(f"{table} {day}" for table in "cd" for day in ITS_WEEK)]


@pytest.fixture
def loaded(chain: Chain) -> Chain:
    """All of January in all four tables, and the tenth corrected at the source since."""
    chain.load()
    chain.deliver("2025-01-10", 1000)
    return chain


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


def test_a_change_that_makes_no_difference_to_a_reader_goes_no_further(chain: Chain) -> None:
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


def test_without_cascade_nobody_follows_and_the_readers_are_stale(loaded: Chain) -> None:
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


def test_a_broken_reader_does_not_hold_up_the_others(loaded: Chain) -> None:
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


def before_the_requests(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Queue, "add", crash)


def between_two_requests(patch: pytest.MonkeyPatch) -> None:
    add, added = Queue.add, list[Record]()

    def crash_at_the_second(queue: Queue, record: Record) -> bool:
        if added:
            raise Crash
        added.append(record)
        return add(queue, record)

    patch.setattr(Queue, "add", crash_at_the_second)


def before_the_parents_are_told(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Queue, "note_children", crash)


def before_the_notices_are_removed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("pathlib.Path.unlink", crash)


@pytest.mark.parametrize(
    "where",
    [before_the_requests, between_two_requests, before_the_parents_are_told, before_the_notices_are_removed],
    ids=lambda where: where.__name__,
)
def test_a_crash_while_carrying_on_loses_nothing_and_asks_each_reader_once(
    loaded: Chain, where: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = loaded.ask("a", "2025-01-10")
    batches = loaded.plan("a")
    outcomes = loaded.rewrite("a", batches)
    with monkeypatch.context() as patch:
        where(patch)
        with pytest.raises(Crash):
            cascade_changes(loaded.settings, Catalog.load(loaded.settings.tables), "a", now=NOW)
    loaded.settle("a", batches, outcomes)
    [b], [c] = loaded.cascades("b"), loaded.cascades("c")
    assert set(loaded.find_record(asked.id)[1].children) == {b.id, c.id}
    assert read_notices(loaded.settings.warehouse, "a") == []


def test_a_crash_between_publishing_and_settling_loses_no_wave(loaded: Chain) -> None:
    before = loaded.files()
    loaded.ask("a", "2025-01-10")
    loaded.rewrite("a", loaded.plan("a"))
    # The next run finds the day as it should be, and has nothing to publish.
    assert loaded.run("a").published == Days()
    loaded.work_off("b", "c")
    assert changed(before, loaded.files()) == AFFECTED


def test_a_crash_before_anything_is_published_rewrites_nobody(loaded: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    before = loaded.files()
    asked = loaded.ask("a", "2025-01-10")
    with monkeypatch.context() as patch:
        patch.setattr("os.link", crash)
        with pytest.raises(Crash):
            loaded.rewrite("a", loaded.plan("a"))
    assert len(read_notices(loaded.settings.warehouse, "a")) == 1
    loaded.queue.cancel(asked.id, now=NOW)
    loaded.work_off("a", "b", "c")
    assert changed(before, loaded.files()) == []
    assert [one.why for table in "bc" for one in loaded.cascades(table)[0].skipped] == ["it is up to date"] * 2


def test_carrying_on_twice_asks_once(loaded: Chain) -> None:
    loaded.ask("a", "2025-01-10")
    loaded.rewrite("a", loaded.plan("a"))
    assert {
        one.table for one in cascade_changes(loaded.settings, Catalog.load(loaded.settings.tables), "a", now=NOW)
    } == {"b", "c"}
    assert (
        cascade_changes(loaded.settings, Catalog.load(loaded.settings.tables), "a", now=NOW + timedelta(hours=1)) == []
    )


def test_a_request_whose_table_or_input_is_broken_is_not_announced_and_stays_neglected_until_it_is_mended(
    loaded: Chain,
) -> None:
    record = loaded.ask("b", "2025-01-02", only="all", cascade=False)
    neglect(loaded.queue, [record])
    loaded.define("b", "selec")
    loaded.ask("a", "2025-01-03", cascade=False)
    assert [one.table for one in loaded.run("a").announce] == []
    later = datetime.now(UTC)
    assert collect_requests(loaded.settings, Catalog.load(loaded.settings.tables), clock=lambda: later).announce == ()
    loaded.define("b", "select day, 2 * amount as twice from a")
    [one] = collect_requests(loaded.settings, Catalog.load(loaded.settings.tables), clock=lambda: later).announce
    assert one.request == record.id
