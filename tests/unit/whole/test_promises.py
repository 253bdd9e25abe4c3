"""One promise at a time, where it is easily broken: ordinary acts in an unlucky order, and kills between two steps."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from reloads.days import Days
from reloads.errors import ReloadsError
from reloads.requests.intake import request_daily
from reloads.tables.catalog import Catalog
from tests.unit.whole.small_home import DAY, RAW, SmallHome, killed_everywhere, paused_after

NEXT = "2024-01-02"
BASE = "select day, k, v from raw"
SUMS = "select day, sum(v)::bigint as total from base group by day"
KEYED = "select day, k, sum(v)::bigint as total from base group by all"
OF_KEYS = 'keys = ["k"]'
SLICED = 'keys = ["k"]\nkey_slices = 2'
TWO_KEYS = 'keys = ["k", "s"]'
MUL = '[parameters.mul]\ntype = "integer"\ndefault = 1'
THREE_DAYS = "create view raw as select (date '2024-01-01' + i::int) as day, 1 as v from range(3) as r(i)"
ROWS_AB = (f"{DAY},a,1", f"{DAY},b,1")


@pytest.fixture
def home(tmp_path: Path) -> SmallHome:
    """A home whose source has days, keys and values."""
    return SmallHome(tmp_path / "home")


def with_sums(folder: Path) -> SmallHome:
    """``base`` holds 1, and ``sums`` reads it."""
    home = SmallHome(folder)
    home.define("base", BASE)
    home.define("sums", SUMS)
    home.deliver(f"{DAY},a,1")
    home.load("base")
    return home


def with_keyed(home: SmallHome, toml: str = OF_KEYS) -> None:
    home.define("base", BASE)
    home.define("keyed", KEYED, toml)


# what counts as a change


def test_a_correction_of_one_cent_is_published(tmp_path: Path) -> None:
    home = SmallHome(tmp_path / "home", RAW.replace("'v': 'int'", "'v': 'decimal(10, 2)'"))
    home.define("balance", "select day, k, sum(v) as amount from raw group by all")
    home.deliver(f"{DAY},a,5.00", f"{DAY},a,-5.00", f"{DAY},b,1.00")
    home.load("balance")
    home.deliver(f"{DAY},a,5.00", f"{DAY},a,-5.01", f"{DAY},b,1.00")
    assert home.load("balance").published
    assert home.rows("balance", "k, amount") == [("a", Decimal("-0.01")), ("b", Decimal("1.00"))]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("0::decimal(19, 0)", "(-1)::decimal(19, 0)"),
        ("1::decimal(38, 0)", "18446744073709551616::decimal(38, 0)"),
        ("'80000000-0000-0001-0000-000000000002'::uuid", "'80000000-0000-0002-0000-000000000001'::uuid"),
        ("'80000000-0000-0001-0000-000000000001'::uuid", "'80000000-0000-0002-0000-000000000002'::uuid"),
        ("unnest([1, 1, 2])", "unnest([1, 2, 2])"),
        ("['-0.0'::double]", "['0.0'::double]"),
        ("[]::int[]", "[null]::int[]"),
        ("[{'a': null::int}]", "[null::struct(a int)]"),
    ],
)
def test_every_difference_that_a_reader_can_see_is_published(home: SmallHome, before: str, after: str) -> None:
    query = f"select date '{DAY}' as day, {{}} as x"
    home.define("t", query.format(before))
    home.load("t")
    home.define("t", query.format(after))
    record = home.load("t")
    assert record.published
    assert not record.unchanged


def test_another_order_of_the_rows_is_published(home: SmallHome) -> None:
    home.deliver(f"{DAY},a,3", f"{DAY},a,1", f"{DAY},a,2")
    home.define("t", BASE)
    home.load("t")
    home.define("t", BASE, 'order_by = ["v"]')
    home.load("t")
    [name] = home.files("t")
    file = home.settings.warehouse / "t" / name
    assert _values_in_order(file) == [1, 2, 3]


def _values_in_order(file: Path) -> list[int]:
    import pyarrow.parquet  # noqa: PLC0415

    values: list[int] = pyarrow.parquet.read_table(file, partitioning=None)["v"].to_pylist()
    return values


# two keys


def two_keys(folder: Path) -> SmallHome:
    home = SmallHome(folder, RAW.replace("'v'", "'s': 'varchar', 'v'"))
    home.define("two", "select day, k, s, v from raw", TWO_KEYS)
    home.deliver(f"{DAY},a,x,1", f"{DAY},a,y,1", f"{DAY},b,x,1", header="day,k,s,v")
    return home


def test_partitions_of_one_value_that_vanish_together_are_published(tmp_path: Path) -> None:
    home = two_keys(tmp_path / "home")
    home.load("two")
    home.deliver(f"{DAY},b,x,1", header="day,k,s,v")
    record = home.load("two")
    assert not record.failed
    assert record.published
    assert [row[0] for row in home.rows("two", "k")] == ["b"]


def test_the_first_load_of_a_table_with_two_keys_is_undone(tmp_path: Path) -> None:
    home = two_keys(tmp_path / "home")
    home.define("readers", "select day, sum(v)::bigint as total from two group by day", 'on_empty = "publish"')
    first = home.load("two")
    assert [record.published for record in home.undo(first.id)] == [first.days]
    home.drain()
    assert home.rows("two") == []
    assert home.rows("readers") == []
    assert not home.failures()


# staleness


def test_a_day_whose_first_load_is_undone_by_force_counts_as_never_loaded(home: SmallHome) -> None:
    with_keyed(home)
    home.deliver(*ROWS_AB)
    home.load("base")
    [first] = [record.id for record in home.records().values() if record.table == "keyed"]
    home.deliver(f"{DAY},a,2", f"{DAY},b,2")
    home.load("base")
    whole = home.rows("keyed")
    home.undo(first, force=True)
    assert home.rows("keyed") == []
    assert home.load("keyed", only="stale").skipped_days == Days.parse([DAY])
    assert home.load("keyed", only="missing").published == Days.parse([DAY])
    assert home.rows("keyed") == whole


def test_a_value_that_was_asked_for_while_its_rows_were_missing_comes_back_with_them(home: SmallHome) -> None:
    with_keyed(home)
    home.deliver(*ROWS_AB)
    home.load("base")
    whole = home.rows("keyed")
    home.deliver(f"{DAY},b,1")
    bad = home.load("base", cascade=False)
    home.load("keyed", keys={"k": ["a"]})
    home.undo(bad.id)
    home.drain()
    assert home.rows("keyed") == whole


@pytest.mark.parametrize("first_by", ["command line", "queue"])
def test_the_undo_of_a_delivery_without_rows_brings_all_values_back(home: SmallHome, first_by: str) -> None:
    with_keyed(home, f'{SLICED}\non_empty = "publish"')
    home.define("base", BASE, 'on_empty = "publish"')
    home.deliver(f"{DAY},a,1")
    if first_by == "queue":
        home.load("base")
    else:
        home.run("base")
    whole = home.rows("keyed")
    home.deliver(f"{NEXT},b,1")
    bad = home.load("base")
    assert home.rows("keyed") == []
    home.undo(bad.id)
    home.drain()
    assert home.rows("keyed") == whole


def test_a_partition_that_was_found_unchanged_and_then_undone_is_stale(home: SmallHome) -> None:
    with_keyed(home, SLICED)
    home.deliver(f"{DAY},a,1")
    home.run("base")
    home.deliver(*ROWS_AB)
    [_, cascade] = home.run("base")
    whole = home.rows("keyed")
    assert home.load("keyed").unchanged
    home.undo(cascade.id)
    home.drain()
    home.load("keyed", only="stale")
    assert home.rows("keyed") == whole


def test_a_partition_whose_file_somebody_removed_is_stale(home: SmallHome) -> None:
    home.define("t", BASE, OF_KEYS)
    home.deliver(*ROWS_AB)
    home.load("t")
    (home.settings.warehouse / "t" / f"day={DAY}" / "k=a" / "data.parquet").unlink()
    assert not home.load("t", only="stale", keys={"k": ["a"]}).skipped
    assert len(home.rows("t")) == 2


@pytest.mark.parametrize(
    "lost",
    [(".state",), (".state", ".log", ".cursors"), (".state", ".log", ".cursors", ".versions")],
    ids=["state", "log", "all"],
)
def test_a_key_keeps_its_type_when_all_bookkeeping_is_lost(tmp_path: Path, lost: tuple[str, ...]) -> None:
    home = with_numbered_keys(tmp_path / "home")
    home.define("best", BEST)
    home.load("keyed")
    whole = home.rows("best")
    for folder in lost:
        shutil.rmtree(home.settings.warehouse / folder)
    home.load("best", only="stale")
    assert home.rows("best") == whole


BEST = "select day, arg_max(total, k) as last_total, max(k)::bigint as last_key from keyed group by day"


def with_numbered_keys(folder: Path) -> SmallHome:
    home = SmallHome(folder, RAW.replace("'k': 'varchar'", "'k': 'int'"))
    home.define("keyed", "select day, k, sum(v)::bigint as total from raw group by all", OF_KEYS)
    home.deliver(f"{DAY},9,9", f"{DAY},10,10")
    return home


# credit and parameters


def test_somebody_elses_request_for_a_key_does_not_end_a_cascade_that_waits(tmp_path: Path) -> None:
    home = SmallHome(tmp_path / "home", f"{of_file('r1')};\n{of_file('r2')}")
    home.define("one", "select day, k, v from r1")
    home.define("two", "select day, k, v from r2")
    both = "(from one union all by name from two)"
    home.define("keyed", f"select day, k, sum(v)::bigint as total from {both} group by all", OF_KEYS)
    for file in ("r1.csv", "r2.csv"):
        deliver_two_days(home, 1, file)
    home.drop({"table": ["one", "two"], "start_date": DAY, "end_date": NEXT})
    home.collect()
    home.drain()
    deliver_two_days(home, 100, "r1.csv")
    home.ask("one", DAY, NEXT)
    home.work("one")
    home.ask("two", NEXT)
    home.ask("keyed", NEXT, keys={"k": ["a"]})
    home.work("keyed")
    home.drain()
    assert {total for (total,) in home.rows("keyed", "total")} == {101}


def of_file(name: str) -> str:
    return RAW.replace("view raw", f"view {name}").replace("raw.csv", f"{name}.csv")


def deliver_two_days(home: SmallHome, value: int, file: str) -> None:
    home.deliver(*(f"{day},{key},{value}" for day in (DAY, NEXT) for key in "ab"), file=file)


def test_a_request_for_a_key_does_not_end_a_daily_request_that_waits(tmp_path: Path) -> None:
    home = SmallHome(tmp_path / "home")
    today = home.settings.day_of(home.now())
    yesterday, before = today - timedelta(days=1), today - timedelta(days=2)
    with_keyed(home, f"{OF_KEYS}\ndaily = true")
    home.deliver(*(f"{day},{key},1" for day in (yesterday, before) for key in "ab"))
    catalog, now = Catalog.load(home.settings.tables), home.now()
    home.load("base", str(before), str(yesterday), cascade=False)
    request_daily(home.settings, catalog, at=now - timedelta(days=1), now=home.now(), origin="clock 1")
    home.drain()
    home.ask("base", str(before), str(yesterday), cascade=False)
    request_daily(home.settings, catalog, at=now, now=home.now(), origin="clock 2")
    home.ask("keyed", str(yesterday), keys={"k": ["a"]})
    home.work("keyed")
    home.work("base")
    home.drain()
    assert len(home.rows("keyed")) == 4


def test_the_retry_of_a_cascade_keeps_the_parameters_of_each_day(home: SmallHome) -> None:
    home.define("base", "select day, k from raw")
    query = "select day, sum(cast(k as int))::bigint * getvariable('mul') as total from base group by day"
    home.define("scaled", query, MUL)
    home.deliver(f"{DAY},1,0", f"{NEXT},1,0")
    home.load("base", DAY, NEXT)
    home.load("scaled", DAY, NEXT, parameters={"mul": 100})
    home.deliver(f"{DAY},x,0", f"{NEXT},2,0")
    home.load("base", DAY, NEXT)
    [failed] = [record.id for record in home.queue.records("failed")]
    home.deliver(f"{DAY},3,0", f"{NEXT},2,0")
    home.load("base", DAY, NEXT, cascade=False)
    home.retry(failed)
    home.drain()
    assert home.rows("scaled", "total") == [(200,), (300,)]


def test_each_request_for_a_key_writes_it_with_its_own_parameters(home: SmallHome) -> None:
    home.define("t", "select day, k, v * getvariable('mul') as x from raw", f"{OF_KEYS}\n{MUL}")
    home.deliver(*ROWS_AB, f"{DAY},c,1")
    home.load("t")
    home.ask("t", keys={"k": ["a"]}, parameters={"mul": 10})
    home.ask("t", keys={"k": ["b"]}, parameters={"mul": 20})
    home.drain()
    assert home.rows("t", "k, x") == [("a", 10), ("b", 20), ("c", 1)]


def test_a_cascade_keeps_the_parameters_of_each_key(home: SmallHome) -> None:
    home.define("base", BASE)
    query = "select day, k, sum(v)::bigint * getvariable('mul') as x from base group by all"
    home.define("t", query, f"{OF_KEYS}\n{MUL}")
    home.deliver(*ROWS_AB)
    home.load("base")
    home.load("t", keys={"k": ["b"]}, parameters={"mul": 10})
    home.deliver(f"{DAY},a,2", f"{DAY},b,2")
    home.load("base")
    assert home.rows("t", "k, x") == [("a", 2), ("b", 20)]


def test_a_day_that_a_check_refuses_keeps_the_rows_of_all_slices(home: SmallHome) -> None:
    checks = "create view small as select day, v as found from new where v > 100;"
    home.define("t", BASE, SLICED, checks)
    home.deliver(*(f"{DAY},{key},1" for key in "abcdef"))
    home.load("t")
    before = home.files("t")
    home.deliver(*(f"{DAY},{key},{999 if key == 'a' else 2}" for key in "abcdef"))
    record = home.load("t")
    assert record.failed_days == record.days
    assert not record.published
    assert home.files("t") == before


def test_a_table_that_is_asked_for_alone_does_not_wait_for_an_earlier_file_of_the_same_name(home: SmallHome) -> None:
    home.define("base", BASE)
    home.define("sums", SUMS, 'on_empty = "publish"')
    home.deliver(f"{DAY},a,1")
    for table in ("base", "sums"):
        home.drop({"table": table, "start_date": DAY}, name="reload.json")
        home.collect()
    assert home.plan("sums")


def test_a_failed_cascade_that_is_longer_than_a_request_may_be_can_be_put_back(home: SmallHome) -> None:
    home.define("base", BASE)
    days = [str(date(2024, 1, number)) for number in range(1, 11)]
    home.deliver(*(f"{day},a,1" for day in days))
    query = "select day, if(day > date '2024-01-02', {}, sum(v)) as total from base group by day"
    home.define("sums", query.format("error('x')"), "max_days_per_request = 5")
    home.load("base", days[0], days[-1])
    [failed] = [record.id for record in home.queue.records("failed")]
    home.define("sums", query.format("0"), "max_days_per_request = 5")
    home.queue.find(failed).path.rename(home.settings.landing / f"{failed}.json")  # type: ignore[union-attr]
    for _ in range(2):
        assert not home.collect().files.rejected
    home.drain()
    assert len(home.rows("sums")) == 10


# waves


def test_a_table_that_is_broken_while_its_input_changes_follows_once_it_is_mended(tmp_path: Path) -> None:
    home = with_sums(tmp_path / "home")
    home.define("sums", "selec oops")
    home.deliver(f"{DAY},a,2")
    home.load("base")
    home.define("sums", SUMS)
    home.drain()
    assert home.rows("sums", "total") == [(2,)]


def test_a_table_reads_what_is_published_and_not_a_view_of_the_same_name(tmp_path: Path) -> None:
    home = SmallHome(tmp_path / "home", THREE_DAYS.replace("raw", "visits").replace("1 as v", "999 as v"))
    home.define("visits", f"select date '{DAY}' as day, 1 as v")
    home.define("sums", "select day, sum(v)::bigint as total from visits group by day")
    for table, day in (("visits", DAY), ("sums", NEXT)):
        home.drop({"table": table, "start_date": day})
    home.collect()
    for table in ("visits", "sums"):
        try:
            home.work(table)
        except ReloadsError:
            continue
    assert (999,) not in home.rows("sums", "total" if home.rows("sums") else "*")


def test_a_damaged_raw_file_stops_only_the_tables_that_read_it(tmp_path: Path) -> None:
    damaged = "create view r2 as from read_parquet(getvariable('source') || '/r2.parquet')"
    home = SmallHome(tmp_path / "home", f"{RAW};\n{damaged}")
    home.define("one", BASE)
    home.deliver(f"{DAY},a,1")
    (home.settings.source / "r2.parquet").write_bytes(b"half a file that somebody is still writing")
    assert home.load("one").published


# columns and layout


def test_a_column_that_was_appended_is_known_after_an_undo(tmp_path: Path) -> None:
    home = SmallHome(tmp_path / "home", THREE_DAYS)
    home.define("base", "select day, v from raw", 'on_schema_change = "append"')
    home.load("base", DAY, "2024-01-03")
    home.define("base", "select day, v, 7 as w from raw", 'on_schema_change = "append"')
    home.load("base", "2024-01-03")
    second = home.load("base", NEXT)
    home.define("readers", "select day, sum(w)::bigint as w, count(*) as n from base group by day")
    home.load("readers", DAY, "2024-01-03")
    home.undo(second.id)
    home.drain()
    home.load("readers", DAY, "2024-01-03")
    assert not home.failures()
    assert home.rows("readers", "w, n") == [(7, 1), (None, 1), (None, 1)]


def test_after_an_undo_a_table_has_the_columns_of_every_day_that_is_left(tmp_path: Path) -> None:
    home = SmallHome(tmp_path / "home", THREE_DAYS)
    loads = [("day, v", DAY), ("day, v, 7 as w", NEXT), ("day, v, 7 as w, 9 as x", DAY)]
    for columns, day in loads:
        home.define("base", f"select {columns} from raw", 'on_schema_change = "append"')
        last = home.load("base", day)
    home.undo(last.id)
    home.define("readers", "select day, sum(w)::bigint as w, count(*) as n from base group by day")
    for day in (DAY, NEXT):
        home.load("readers", day)
    assert not home.failures()
    assert home.rows("readers", "w, n") == [(7, 1), (None, 1)]
    home.define("readers", "select day, sum(x)::bigint as x from base group by day")
    home.load("readers")
    assert home.failures("readers"), "no day has that column any more"


def test_a_table_has_the_same_columns_on_all_days_after_an_undo_and_a_reload(tmp_path: Path) -> None:
    home = SmallHome(tmp_path / "home", THREE_DAYS)
    home.define("base", "select day, v from raw", 'on_schema_change = "replace"')
    home.load("base", DAY, "2024-01-03")
    home.define("base", "select day, v::varchar || 'x' as v from raw", 'on_schema_change = "replace"')
    first = home.load("base")
    home.undo(first.id)
    home.drain()
    home.load("base", NEXT)
    assert home.rows("base", "v") == [("1x",)] * 3


def test_a_table_with_another_day_column_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    home = SmallHome(tmp_path / "home", THREE_DAYS)
    home.define("t", "select day, v from raw")
    home.load("t", DAY, NEXT)
    before = home.files("t")
    home.define("t", "select day as event_day, v from raw")
    settings = home.settings.tables / "t" / "table.toml"
    settings.write_text(settings.read_text().replace('"day"', '"event_day"'))
    assert home.load("t", DAY, NEXT).failed
    assert home.files("t") == before


def test_a_day_begins_where_the_settings_say_whatever_the_time_zone_of_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = SmallHome(tmp_path / "home", f"create view raw as select timestamptz '{NEXT} 02:00:00+00' as moment, 1 as v")
    home.define("t", "select moment::date as day, v from raw", 'on_empty = "publish"')
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        home.load("t", DAY, NEXT)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert [str(day) for (day,) in home.rows("t", "day")] == [NEXT]


# kills


def test_an_undo_that_is_killed_anywhere_is_completed_by_the_same_command(tmp_path: Path) -> None:
    def build(folder: Path) -> SmallHome:
        home = with_sums(folder)
        home.deliver(f"{DAY},a,2")
        home.load("base")
        return home

    for home in killed_everywhere(tmp_path, build, lambda home: home.undo(home.request)):
        undo_again(home, home.request)
        home.drain()
        assert home.rows("base", "v") == [(1,)]
        assert home.rows("sums", "total") == [(1,)]
        assert [record.mode for record in home.records().values()].count("undo") == 1


def undo_again(home: SmallHome, request: str) -> None:
    """The same command once more; it may say that all is done only if there is a record of it."""
    try:
        home.undo(request)
    except ReloadsError:
        assert "undo" in {record.mode for record in home.records().values()}


def test_an_undo_that_was_killed_and_completed_is_undone_as_a_whole(tmp_path: Path) -> None:
    days = [str(date(2024, 1, number)) for number in range(1, 4)]

    def build(folder: Path) -> SmallHome:
        home = SmallHome(folder)
        home.define("base", BASE)
        for value in (1, 2):
            home.deliver(*(f"{day},a,{value}" for day in days))
            home.load("base", days[0], days[-1])
        return home

    for home in killed_everywhere(tmp_path, build, lambda home: home.undo(home.request)):
        undo_again(home, home.request)
        assert home.rows("base", "v") == [(1,)] * 3
        [undo] = [record.id for record in home.records().values() if record.mode == "undo"]
        home.undo(undo)
        assert home.rows("base", "v") == [(2,)] * 3


def retried(home: SmallHome, table: str = "base") -> None:
    """The task runs again, and its run ends."""
    outcomes = [home.rewrite(table, batch) for batch in home.planned]
    home.settle(table, home.planned, outcomes)


def rewrite_first(table: str) -> Callable[[SmallHome], object]:
    return lambda home: home.rewrite(table, home.planned[0])


def test_a_record_counts_the_rows_that_were_replaced_also_by_a_task_that_was_tried_again(tmp_path: Path) -> None:
    def build(folder: Path) -> SmallHome:
        home = SmallHome(folder)
        home.define("base", BASE)
        home.deliver(f"{DAY},a,1")
        home.load("base")
        home.deliver(f"{DAY},a,1", f"{DAY},a,2", f"{DAY},a,3")
        home.ask("base")
        home.plan("base")
        return home

    for home in killed_everywhere(tmp_path, build, rewrite_first("base")):
        retried(home)
        record = home.records()[home.request]
        assert record.published == record.days
        assert (record.rows, record.rows_before) == (3, 1)


@pytest.mark.parametrize("history_days", [0, 7])
def test_a_record_tells_of_a_partition_that_a_task_removed_which_was_tried_again(
    tmp_path: Path, history_days: int
) -> None:
    def build(folder: Path) -> SmallHome:
        home = SmallHome(folder)
        home.define("t", BASE, f"{OF_KEYS}\nhistory_days = {history_days}")
        home.deliver(*ROWS_AB)
        home.load("t")
        home.deliver(f"{DAY},b,1")
        home.ask("t")
        home.plan("t")
        return home

    for home in killed_everywhere(tmp_path, build, rewrite_first("t")):
        retried(home, "t")
        record = home.records()[home.request]
        assert record.published == record.days
        assert home.rows("t", "k") == [("b",)]


def test_a_key_has_its_type_wherever_the_first_load_of_its_table_was_killed(tmp_path: Path) -> None:
    def build(folder: Path) -> SmallHome:
        home = with_numbered_keys(folder)
        home.define("best", BEST, 'on_empty = "publish"')
        home.ask("keyed")
        home.plan("keyed")
        return home

    for home in killed_everywhere(tmp_path, build, rewrite_first("keyed")):
        batches = home.planned
        home.ask("best")
        home.work("best")
        home.planned = batches
        retried(home, "keyed")
        home.drain()
        assert home.rows("best", "last_total, last_key") == [(10, 10)]


def test_a_request_has_one_state_wherever_a_settle_before_a_command_was_killed(tmp_path: Path) -> None:
    def build(folder: Path) -> SmallHome:
        home = SmallHome(folder)
        home.define("base", BASE)
        home.define("sums", SUMS)
        home.deliver(f"{DAY},a,1")
        home.ask("base")
        home.plan("base")
        home.outcomes = [home.rewrite("base", batch) for batch in home.planned]
        return home

    def settle(home: SmallHome) -> None:
        home.settle("base", home.planned, home.outcomes)

    for home in killed_everywhere(tmp_path, build, settle):
        home.run("base", only="missing")
        done = {each: record for each, record in home.records().items() if record.finished_at}
        home.drain()
        after = home.records()
        assert [record.mode for record in after.values()].count("cascade") == 1
        assert {each: after[each].rows for each in done} == {each: record.rows for each, record in done.items()}
        assert home.rows("sums", "total") == [(1,)]


def test_a_file_of_two_requests_is_accepted_or_rejected_as_a_whole(tmp_path: Path) -> None:
    def build(folder: Path) -> SmallHome:
        home = SmallHome(folder, THREE_DAYS)
        for table in ("one", "two"):
            home.define(table, "select day, v from raw")
        home.drop({"table": "one", "start_date": DAY}, {"table": "two", "start_date": DAY})
        return home

    for home in killed_everywhere(tmp_path, build, SmallHome.collect):
        home.define("two", "selec oops")
        for _ in range(2):
            is_rejected = bool(home.collect().files.rejected)
            assert not (is_rejected and home.records())
        home.define("two", "select day, v from raw")
        home.collect()
        assert sorted(record.table for record in home.records().values()) == ["one", "two"]


# two processes at once


def test_a_task_that_was_taken_for_dead_does_not_replace_what_its_retry_published(tmp_path: Path) -> None:
    original = SmallHome(tmp_path / "original")
    original.define("base", BASE)
    original.deliver(f"{DAY},a,1")
    original.load("base")
    original.deliver(f"{DAY},a,2")
    original.ask("base")
    original.plan("base")
    for steps in count():
        home = original.copied(tmp_path / f"paused-after-{steps}")
        outcomes: list[dict[str, object]] = []
        with paused_after(steps, partial(correct_and_retry, home, outcomes)) as was_paused:
            home.rewrite("base", home.planned[0])
        if not was_paused:
            return
        home.settle("base", home.planned, outcomes)
        home.drain()
        assert home.rows("base", "v") == [(3,)], f"paused after {steps}"


def correct_and_retry(home: SmallHome, outcomes: list[dict[str, object]]) -> None:
    home.deliver(f"{DAY},a,3")
    outcomes.append(home.rewrite("base", home.planned[0]))


def test_a_command_and_a_run_that_settles_beside_it_ask_for_each_cascade_once(tmp_path: Path) -> None:
    original = SmallHome(tmp_path / "original")
    original.define("base", BASE)
    original.define("sums", SUMS)
    original.deliver(f"{DAY},a,1")
    original.ask("base")
    outcomes = [original.rewrite("base", batch) for batch in original.plan("base")]
    for steps in count():
        home = original.copied(tmp_path / f"paused-after-{steps}")
        with paused_after(steps, partial(home.settle, "base", home.planned, outcomes)) as was_paused:
            home.run("base")
        home.records()
        home.drain()
        assert [record.mode for record in home.records().values()].count("cascade") == 1
        assert home.rows("sums", "total") == [(1,)]
        if not was_paused:
            return
