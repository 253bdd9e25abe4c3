"""Sources: which statements of a file a query needs."""

import pytest

from reloads.tables.references import find_references
from reloads.tables.sources import Statement, needed_statements, parse_sources, set_variables


@pytest.mark.parametrize(
    ("statement", "title"),
    [
        pytest.param("create view raw as select 1", "the view raw", id="view"),
        pytest.param("CREATE OR REPLACE TEMPORARY VIEW /* a */ Raw (as_of, n) AS select 1", "the view raw", id="head"),
        pytest.param("create view if not exists raw as values (1)", "the view raw", id="if not exists"),
        pytest.param('create view "Odd ""name" as select 1', 'the view odd "name', id="quoted"),
        pytest.param("create recursive view raw (n) as values (1)", "the view raw", id="recursive"),
        pytest.param("create temp table raw as select 1", "the table raw", id="table"),
        pytest.param("create table raw (n integer)", "the table raw", id="table without a query"),
        pytest.param("create or replace macro half(n) as n / 2", "the macro half", id="macro"),
        pytest.param("create function half(n) as n / 2", "the macro half", id="function"),
        pytest.param("create view other.raw as select 1", "`create view other . raw as select 1`", id="schema"),
        pytest.param("create type raw as enum ('a')", "`create type raw as enum ( 'a' )`", id="type"),
        pytest.param("set variable raw = 1", "`set variable raw = 1`", id="set"),
        pytest.param("create", "`create`", id="half a statement"),
        pytest.param("create view", "`create view`", id="half a head"),
        pytest.param("create view raw", "the view raw", id="no body"),
    ],
)
def test_a_statement_is_named_by_what_it_creates(statement: str, title: str) -> None:
    assert Statement.parse(statement).title == title


FILE = """
    create view a as select 1 as n;
    create view b as from a;
    create view c as from query('from ' || 'b');
    create macro d(x) as table from a;
    create view e as select n from d(1);
    create view f as select 'a' as n;
    create table g as from f;
"""


@pytest.mark.parametrize(
    ("query", "needed"),
    [
        pytest.param("select 1", "", id="nothing"),
        pytest.param("select a from range(3) as r(a)", "", id="a column of the name"),
        pytest.param("from b", "a b", id="a view of a view"),
        pytest.param("from c", "a b c", id="a text may be any name in it"),
        pytest.param("from e", "a d e", id="through a macro"),
        pytest.param("from d", "", id="a macro is not a relation"),
        pytest.param("select a(1)", "", id="nor a view a function"),
        pytest.param("from g", "f g", id="a literal is not a name"),
        pytest.param("from b, g", "a b f g", id="two"),
    ],
)
def test_a_query_needs_what_it_reads_and_what_that_reads_in_the_order_of_the_file(query: str, needed: str) -> None:
    reader = Statement(query, references=find_references(query))
    assert [statement.name for statement in needed_statements(parse_sources(FILE), [reader])] == needed.split()


def test_what_cannot_be_told_apart_is_always_needed_with_what_it_names() -> None:
    sources = parse_sources("insert into held from a; create table held (n int);" + FILE)
    names = [statement.name for statement in needed_statements(sources, [])]
    assert names == ["", "held", "a"]


def test_the_variables_that_a_file_sets_are_known() -> None:
    sources = parse_sources('set variable One = 1; set VARIABLE "two" = 2; set threads = 3; reset variable one')
    assert set_variables(sources) == {"one", "two"}
