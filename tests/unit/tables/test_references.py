"""References: what a query names, by DuckDB's own scope of names."""

from concurrent.futures import ThreadPoolExecutor

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reloads.errors import TableError
from reloads.tables.references import find_references


def tables_of(query: str) -> frozenset[str]:
    return find_references(query).tables


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
    assert tables_of(query) == set(names.split())


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
    assert tables_of(query) == set(names.split())


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
    names = tables_of(query)
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
        tables_of(query)


@pytest.mark.parametrize(
    "cure", ["pivot a on n in (1, 2) using sum(n)", "select sum(n) filter (n = 1), sum(n) filter (n = 2) from a"]
)
def test_the_cures_of_a_pivot_cure_it(cure: str) -> None:
    assert tables_of(cure) == {"a"}
    assert binds(cure, {"a"})


def test_several_threads_may_ask_at_once() -> None:
    texts = [f"with t as (from a{n}) from t" for n in range(200)]
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(tables_of, texts)) == [{f"a{n}"} for n in range(200)]


@pytest.mark.parametrize(
    ("query", "relations"),
    [
        pytest.param("from Raw", "raw", id="alone"),
        pytest.param("from main.raw, memory.main.b, s.c", "raw b c", id="behind any schema"),
        pytest.param("with t as (from raw) from t", "raw t", id="a CTE, too, because what it hides may be meant"),
        pytest.param("from (summarize raw)", "raw", id="summarize"),
    ],
)
def test_a_relation_counts_whatever_stands_before_it(query: str, relations: str) -> None:
    assert find_references(query).relations == set(relations.split())


@pytest.mark.parametrize(
    ("query", "functions"),
    [
        pytest.param("select Lower(x), s.f(1), x.g()", "lower f g", id="scalar functions"),
        pytest.param("from days_of(3) where exists (select sum(n) over () from b)", "days_of sum", id="all others"),
    ],
)
def test_functions_are_named_in_lower_case(query: str, functions: str) -> None:
    assert find_references(query).functions >= set(functions.split())


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        pytest.param("select getvariable('Least'), \"getVariable\"('b')", "least b", id="in any case"),
        pytest.param("from range(getvariable('n')) where 1 in (select getvariable('m'))", "n m", id="anywhere"),
        pytest.param("select 'source'.getvariable(), system.main.getvariable('x')", "source x", id="in other forms"),
        pytest.param("select getvariable('a' || 'b'), 'getvariable(''c'')' -- getvariable('d')", "", id="not computed"),
    ],
)
def test_variables_are_those_that_are_read_by_a_plain_text(query: str, variables: str) -> None:
    assert find_references(query).variables == set(variables.split())
