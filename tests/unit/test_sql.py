"""Names and texts are quoted so that DuckDB reads back exactly what they were."""

from __future__ import annotations

import duckdb
from hypothesis import example, given
from hypothesis import strategies as st

from reloads.sql import quote_name, quote_text

# DuckDB takes no NUL in a statement, and a lone surrogate is not a character.
characters = st.characters(exclude_categories=["Cs"], exclude_characters="\0")


@given(st.text(characters, max_size=20))
@example("it's '' -- ; \\' done")
def test_a_quoted_text_is_the_text(text: str) -> None:
    with duckdb.default_connection().cursor() as db:
        assert db.execute(f"select {quote_text(text)}").fetchone() == (text,)


@given(st.text(characters, min_size=1, max_size=20))
@example("odd key\"'%")
@example("select")
def test_a_quoted_name_is_the_name(name: str) -> None:
    with duckdb.default_connection().cursor() as db:
        [column] = db.execute(f"select 1 as {quote_name(name)}").description
        assert column[0] == name
