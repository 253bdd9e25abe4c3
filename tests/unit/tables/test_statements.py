"""Statements: texts of SQL without what does not matter, and whole in what does."""

import json
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reloads.tables.statements import normalize, split_statements, split_words, strip_end

TEXT = "select 'a;  --b' as \"c ;  d\", $$e;  /* f */$$, 1.5e3::int, x.y->>'ü' -- g;\n  /* h /* ; */ i */ from t"


@pytest.mark.parametrize(
    ("sql", "statements"),
    [
        pytest.param("", [], id="nothing"),
        pytest.param(" ;; -- a\n ; /* b; */", [], id="only comments"),
        pytest.param("-- a;\nselect 1; select 2 -- b", ["select 1", "select 2"], id="two"),
        pytest.param(f"{TEXT};{TEXT}", [TEXT, TEXT], id="semicolons that end nothing"),
        pytest.param("selec 1; select (; select 2", ["selec 1", "select (", "select 2"], id="some do not parse"),
        pytest.param(
            "select 1; create view v as select '; select 2;",
            ["select 1", "create view v as select '; select 2;"],
            id="a quote without end",
        ),
    ],
)
def test_a_text_is_cut_at_the_semicolons_between_statements(sql: str, statements: list[str]) -> None:
    assert split_statements(sql) == statements


def test_a_normal_text_has_one_blank_between_words_and_whole_literals() -> None:
    assert normalize(TEXT) == ("select 'a;  --b' as \"c ;  d\" , $$e;  /* f */$$ , 1.5e3 :: int , x . y ->> 'ü' from t")


def test_words_know_their_place_in_bytes() -> None:
    sql = "select 'ü' -- ö\n, ä"
    assert [sql.encode()[word.begin : word.end].decode() for word in split_words(sql)] == ["select", "'ü'", ",", "ä"]


@pytest.mark.parametrize("sql", ["select 1", "select 1 ;\n", "select 1; -- done", "select 1; /* a; */ ;\n;"])
def test_the_end_of_a_text_is_its_last_word(sql: str) -> None:
    assert strip_end(sql) == "select 1"


def tree_of(sql: str) -> Any:
    """The syntax tree of a query without places in its text."""
    [(text,)] = duckdb.default_connection().cursor().execute("select json_serialize_sql($1)", [sql]).fetchall()
    tree = json.loads(text)
    assert not tree["error"], sql
    return without_places(tree)


def without_places(node: Any) -> Any:
    if isinstance(node, list):
        return [without_places(child) for child in node]
    if isinstance(node, dict):
        return {key: without_places(child) for key, child in node.items() if not key.startswith("query_location")}
    return node


literals = st.sampled_from(
    (
        "'a  b'",
        "'--'",
        "'it''s'",
        '"a  ""b"',
        "1.5",
        "-1",
        "- 1",
        ".5",
        "1e-3",
        "$$ ; $$",
        "e'\\'  x'",
        "x'ab'",
        "[1, 2][1:2]",
        "{'k':  2}",
        "a.b",
        "t. *",
        "@ 2",
        "2!=3",
        "1::int",
        "a->'b'",
        "(n) -> n+1",
        "date '2024-01-01'",
        "$name",
        "f(a := 1)",
        "not a",
        "a is null",
        "'ü'",
    )
)
gaps = st.sampled_from((" ", "\n", "\t ", " -- c'\n", '/* " */', " /* a /* b */ */ "))


@given(st.lists(st.tuples(literals, gaps, gaps), min_size=1, max_size=6))
def test_the_normal_text_of_a_query_means_what_the_query_means(parts: list[tuple[str, str, str]]) -> None:
    columns = [before + literal + after for literal, before, after in parts]
    query = f"select f({')  ,f('.join(columns)}) from t"
    tree = tree_of(query)
    assert tree_of(normalize(query)) == tree
    assert normalize(normalize(query)) == normalize(query)
    assert normalize(f"select f({') , f('.join(literal for literal, _, _ in parts)}) from t") == normalize(query)
