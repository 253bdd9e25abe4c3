"""Errors: texts of other programs and long values fit into one sentence."""

from __future__ import annotations

import pytest

from reloads.errors import one_line, shorten


@pytest.mark.parametrize(
    ("text", "line"),
    [
        pytest.param("syntax error.", "syntax error", id="full stop"),
        pytest.param('Binder Error:\n  column\t"n"\n', 'Binder Error: column "n"', id="several lines"),
        pytest.param(ValueError("no day"), "no day", id="an exception"),
        pytest.param("", "", id="empty"),
    ],
)
def test_a_text_of_several_lines_fits_into_a_sentence(text: object, line: str) -> None:
    assert one_line(text) == line


@pytest.mark.parametrize(
    ("text", "short"),
    [("x" * 80, "x" * 80), ("x" * 81, "x" * 79 + "…"), ("", "")],
    ids=["just fits", "too long", "empty"],
)
def test_a_long_value_is_cut_to_what_fits(text: str, short: str) -> None:
    assert shorten(text) == short
