"""Errors: texts of other programs and long values fit into one sentence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reloads.errors import one_line, printable, shorten


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


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("a\nb\r\tc", r"a\nb\r\tc", id="line breaks"),
        pytest.param("\x1b[31m\x07\x9b\x85", r"\x1b[31m\x07\x9b\x85", id="terminal codes"),
        pytest.param("a\u202eb\u2066c\u200bd\ufeff", r"a\u202eb\u2066c\u200bd\ufeff", id="not seen"),
        pytest.param("\u2028\u2029\U000e0041", r"\u2028\u2029\U000e0041", id="other lines and tags"),
        pytest.param("\ud800\udcff", r"\ud800\udcff", id="lone surrogates"),
        pytest.param(
            "Zürich e\u0301 Ελλάδα 東京 नमस्ते عربى 🛫", "Zürich e\u0301 Ελλάδα 東京 नमस्ते عربى 🛫", id="scripts"
        ),
        pytest.param("", "", id="empty"),
    ],
)
def test_a_text_is_shown_with_what_is_not_printable_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text(st.characters(codec=None)))
def test_any_text_is_shown_on_one_line(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert shown.encode().decode() == shown
