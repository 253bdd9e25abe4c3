"""Lineage: which table reads which by DuckDB's own scope of names, and which days depend on which."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from graphlib import CycleError

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reloads.days import Days
from reloads.errors import TableError
from reloads.tables.lineage import Lineage, dependent_days, find_input_names, input_days, parse_window

# --- who reads whom -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "names"),
    [
        pytest.param("select 1", "", id="nothing"),
        pytest.param("select * from flights", "flights", id="one"),
        pytest.param("from flights", "flights", id="from first"),
        pytest.param("table flights", "flights", id="table"),
        pytest.param("select * from Flights, FLIGHTS", "flights", id="identifiers have no case"),
        pytest.param('from "Flights" as f(n) tablesample 10%', "flights", id="quoted, with alias and sample"),
        pytest.param("from main.a, MAIN.b", "a b", id="the schema main is ours"),
        pytest.param("from other.a, memory.main.b, information_schema.tables", "", id="other schemas are not"),
        pytest.param("from read_csv('nowhere/*.csv'), range(3)", "", id="table functions"),
        pytest.param("from range((select max(n) from a))", "a", id="arguments of table functions"),
        pytest.param("from a positional join b", "a b", id="positional join"),
        pytest.param("from a join b on exists (from c where c.n = a.n)", "a b c", id="join condition"),
        pytest.param("from a semi join b using (n) asof join c using (n)", "a b c", id="other joins"),
        pytest.param("from a, lateral (select * from b where b.n = a.n)", "a b", id="lateral"),
        pytest.param("from a union all by name from b except from c", "a b c", id="set operations"),
        pytest.param("values ((select 1 from a))", "a", id="values"),
        pytest.param("select (select n from a), n in (from b), exists (from c) from d", "a b c d", id="expressions"),
        pytest.param("select 1 where 1 > all (from a) order by (from b) limit (from c)", "a b c", id="modifiers"),
        pytest.param("select distinct on ((from a)) 1 group by all having (from b)", "a b", id="distinct and having"),
        pytest.param("select sum(n) filter (n > (from b)) over (order by (from c)) from a", "a b c", id="windows"),
        pytest.param("select * replace ((from b) as n) from a qualify (from c)", "a b c", id="replace and qualify"),
        pytest.param("select [n + (from b) for n in (from a)]", "a b", id="list comprehension"),
        pytest.param("pivot a on n in (1, 2) using sum(m)", "a", id="pivot with values"),
        pytest.param("from a pivot (sum(m) for n in (1, 2))", "a", id="pivot of the standard"),
        pytest.param("unpivot a on n, m into name x value y", "a", id="unpivot"),
        pytest.param("from (summarize a), (describe b), (show tables)", "a b", id="summarize and describe"),
        pytest.param("from a where n = $1 and m = getvariable('m')", "a", id="parameters"),
        pytest.param("select a.n from (values (1)) as a(n)", "", id="an alias is no table"),
        pytest.param("from (from a) as b, b", "a b", id="and hides none"),
        pytest.param("select {'type': 'BASE_TABLE', 'table_name': 'a', 'cte_map': 1}", "", id="values like the tree's"),
        pytest.param("select 1 union all select 2 /* from a */ -- from b", "", id="comments"),
    ],
)
def test_all_that_a_query_reads_is_named_in_lower_case(query: str, names: str) -> None:
    assert find_input_names(query) == set(names.split())


@pytest.mark.parametrize(
    ("query", "names"),
    [
        pytest.param("with t as (from a), U as (from T) from t, u", "a", id="a CTE is inside, in any case"),
        pytest.param("with t as (from t) from t", "t", id="a CTE does not see itself"),
        pytest.param("with recursive t as (from t) from t", "t", id="nor one without UNION that is allowed to"),
        pytest.param("with recursive t as (select 1 as n union all select n + 1 from T) from t", "", id="recursive"),
        pytest.param("with recursive t as (from t union all from t) from t", "t", id="the first part sees the outside"),
        pytest.param("with recursive t as (from a union from t), u as (from t) from u", "a", id="recursive and later"),
        pytest.param(
            "with recursive t(n) using key (n) as (from a union (from t where n in (from recurring.t))) from t",
            "a",
            id="recursive with key",
        ),
        pytest.param("with a as (from b), b as (from a) from b", "b", id="a CTE sees the earlier ones only"),
        pytest.param("with t as materialized (from a) from (from t where n in (from t))", "a", id="in subqueries"),
        pytest.param("with t as (from a) from (with t as (from t) from t), u", "a u", id="an inner one sees the outer"),
        pytest.param("from (with t as (from a) from t), t", "a t", id="outside its brackets it is unknown"),
        pytest.param("with t as (from a) (from t union from b)", "a b", id="in both parts of a union"),
        pytest.param("(with t as (from a) from t) union from t", "a t", id="in one part of a union"),
        pytest.param("with t as (from a) select 1 order by (from t)", "a", id="in modifiers"),
        pytest.param("with t as (from a) from main.t", "a t", id="the schema main has no CTE"),
        pytest.param("with t as (from a) pivot t on n in (1) using sum(m)", "a", id="in a pivot"),
        pytest.param("with t as (from a) select 1", "a", id="unused"),
        pytest.param('with k as (from a) from "\u212a"', "a \u212a", id="only ASCII is without case"),
    ],
)
def test_a_cte_hides_a_table_where_it_is_in_sight(query: str, names: str) -> None:
    assert find_input_names(query) == set(names.split())


TABLES = ("a", "b", "c")
ctes = st.sampled_from(("a", "B", "c"))
sources = st.sampled_from(("a", "B", "b", "C", "main.a"))


def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Queries made of queries; each uses all its CTEs, because DuckDB does not look into the others."""
    return st.one_of(
        st.builds("select n from ({}) as x".format, inner),
        st.builds("select n from {} where n in ({})".format, sources, inner),
        st.builds("select x.n from {} as x join ({}) as y on x.n = y.n".format, sources, inner),
        st.builds("({}) union all ({})".format, inner, inner),
        st.builds("with {0} as ({1}) (from {0}) union all ({2})".format, ctes, inner, inner),
        st.builds("with a as ({}), b as ({}) (from a) union all (from b) union all ({})".format, inner, inner, inner),
        st.builds("with recursive {0} as ({1}) (from {0}) union all ({2})".format, ctes, inner, inner),
        st.builds("with recursive {0} as (({1}) union ({2})) (from {0}) union all ({3})".format, ctes, *[inner] * 3),
    )


queries = st.recursive(st.builds("select n from {}".format, sources), larger, max_leaves=8)


def binds(query: str, tables: set[str]) -> bool:
    """Whether DuckDB accepts the query in a database that holds these tables and no others."""
    with duckdb.default_connection().cursor() as db:
        db.execute("begin")
        try:
            for table in tables:
                db.execute(f"create table {table} (n integer)")
            db.execute(f"explain {query}")
        except (duckdb.CatalogException, duckdb.BinderException):
            return False
        else:
            return True
        finally:
            db.execute("rollback")


@given(queries)
def test_the_names_are_what_duckdb_needs_to_run_the_query(query: str) -> None:
    names = find_input_names(query)
    assert {table for table in TABLES if not binds(query, set(TABLES) - {table})} == names
    assert binds(query, set(names))


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        pytest.param("pivot a on n using sum(m)", "it is not a plain SELECT; list the values of a pivot", id="pivot"),
        pytest.param("with t as (pivot a on n using sum(m)) from t", "it is not a plain SELECT", id="pivot in a CTE"),
        pytest.param(
            "from query('from ' || 'a')", r"query\(\) finds its tables in a text; name them in from", id="query"
        ),
        pytest.param("from a, Query_Table(['b'])", r"query_table\(\) finds its tables in a text", id="query_table"),
        pytest.param("selec 1", 'syntax error at or near "selec"; mend the query', id="syntax"),
        pytest.param("select " + "1 + " * 900 + "1", "it is nested too deep; cut its longest expression", id="depth"),
    ],
)
def test_a_query_whose_inputs_cannot_be_found_is_refused(query: str, reason: str) -> None:
    with pytest.raises(TableError, match=f"^the tables that it reads cannot be found: {reason}"):
        find_input_names(query)


@pytest.mark.parametrize(
    "cure", ["pivot a on n in (1, 2) using sum(n)", "select sum(n) filter (n = 1), sum(n) filter (n = 2) from a"]
)
def test_the_cures_of_a_pivot_cure_it(cure: str) -> None:
    assert find_input_names(cure) == {"a"}
    assert binds(cure, {"a"})


def test_several_threads_may_ask_at_once() -> None:
    texts = [f"with t as (from a{n}) from t" for n in range(200)]
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(find_input_names, texts)) == [{f"a{n}"} for n in range(200)]


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
