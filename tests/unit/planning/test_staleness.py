"""Whether a day needs rewriting: what is missing, stale or neither, and why, without reading a partition."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path
from shutil import rmtree

import pytest

from reloads.days import Days
from reloads.planning.parts import WrittenParameters
from reloads.planning.staleness import OUTDATED, TableState
from reloads.planning.whole_days import GONE, MISSING, UNKNOWN
from reloads.runs.undo import undo_request
from reloads.tables.catalog import Catalog
from reloads.tables.definition import load_table
from reloads.tables.raw_files import RawFiles
from tests.support.chain import NOW, Chain

FIRST, SECOND, THIRD = (date(2025, 1, n) for n in (1, 2, 3))
DAYS = Days.between(FIRST, THIRD)
SHOPS = "select day, shop, amount from a cross join (values ('north'), ('south')) as shops(shop)"


def look(chain: Chain, table: str) -> TableState:
    definition = load_table(chain.settings.tables, table)
    inputs = Catalog.load(chain.settings.tables).all_inputs(definition)
    return TableState.at(
        definition, DAYS, warehouse=chain.settings.warehouse, inputs=inputs, raw=RawFiles.look(chain.settings)
    )


def whys(chain: Chain, table: str, **choice: tuple[str, ...]) -> list[str | None]:
    """Of the first three days of January."""
    now = look(chain, table)
    return [now.why(day, choice or None) for day in DAYS]


def load(chain: Chain, *tables: str, first: str = "2025-01-01", last: str = "2025-01-03") -> None:
    for table in tables:
        chain.ask(table, first, last, cascade=False)
        chain.run(table)


def partition(chain: Chain, table: str, day: date, rest: str = "") -> Path:
    return chain.settings.warehouse / table / f"day={day}" / rest / "data.parquet"


# a table without keys


def test_what_was_never_written_is_missing(chain: Chain) -> None:
    load(chain, "a", last="2025-01-01")
    assert whys(chain, "a") == [None, MISSING, MISSING]


def test_what_was_just_written_needs_nothing(chain: Chain) -> None:
    load(chain, *"abcd")
    assert [whys(chain, table) for table in "abcd"] == [[None] * 3] * 4


def test_what_came_out_the_same_needs_nothing(chain: Chain) -> None:
    chain.define("b", "select day, amount > 0 as twice from a")
    load(chain, "a", "b")
    chain.deliver("2025-01-02", 1000)
    load(chain, "a", "b")
    assert whys(chain, "b") == [None] * 3


def test_a_query_that_changed_makes_every_day_stale(chain: Chain) -> None:
    load(chain, "a", "b")
    chain.define("a", "select day, amount + 0 as amount from raw")
    assert whys(chain, "a") == [OUTDATED] * 3
    assert whys(chain, "b") == [None] * 3, "whose input is the same until it is rewritten"
    load(chain, "a", last="2025-01-01")
    assert whys(chain, "a") == [None, OUTDATED, OUTDATED]


@pytest.mark.parametrize(
    ("toml", "why"),
    [
        pytest.param('order_by = ["amount"]', OUTDATED, id="order"),
        pytest.param("parallelism = 7", None, id="how fast"),
        pytest.param("history_days = 0", None, id="what is kept"),
        pytest.param("daily = true", None, id="when"),
    ],
)
def test_a_setting_makes_stale_if_it_decides_what_a_partition_holds(chain: Chain, toml: str, why: str | None) -> None:
    load(chain, "a")
    chain.define("a", "select day, amount from raw", toml)
    assert whys(chain, "a") == [why] * 3


def test_an_input_that_changed_makes_the_days_stale_that_read_it(chain: Chain) -> None:
    load(chain, *"abcd")
    chain.deliver("2025-01-02", 1000)
    load(chain, "a")
    assert whys(chain, "b") == [None, "a changed", None]
    assert whys(chain, "c") == [None, "a changed", "a changed"]
    assert whys(chain, "d") == [None] * 3, "whose inputs were not rewritten yet"
    load(chain, "c")
    assert whys(chain, "d") == [None, "c changed", "c changed"]


def test_an_input_that_was_rewritten_to_the_same_is_no_change(chain: Chain) -> None:
    load(chain, "a", "b")
    load(chain, "a")
    assert whys(chain, "b") == [None] * 3


def test_an_input_that_came_or_went_is_a_change(chain: Chain) -> None:
    chain.define("b", "select day, 2 * amount as twice from a", 'on_empty = "publish"')
    load(chain, "a", last="2025-01-01")
    load(chain, "b")
    load(chain, "a", first="2025-01-02", last="2025-01-02")
    assert whys(chain, "b") == [None, "a changed", None]
    for record in chain.queue.records("done"):
        if record.table == "a":
            undo_request(chain.settings, record.id, force=False, now=NOW)
    assert whys(chain, "a") == [MISSING] * 3
    assert whys(chain, "b") == ["a changed", "a changed", None]


def test_a_partition_that_somebody_removed_is_gone_and_no_change_to_who_reads_it(chain: Chain) -> None:
    load(chain, "a", "b")
    partition(chain, "a", SECOND).unlink()
    assert whys(chain, "a") == [None, GONE, None]
    assert whys(chain, "b") == [None] * 3
    load(chain, "a")
    assert whys(chain, "a") == whys(chain, "b") == [None] * 3


def test_a_file_that_somebody_else_put_there_is_not_known(chain: Chain) -> None:
    load(chain, "a")
    file = partition(chain, "a", SECOND)
    other = file.with_name("other")
    other.write_bytes(file.read_bytes())
    other.replace(file)
    assert whys(chain, "a") == [None, UNKNOWN, None]


def test_without_a_log_nothing_is_known_and_nothing_missing(chain: Chain) -> None:
    load(chain, "a")
    for name in (".log", ".state", ".versions"):
        shutil.rmtree(chain.settings.warehouse / name)
    assert whys(chain, "a") == [UNKNOWN] * 3


def test_a_state_that_was_lost_follows_from_the_log(chain: Chain) -> None:
    load(chain, "a", "b")
    shutil.rmtree(chain.settings.warehouse / ".state")
    assert whys(chain, "a") == whys(chain, "b") == [None] * 3


def test_parameters_are_those_with_which_a_day_was_written(chain: Chain) -> None:
    declared = "[parameters.factor]\ntype = 'integer'\ndefault = 1\n"
    chain.define("a", "select day, amount * getvariable('factor') as amount from raw", declared)
    load(chain, "a", last="2025-01-01")
    chain.ask("a", "2025-01-02", parameters={"factor": 5})
    chain.run("a")
    now = look(chain, "a")
    assert [now.written_parameters(day) for day in DAYS] == [
        WrittenParameters({}),
        WrittenParameters({"factor": 5}),
        WrittenParameters({}),
    ]


@pytest.mark.parametrize("slices", [1, 2])
def test_each_partition_has_the_parameters_that_it_was_written_with_and_so_has_the_day(
    chain: Chain, slices: int
) -> None:
    toml = f"keys = ['shop']\nkey_slices = {slices}\n[parameters.factor]\ntype = 'integer'\ndefault = 1\n"
    chain.define("shops", f"select * replace (amount * getvariable('factor') as amount) from ({SHOPS})", toml)
    load(chain, "a")
    chain.ask("shops", "2025-01-01", "2025-01-02", parameters={"factor": 2})
    chain.work_off("shops")
    chain.ask("shops", "2025-01-01", keys={"shop": ["south"]}, parameters={"factor": 3})
    chain.ask("shops", "2025-01-03", keys={"shop": ["south"]}, parameters={"factor": 4})
    chain.work_off("shops")
    north, south = {"shop": "north"}, {"shop": "south"}
    now = look(chain, "shops")
    assert [now.written_parameters(day) for day in DAYS] == [
        WrittenParameters({"factor": 2}, ((north, {"factor": 2}), (south, {"factor": 3}))),
        WrittenParameters({"factor": 2}, ((north, {"factor": 2}), (south, {"factor": 2}))),
        WrittenParameters({}, ((south, {"factor": 4}),)),
    ]


# a table with keys


@pytest.fixture(params=[1, 2], ids=["whole", "sliced"])
def keyed(chain: Chain, request: pytest.FixtureRequest) -> Chain:
    """A table with two shops a day, that one batch rewrites, or two side by side."""
    chain.define("shops", SHOPS, f'keys = ["shop"]\nkey_slices = {request.param}')
    load(chain, "a")
    return chain


def test_a_day_of_which_all_keys_are_there_needs_nothing(keyed: Chain) -> None:
    load(keyed, "shops")
    assert whys(keyed, "shops") == whys(keyed, "shops", shop=("north",)) == [None] * 3


def test_a_day_without_any_key_is_missing_until_it_was_written(keyed: Chain) -> None:
    query = keyed.settings.tables / "shops" / "query.sql"
    query.write_text(f"{SHOPS} where day <> '2025-01-02'")
    settings = query.with_name("table.toml")
    settings.write_text('on_empty = "publish"\n' + settings.read_text())
    assert whys(keyed, "shops") == [MISSING] * 3
    load(keyed, "shops")
    assert not list(keyed.settings.warehouse.glob("shops/day=2025-01-02/*"))
    assert whys(keyed, "shops") == [None] * 3


def test_a_value_that_has_no_partition_is_missing(keyed: Chain) -> None:
    load(keyed, "shops")
    assert whys(keyed, "shops", shop=("north", "west")) == [MISSING] * 3


def test_where_some_of_the_values_are_enough_the_others_do_not_hide_why(keyed: Chain) -> None:
    load(keyed, "shops")
    keyed.deliver("2025-01-02", 1000)
    load(keyed, "a")
    now, choice = look(keyed, "shops"), {"shop": ("north", "west")}
    assert [now.why(day, choice, is_partly_enough=True) for day in DAYS] == [None, "a changed", None]
    assert [now.why(day, {"shop": ("west",)}, is_partly_enough=True) for day in DAYS] == [MISSING] * 3


def test_the_keys_that_were_rewritten_are_fresh_and_the_others_stale(keyed: Chain) -> None:
    load(keyed, "shops")
    keyed.deliver("2025-01-02", 1000)
    load(keyed, "a")
    keyed.ask("shops", "2025-01-02", keys={"shop": ["north"]})
    keyed.run("shops")
    assert whys(keyed, "shops", shop=("north",)) == [None] * 3
    assert whys(keyed, "shops", shop=("south",)) == [None, "a changed", None]
    assert whys(keyed, "shops") == [None, "a changed", None]


def test_a_day_of_which_every_key_was_rewritten_by_itself_is_stale_as_a_whole(keyed: Chain) -> None:
    # Its input may have rows of a shop that is new.
    load(keyed, "shops")
    keyed.deliver("2025-01-02", 1000)
    load(keyed, "a")
    keyed.ask("shops", "2025-01-02", keys={"shop": ["north", "south"]})
    keyed.run("shops")
    assert whys(keyed, "shops") == [None, "a changed", None]
    load(keyed, "shops")
    assert whys(keyed, "shops") == [None] * 3


def test_a_query_that_changed_makes_keyed_days_stale(keyed: Chain) -> None:
    load(keyed, "shops")
    keyed.define("shops", f"{SHOPS} where true", 'keys = ["shop"]')
    assert whys(keyed, "shops") == [OUTDATED] * 3


def test_a_key_whose_file_somebody_removed_is_gone_and_so_is_its_day(keyed: Chain) -> None:
    load(keyed, "shops")
    partition(keyed, "shops", SECOND, "shop=south").unlink()
    assert whys(keyed, "shops") == whys(keyed, "shops", shop=("south",)) == [None, GONE, None]
    assert whys(keyed, "shops", shop=("north",)) == [None] * 3
    keyed.deliver("2025-01-02", 1000)
    load(keyed, "a")
    assert whys(keyed, "shops") == [None, GONE, None], "whatever the other key is, too"
    load(keyed, "shops")
    assert whys(keyed, "shops") == [None] * 3


def test_keys_of_which_only_the_files_are_left_are_there_and_not_known(keyed: Chain) -> None:
    load(keyed, "shops")
    for hidden in (".log", ".state", ".versions"):
        rmtree(keyed.settings.warehouse / hidden / "shops")
    assert whys(keyed, "shops") == [UNKNOWN] * 3
    assert whys(keyed, "shops", shop=("north",)) == [UNKNOWN] * 3
    assert whys(keyed, "shops", shop=("west",)) == [MISSING] * 3
