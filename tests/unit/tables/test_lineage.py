"""Lineage: which table reads which, and which days depend on which."""

from collections.abc import Callable
from datetime import date, timedelta
from graphlib import CycleError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reloads.days import Days
from reloads.tables.lineage import Lineage, dependent_days, input_days, parse_window

# --- windows --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "days"), [("1 day", 1), ("7 days", 7), ("30 days", 30), ("366 days", 366)])
def test_a_window_is_a_number_of_days(text: str, days: int) -> None:
    assert parse_window(text) == days


@pytest.mark.parametrize(
    "value",
    [
        *("0 days", "-1 days", "367 days", "1000 days", "07 days", "1.5 days", "1 week", "24 hours", "7", "days", ""),
        *("7days", " 7 days", "7 days\n", "7 Days", "\u0667 days", 7, True, None),
    ],
    ids=repr,
)
def test_anything_else_is_refused_with_value_rule_and_cure(value: object) -> None:
    with pytest.raises(ValueError, match="is not from 1 to 366 days; write it like '7 days'") as refused:
        parse_window(value)
    assert str(refused.value).startswith(repr(value))


def test_a_long_window_is_shown_in_part() -> None:
    with pytest.raises(ValueError, match="write it like") as refused:
        parse_window("9" * 1_000_000)
    assert len(str(refused.value)) < 200


def test_a_window_ends_with_its_day() -> None:
    week = Days.parse(["2024-03-01..2024-03-07"])
    assert input_days(Days.parse(["2024-03-07"]), 7) == week
    assert dependent_days(Days.parse(["2024-03-01"]), 7) == week


def test_a_window_of_one_is_the_same_day() -> None:
    days = Days.parse(["2024-02-29", "2024-03-05..2024-03-07"])
    assert input_days(days, 1) == dependent_days(days, 1) == days


def test_windows_that_meet_are_one_range() -> None:
    assert input_days(Days.parse(["2024-03-03", "2024-03-05"]), 2).texts() == ["2024-03-02..2024-03-05"]
    assert dependent_days(Days.parse(["2024-03-03", "2024-03-05"]), 2).texts() == ["2024-03-03..2024-03-06"]


def test_a_window_stops_where_the_calendar_does() -> None:
    assert input_days(Days.between(date(1, 1, 3), date(1, 1, 3)), 366).texts() == ["0001-01-01..0001-01-03"]
    assert dependent_days(Days.between(date(9999, 12, 30), date(9999, 12, 30)), 366).texts() == [
        "9999-12-30..9999-12-31"
    ]


# --- the graph ------------------------------------------------------------------------------------------------------

SHOP = Lineage(
    {
        "report": {"week": 1, "visits": 1},
        "week": {"sales": 7},
        "trend": {"week": 3, "sales": 1},
        "visits": {},
        "sales": {},
        "alone": {},
    }
)
DAY = Days.parse(["2024-03-10"])


def texts(days_by_table: dict[str, Days]) -> dict[str, str]:
    return {name: str(days) for name, days in days_by_table.items()}


def test_downstream_tables_and_inputs_are_the_direct_ones_by_name() -> None:
    assert list(SHOP.downstream("sales").items()) == [("trend", 1), ("week", 7)]
    assert list(SHOP.inputs_of("report").items()) == [("visits", 1), ("week", 1)]


def test_inputs_come_before_their_downstream_tables_else_the_name_decides() -> None:
    assert SHOP.load_order() == ("alone", "sales", "visits", "week", "report", "trend")


def test_the_days_behind_a_day_add_up_over_every_way() -> None:
    assert texts(SHOP.upstream_days("trend", DAY)) == {
        "sales": "2024-03-02..2024-03-10",
        "week": "2024-03-08..2024-03-10",
    }


def test_the_days_ahead_of_a_day_add_up_over_every_way() -> None:
    assert texts(SHOP.downstream_days("sales", DAY)) == {
        "week": "2024-03-10..2024-03-16",
        "report": "2024-03-10..2024-03-16",
        "trend": "2024-03-10..2024-03-18",
    }


def test_inputs_come_first_behind_and_ahead() -> None:
    assert list(SHOP.upstream_days("report", DAY)) == ["sales", "visits", "week"]
    assert list(SHOP.downstream_days("sales", DAY)) == ["week", "report", "trend"]


def test_no_days_depend_on_no_days() -> None:
    assert SHOP.downstream_days("week", Days()) == {"report": Days(), "trend": Days()}


def test_an_input_without_a_folder_reads_nothing_and_a_stranger_nobody() -> None:
    shop = Lineage({"week": {"sales": 7}})
    assert shop.load_order() == ("sales", "week")
    assert texts(shop.downstream_days("sales", DAY)) == {"week": "2024-03-10..2024-03-16"}
    assert (
        shop.upstream_days("sales", DAY)
        == shop.upstream_days("stranger", DAY)
        == shop.downstream_days("stranger", DAY)
        == {}
    )
    assert shop.downstream("stranger") == shop.inputs_of("stranger") == {}
    assert shop.cycles() == {}


def test_every_table_on_a_cycle_has_the_shortest_way_round() -> None:
    inputs = {"a": {"b": 1}, "b": {"c": 1, "a": 1}, "c": {"a": 1}, "self": {"self": 7}, "reads_one": {"a": 1, "z": 1}}
    assert Lineage(inputs).cycles() == {
        "a": ("a", "b", "a"),
        "b": ("b", "a", "b"),
        "c": ("c", "a", "b", "c"),
        "self": ("self", "self"),
    }


@pytest.mark.parametrize("inputs", [{"a": {"a": 1}}, {"a": {"b": 1}, "b": {"a": 1}}], ids=["itself", "each other"])
def test_a_cycle_has_no_order_and_holds_up_only_who_is_concerned(inputs: dict[str, dict[str, int]]) -> None:
    lineage = Lineage({**inputs, "week": {"sales": 7}, "behind_it": {"a": 1}})
    for concerned in (
        lineage.load_order,
        lambda: lineage.upstream_days("behind_it", DAY),
        lambda: lineage.downstream_days("a", DAY),
    ):
        with pytest.raises(CycleError):
            concerned()
    assert list(lineage.upstream_days("week", DAY)) == ["sales"]
    assert list(lineage.downstream_days("sales", DAY)) == ["week"]


def test_all_days_of_the_calendar_are_not_unfolded() -> None:
    ladder = Lineage({f"t{n}": {f"t{n - 1}": 7, f"t{n - 2}": 1} for n in range(2, 60)})
    always = Days.between(date.min, date.max)
    assert (
        set(ladder.downstream_days("t0", always).values())
        == set(ladder.upstream_days("t59", always).values())
        == {always}
    )


NAMES = "abcdef"
FIRST = date(2023, 12, 20)
near_days = st.frozensets(st.integers(0, 40).map(lambda n: FIRST + timedelta(days=n)), max_size=6)


@st.composite
def acyclic(draw: st.DrawFn) -> Lineage:
    """Tables in an order of their own, each reading some of those before it."""
    order = draw(st.permutations(NAMES))
    windows = st.integers(1, 9)
    return Lineage(
        {
            name: draw(st.dictionaries(st.sampled_from(order[:place]), windows, max_size=3)) if place else {}
            for place, name in enumerate(order)
        }
    )


def day_by_day(
    start: str, days: frozenset[date], step: Callable[[str], dict[str, int]], sign: int
) -> dict[str, set[date]]:
    """The same one day at a time: everything that can be walked to."""
    days_by_table: dict[str, set[date]] = {}
    for following, window in step(start).items():
        moved = frozenset(day + sign * timedelta(days=n) for day in days for n in range(window))
        days_by_table.setdefault(following, set()).update(moved)
        for name, further_days in day_by_day(following, moved, step, sign).items():
            days_by_table.setdefault(name, set()).update(further_days)
    return days_by_table


@given(acyclic(), st.sampled_from(NAMES), near_days)
def test_ranges_give_what_single_days_give(lineage: Lineage, table: str, days: frozenset[date]) -> None:
    behind, ahead = lineage.upstream_days(table, Days.of(days)), lineage.downstream_days(table, Days.of(days))
    assert {name: set(ranges) for name, ranges in behind.items()} == day_by_day(table, days, lineage.inputs_of, -1)
    assert {name: set(ranges) for name, ranges in ahead.items()} == day_by_day(table, days, lineage.downstream, 1)


@given(acyclic(), st.integers(0, 50))
def test_what_lies_behind_lies_ahead_the_other_way(lineage: Lineage, gap: int) -> None:
    early, late = FIRST, FIRST + timedelta(days=gap)
    for table in NAMES:
        for name, needed in lineage.upstream_days(table, Days.of([late])).items():
            assert (early in needed) == (late in lineage.downstream_days(name, Days.of([early]))[table])


@given(acyclic())
def test_an_order_holds_every_table_once_behind_its_inputs(lineage: Lineage) -> None:
    order = lineage.load_order()
    assert sorted(order) == sorted(NAMES)
    for table in NAMES:
        assert all(order.index(name) < order.index(table) for name in lineage.inputs_of(table))
    assert lineage.cycles() == {}


@given(acyclic(), st.sampled_from(NAMES))
def test_behind_and_ahead_come_in_an_order_to_load_them(lineage: Lineage, table: str) -> None:
    for order in (list(lineage.upstream_days(table, DAY)), list(lineage.downstream_days(table, DAY))):
        for name in order:
            inputs = [input_name for input_name in lineage.inputs_of(name) if input_name in order]
            assert all(order.index(input_name) < order.index(name) for input_name in inputs)
