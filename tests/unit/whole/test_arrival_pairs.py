"""Raw files that ask for themselves, each beside one other thing that people, clocks and senders do to the same day."""

# ruff: noqa: FBT001 - a test takes its parameters by name

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any, cast
from unittest.mock import patch

import pytest

from reloads.days import Days
from reloads.planning.staleness import TableState
from reloads.requests.control import cancel_request
from reloads.rewriting import opening, rewrite
from reloads.rewriting.stage import Stage
from reloads.tables.catalog import Catalog
from reloads.tables.raw_files import RawFiles
from reloads.warehouse.commit_log import CommitLog
from tests.unit.whole.file_home import SOURCES_TOML, TODAY, FileHome
from tests.unit.whole.small_home import killed_everywhere

DAY, NEXT = "2024-02-01", "2024-02-02"
QUERY = "select day, k, v from raw_sales"
ARRIVES = "on_arrival = true"


@pytest.fixture
def home(tmp_path: Path) -> FileHome:
    home = FileHome(tmp_path)
    home.define("sales", QUERY, ARRIVES)
    home.sell(DAY, ("a", 1))
    return home


def why(home: FileHome, table: str, day: str) -> str | None:
    """Why the day is stale."""
    catalog, days = Catalog.load(home.settings.tables), Days.parse([day])
    raw = RawFiles.look(home.settings)
    inputs = catalog.all_inputs(catalog[table])
    state = TableState.at(catalog[table], days, warehouse=home.settings.warehouse, inputs=inputs, raw=raw)
    return state.why(date.fromisoformat(day))


def test_a_file_that_arrives_is_loaded_and_asks_no_more(home: FileHome) -> None:
    home.look_and_work()
    assert home.rows("sales", "v") == [(1,)]
    assert not home.look()
    assert len(home.arrivals()) == 1


def test_a_file_that_comes_before_its_day_is_loaded_once_the_day_has_come(home: FileHome) -> None:
    home.look_and_work()
    tomorrow = TODAY + timedelta(days=1)
    home.sell(tomorrow, ("a", 5))
    assert not home.look()
    home.pass_time(days=1)
    home.look_and_work()
    assert [each.published.texts() for each in home.arrivals()][1:] == [[str(tomorrow)]]


# undo


def _load_by_arrival(home: FileHome) -> str:
    home.look_and_work()
    [record] = home.arrivals()
    return record.id


def _load_by_request(home: FileHome) -> str:
    request = home.ask("sales", DAY)
    home.work("sales")
    return request


def _load_by_command(home: FileHome) -> str:
    [record] = home.run("sales", DAY)
    return record.id


@pytest.mark.parametrize("load", [_load_by_arrival, _load_by_request, _load_by_command])
def test_a_load_that_was_undone_is_not_loaded_again_until_its_file_changes(
    home: FileHome, load: Callable[[FileHome], str]
) -> None:
    home.undo(load(home))
    home.look_and_work()
    assert home.rows("sales", "v") == []
    home.sell(DAY, ("a", 2))
    home.look_and_work()
    assert home.rows("sales", "v") == [(2,)]


@pytest.mark.parametrize("load", [_load_by_request, _load_by_command])
def test_a_correction_that_was_undone_is_not_loaded_again_until_its_file_changes(
    home: FileHome, load: Callable[[FileHome], str]
) -> None:
    home.look_and_work()
    home.sell(DAY, ("a", 2))
    home.undo(load(home))
    home.look_and_work()
    assert home.rows("sales", "v") == [(1,)]
    home.sell(DAY, ("a", 3))
    home.look_and_work()
    assert home.rows("sales", "v") == [(3,)]


def test_a_file_that_came_between_a_load_and_its_undo_asks(home: FileHome) -> None:
    [record] = home.run("sales", DAY)
    home.sell(DAY, ("a", 2))
    home.undo(record.id)
    home.look_and_work()
    assert home.rows("sales", "v") == [(2,)]


@pytest.mark.parametrize("is_away", [False, True])
def test_a_file_that_was_refused_does_not_ask_again_when_an_earlier_load_is_undone(
    home: FileHome, is_away: bool
) -> None:
    check = "create view small as select day, max(v) as found from new where v > 9 group by day"
    home.define("sales", QUERY, ARRIVES, check)
    for value in (1, 2, 99):
        home.sell(DAY, ("a", value))
        home.look_and_work()
    if is_away:
        (home.settings.source / "sales").rename(home.home / "elsewhere")
    home.undo(home.arrivals()[1].id)
    if is_away:
        (home.home / "elsewhere").rename(home.settings.source / "sales")
    assert home.rows("sales", "v") == [(1,)]
    assert not home.look()


# parameters and keys


def test_a_day_keeps_its_parameters_when_its_file_is_corrected(home: FileHome) -> None:
    parameter = "[parameters.factor]\ntype = 'integer'\ndefault = 1"
    home.define("sales", "select day, k, v * getvariable('factor') as v from raw_sales", f"{ARRIVES}\n{parameter}")
    home.sell(NEXT, ("a", 1))
    home.look_and_work()
    home.load("sales", DAY, parameters={"factor": 10})
    home.sell(DAY, ("a", 2))
    home.sell(NEXT, ("a", 2))
    home.look_and_work()
    assert home.rows("sales", "day::varchar, v") == [(DAY, 20), (NEXT, 2)]


def test_keys_that_were_asked_for_alone_do_not_keep_a_file_from_asking_for_all(home: FileHome) -> None:
    home.define("sales", QUERY, f'{ARRIVES}\nkeys = ["k"]')
    home.sell(DAY, ("a", 1), ("b", 1))
    home.look_and_work()
    home.sell(DAY, ("a", 2), ("b", 2))
    home.ask("sales", DAY, keys={"k": ["a"]})
    assert home.look()
    home.look_and_work()
    assert home.rows("sales", "k, v") == [("a", 2), ("b", 2)]


def test_keys_that_were_corrected_alone_leave_the_others_to_the_file(home: FileHome) -> None:
    home.define("sales", QUERY, f'{ARRIVES}\nkeys = ["k"]')
    home.sell(DAY, ("a", 1), ("b", 1))
    home.look_and_work()
    home.sell(DAY, ("a", 2), ("b", 2))
    home.run("sales", DAY, keys={"k": ["a"]})
    home.look_and_work()
    assert home.rows("sales", "k, v") == [("a", 2), ("b", 2)]
    home.sell(DAY, ("a", 3))
    home.look_and_work()
    assert home.rows("sales", "k, v") == [("a", 3)]


def test_keys_that_were_corrected_alone_follow_a_file_that_is_put_back(tmp_path: Path) -> None:
    home = FileHome(tmp_path, toml=f'{SOURCES_TOML}compare = "content"\n')
    home.define("sales", QUERY, f'{ARRIVES}\nkeys = ["k"]')
    home.sell(DAY, ("a", 1), ("b", 1))
    home.look_and_work()
    home.sell(DAY, ("a", 2), ("b", 1))
    home.look_and_work()
    home.sell(DAY, ("a", 3), ("b", 1))
    home.run("sales", DAY, keys={"k": ["a"]})
    home.sell(DAY, ("a", 2), ("b", 1))
    home.look_and_work()
    assert home.rows("sales", "k, v") == [("a", 2), ("b", 1)]


def test_a_file_that_a_command_loaded_and_that_is_put_back_then_is_loaded_again(tmp_path: Path) -> None:
    home = FileHome(tmp_path, toml=f'{SOURCES_TOML}compare = "content"\n')
    home.define("sales", QUERY, ARRIVES)
    for value, load in ((1, home.look_and_work), (2, partial(home.run, "sales", DAY)), (1, home.look_and_work)):
        home.sell(DAY, ("a", value))
        load()
        assert home.rows("sales", "v") == [(value,)]


# checks


def test_a_day_that_a_check_refused_is_asked_for_once_and_again_when_its_file_changes(home: FileHome) -> None:
    check = "create view small as select day, max(v) as found from new where v > 9 group by day"
    home.define("sales", QUERY, ARRIVES, check)
    home.sell(DAY, ("a", 99))
    for _ in range(3):
        home.look_and_work()
    assert len(home.arrivals()) == 1
    assert home.rows("sales") == []
    home.sell(DAY, ("a", 98))
    home.look_and_work()
    assert [len(record.failed_days) for record in home.arrivals()] == [1, 1]
    home.sell(DAY, ("a", 5))
    home.look_and_work()
    assert home.rows("sales", "v") == [(5,)]


# requests that wait


def test_a_request_waits_for_its_file_and_is_done_once_it_came(home: FileHome) -> None:
    home.define("sales", QUERY)
    request = home.ask("sales", DAY, NEXT)
    home.work("sales")
    assert home.rows("sales", "day::varchar") == [(DAY,)]
    [reason] = home.records()[request].waiting
    assert (reason.days.texts(), f"sales/{NEXT}.csv" in reason.why) == ([NEXT], True)
    assert not home.look()
    home.sell(NEXT, ("a", 2))
    assert home.look()
    home.look_and_work()
    record = home.records()[request]
    assert (record.published.texts(), record.waiting, bool(record.finished_at)) == ([f"{DAY}..{NEXT}"], (), True)


def test_a_request_that_was_cancelled_while_it_waited_stays_cancelled(home: FileHome) -> None:
    home.define("sales", QUERY)
    request = home.ask("sales", NEXT)
    home.work("sales")
    cancel_request(home.queue, request, now=home.now())
    home.sell(NEXT, ("a", 2))
    assert not home.look()
    home.work("sales")
    record = home.records()[request]
    assert (record.cancelled.texts(), record.waiting, home.rows("sales")) == ([NEXT], (), [])


def test_a_request_that_was_cancelled_while_it_waited_waits_again_when_it_is_retried(home: FileHome) -> None:
    home.define("sales", QUERY)
    request = home.ask("sales", NEXT)
    home.work("sales")
    cancel_request(home.queue, request, now=home.now())
    home.retry(request)
    home.work("sales")
    [waiting] = [record for record in home.records().values() if record.waiting]
    assert waiting.outstanding.texts() == [NEXT]
    home.sell(NEXT, ("a", 2))
    home.look_and_work()
    assert home.rows("sales", "v") == [(2,)]


def test_a_request_gives_up_after_its_time_and_waits_as_long_again_when_it_is_retried(home: FileHome) -> None:
    home.define("sales", QUERY, 'give_up_after = "12 hours"')
    home.pass_time(hours=30)
    request = home.ask("sales", NEXT)
    home.pass_time(hours=11)
    home.work("sales")
    assert home.records()[request].outstanding
    home.pass_time(hours=1)
    home.work("sales")
    [failure] = home.records()[request].failed
    assert f"no raw files within 12 hours: sales/{NEXT}.csv is not there" in failure.error
    home.retry(request)
    home.pass_time(hours=11)
    home.work("sales")
    [waiting] = [record for record in home.records().values() if record.outstanding]
    home.sell(NEXT, ("a", 2))
    home.look_and_work()
    assert home.records()[waiting.id].published.texts() == [NEXT]


def test_a_day_that_has_not_ended_is_waited_for_from_its_end(home: FileHome) -> None:
    home.define("sales", QUERY, 'give_up_after = "12 hours"')
    request = home.ask("sales", str(TODAY))
    home.work("sales")
    home.pass_time(hours=23)
    home.work("sales")
    assert home.records()[request].outstanding
    home.pass_time(hours=2)
    home.work("sales")
    assert home.records()[request].failed


def test_a_file_that_came_at_last_is_loaded_though_its_time_is_over(home: FileHome) -> None:
    home.define("sales", QUERY, 'give_up_after = "12 hours"')
    request = home.ask("sales", NEXT)
    home.work("sales")
    home.pass_time(hours=99)
    home.sell(NEXT, ("a", 2))
    home.work("sales")
    assert home.records()[request].published.texts() == [NEXT]


# the clock


def test_the_clock_a_person_and_a_file_that_ask_for_a_day_have_it_rewritten_once(home: FileHome) -> None:
    yesterday = str(TODAY - timedelta(days=1))
    home.define("sales", QUERY, f"{ARRIVES}\ndaily = true")
    home.strike()
    home.work("sales")
    home.sell(yesterday, ("a", 1))
    home.look()
    home.ask("sales", yesterday)
    home.look_and_work()
    assert home.commits_by_day("sales")[yesterday] == 1
    assert not home.queue.records("accepted")


def test_the_clock_does_not_load_again_what_its_file_asked_for(home: FileHome) -> None:
    yesterday = str(TODAY - timedelta(days=1))
    home.define("sales", QUERY, f"{ARRIVES}\ndaily = true")
    home.sell(yesterday, ("a", 1))
    home.look_and_work()
    home.strike()
    home.look_and_work()
    assert home.commits_by_day("sales")[yesterday] == 1


def test_a_correction_of_an_older_day_is_left_and_the_day_is_stale(home: FileHome) -> None:
    home.define("sales", QUERY, f"{ARRIVES}\narrival_days = 2")
    old = "2024-01-02"
    home.sell(old, ("a", 1))
    assert {str(day) for record in home.arrivals() for day in record.days} <= {DAY, NEXT}
    home.load("sales", old)
    home.sell(old, ("a", 2))
    home.look_and_work()
    assert home.rows("sales", "v") == [(1,)]
    assert why(home, "sales", old) == f"sales/{old}.csv changed"
    home.load("sales", old, only="stale")
    assert home.rows("sales", "v") == [(2,)]


def test_what_somebody_loaded_before_it_is_the_turn_of_its_file_is_not_loaded_again(home: FileHome) -> None:
    assert home.look()
    home.run("sales", DAY)
    home.look_and_work()
    [record] = home.arrivals()
    assert (record.skipped_days.texts(), home.commits_by_day("sales")[DAY]) == ([DAY], 1)


# changes while a batch reads


def test_a_file_that_changes_while_it_is_read_is_read_again_and_never_published_in_parts(home: FileHome) -> None:
    home.define("sales", QUERY, f'{ARRIVES}\nkeys = ["k"]\nkey_slices = 8')
    keys = [chr(ord("a") + number) for number in range(12)]
    home.sell(DAY, *((key, 1) for key in keys))
    copy, queries = Stage._copy, count(1)

    def change_and_copy(*arguments: Any) -> Any:
        if next(queries) == 5:
            home.sell(DAY, *((key, 2) for key in keys))
        return copy(*arguments)

    with patch.object(Stage, "_copy", change_and_copy):
        home.look_and_work()
    assert home.rows("sales", "k, v") == [(key, 2) for key in keys]
    assert len(list(CommitLog(home.settings.warehouse, "sales").numbers())) == 1


@pytest.mark.parametrize(
    ("module", "step"), [(opening, "link_inputs"), (rewrite, "validate_rows"), (rewrite, "compare")]
)
def test_a_file_that_changes_at_any_time_while_a_batch_is_at_work_is_loaded_in_the_end(
    home: FileHome, module: ModuleType, step: str
) -> None:
    original, changes = getattr(module, step), [2]

    def change_and_go_on(*arguments: Any, **options: Any) -> Any:
        while changes:
            home.sell(DAY, ("a", changes.pop()))
        return original(*arguments, **options)

    with patch.object(module, step, change_and_go_on):
        home.look_and_work()
    assert home.rows("sales", "v") == [(2,)]
    assert not home.look()


# removal


@pytest.mark.parametrize("is_mount_point", [False, True])
def test_a_folder_that_is_away_makes_no_day_stale(home: FileHome, is_mount_point: bool) -> None:
    home.look_and_work()
    (home.settings.source / "sales").rename(home.home / "elsewhere")
    if is_mount_point:
        (home.settings.source / "sales").mkdir()
    assert why(home, "sales", DAY) is None
    assert not home.look()
    if is_mount_point:
        (home.settings.source / "sales").rmdir()
    (home.home / "elsewhere").rename(home.settings.source / "sales")
    assert not home.look()


def test_a_file_that_is_removed_leaves_its_partition_as_it_is(home: FileHome) -> None:
    home.look_and_work()
    before = home.files("sales")
    (home.settings.source / f"sales/{DAY}.csv").unlink()
    home.sell(NEXT, ("a", 2))
    home.look_and_work()
    assert before.items() <= home.files("sales").items()
    assert len(home.arrivals()) == 2


def test_a_correction_waits_for_a_folder_that_goes_away_before_it_is_loaded(home: FileHome) -> None:
    home.look_and_work()
    home.sell(DAY, ("a", 2))
    assert home.look()
    (home.settings.source / "sales").rename(home.home / "elsewhere")
    home.look_and_work()
    assert home.rows("sales", "v") == [(1,)]
    (home.home / "elsewhere").rename(home.settings.source / "sales")
    home.look_and_work()
    assert home.rows("sales", "v") == [(2,)]


def test_a_file_that_need_not_be_there_asks_when_it_comes_and_when_it_goes(tmp_path: Path) -> None:
    home = FileHome(tmp_path, toml=f"{SOURCES_TOML}optional = true\n")
    home.define("sales", QUERY, f'{ARRIVES}\non_empty = "publish"')
    home.sell(DAY, ("a", 1))
    home.sell(NEXT, ("a", 2))
    home.look_and_work()
    assert home.rows("sales", "day::varchar, v") == [(DAY, 1), (NEXT, 2)]
    (home.settings.source / f"sales/{DAY}.csv").unlink()
    home.look_and_work()
    assert home.rows("sales", "day::varchar, v") == [(NEXT, 2)]
    assert sorted(record.days.texts() for record in home.arrivals()) == [[DAY], [f"{DAY}..{NEXT}"]]
    assert not home.look()


# other tables


def test_a_table_that_cannot_be_loaded_is_not_announced_though_its_requests_wait_for_files(home: FileHome) -> None:
    home.define("sales", QUERY)
    home.ask("sales", NEXT)
    home.work("sales")
    home.define("sales", "selec oops")
    home.sell(NEXT, ("a", 2))
    assert not home.look()
    home.define("sales", QUERY)
    assert home.look()
    home.look_and_work()
    assert home.rows("sales", "v") == [(2,)]


def test_a_cascade_does_not_wait_for_a_day_of_its_input_whose_file_is_missing(home: FileHome) -> None:
    home.define("totals", "select day, sum(v)::bigint as v from sales group by day", '[reads]\nsales = "2 days"')
    home.look_and_work()
    home.ask("sales", NEXT)
    home.work("sales")
    home.sell(DAY, ("a", 2))
    home.look_and_work()
    assert home.rows("totals", "day::varchar, v") == [(DAY, 2)]
    assert [record.table for record in home.queue.records("accepted")] == ["sales"]


def test_a_daily_load_waits_for_a_day_of_its_input_whose_file_is_missing(home: FileHome) -> None:
    yesterday = str(TODAY - timedelta(days=1))
    home.define("sales", QUERY, "daily = true")
    home.define("totals", "select day, sum(v)::bigint as v from sales group by day", "daily = true")
    home.strike()
    home.look_and_work()
    assert sorted(record.table for record in home.queue.records("accepted")) == ["sales", "totals"]
    home.sell(yesterday, ("a", 3))
    home.look_and_work()
    assert home.rows("totals", "day::varchar, v") == [(yesterday, 3)]
    assert home.commits_by_day("totals")[yesterday] == 1
    assert not home.queue.records("accepted")


def test_two_tables_that_read_the_same_files_both_follow_them(home: FileHome) -> None:
    home.define("large", "select day, k, 10 * v as v from raw_sales", f'{ARRIVES}\nkeys = ["k"]')
    for value in (1, 2):
        home.sell(DAY, ("a", value))
        assert {each.table for each in home.look()} == {"sales", "large"}
        home.look_and_work()
        assert (home.rows("sales", "v"), home.rows("large", "v")) == ([(value,)], [(10 * value,)])
    assert not home.look()


# many days in a file, and many files


MONTHS_TOML = SOURCES_TOML.replace("{day}", "{month}")


def test_of_a_file_of_a_month_only_the_day_that_changed_is_published(tmp_path: Path) -> None:
    home = FileHome(tmp_path, toml=MONTHS_TOML)
    home.define("sales", QUERY, ARRIVES)
    days = Days.between(date(2024, 1, 4), date(2024, 1, 31))
    home.write("sales/2024-01.csv", *(f"{day},a,1" for day in Days.between(date(2024, 1, 1), date(2024, 1, 31))))
    home.look_and_work()
    before = home.files("sales")
    assert len(before) == len(days)
    changed = "2024-01-15"
    home.write("sales/2024-01.csv", *(f"{day},a,{1 + (str(day) == changed)}" for day in days))
    home.look_and_work()
    after = home.files("sales")
    assert {name for name in after if after[name] != before[name]} == {f"day={changed}/data.parquet"}
    [_, record] = home.arrivals()
    assert (record.published.texts(), record.unchanged) == ([changed], days - record.published)
    assert not home.look()


def test_thousands_of_files_at_once_are_one_request_and_the_newest_are_loaded_first(tmp_path: Path) -> None:
    home = FileHome(tmp_path)
    for name in ("sales", "large"):
        home.define(name, QUERY, f"{ARRIVES}\narrival_days = 4000\npartitions_per_run = 100")
        toml = home.settings.tables / name / "table.toml"
        toml.write_text(toml.read_text().replace("2024-01-01", "2014-01-01"))
    first = TODAY - timedelta(days=3649)
    (home.settings.source / "sales").mkdir()
    for day in Days.between(first, TODAY):
        (home.settings.source / f"sales/{day}.csv").write_text(f"day,k,v\n{day},a,1\n")
    home.sell(TODAY, ("a", 1))
    home.look()
    assert {record.table: len(record.days) for record in home.arrivals()} == {"sales": 3650, "large": 3650}
    planned = Days.union(Days.parse(batch["days"]) for batch in home.plan("sales"))
    assert planned == Days.between(TODAY - timedelta(days=99), TODAY)


# a kill, a cancel and another file


def test_a_day_that_was_cancelled_is_asked_for_once_wherever_the_look_was_killed_and_whatever_came_since(
    tmp_path: Path,
) -> None:
    def build(folder: Path) -> FileHome:
        home = FileHome(folder)
        home.define("sales", QUERY, ARRIVES)
        for day in (DAY, NEXT):
            home.sell(day, ("a", 1))
        return home

    cancelled: list[bool] = []
    for each in killed_everywhere(tmp_path, build, lambda home: cast("FileHome", home).look()):
        home = cast("FileHome", each)
        asked = home.queue.records("accepted")
        for record in asked:
            cancel_request(home.queue, record.id, now=home.now())
        home.sell(NEXT, ("a", 2))
        home.look_and_work()
        home.look_and_work()
        assert [date.fromisoformat(DAY) in record.days for record in home.arrivals()].count(True) == 1
        assert home.rows("sales", "day, v") == [
            (date.fromisoformat(day), value) for day, value in ((DAY, 1), (NEXT, 2)) if day == NEXT or not asked
        ]
        cancelled.append(bool(asked))
    assert set(cancelled) == {False, True}
