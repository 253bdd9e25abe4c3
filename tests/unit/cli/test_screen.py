"""How answers look: whatever a text holds, no line of it steers a terminal, and no word is broken at any width."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reloads.cli.answer import (
    Answer,
    Block,
    Branch,
    Branches,
    Column,
    Facts,
    Grid,
    Lines,
    Row,
    count,
    duration,
    megabytes,
)
from reloads.cli.screen import draw, plain_lines, to_json
from reloads.errors import printable

ANY_TEXT = st.text(max_size=30) | st.text("\n\r\t\x1b\x07\x85\x9b\u202e\u2028\u200b a", max_size=30)
HOSTILE = "two\nlines\r\x1b[2J\x1b]0;title\x07\u202e\u200b\x85\x9b\u2028 [bold]:cat: é 日本"
WIDTHS = st.integers(1, 200)


def blocks_of(text: str) -> list[Block]:
    """A block of each kind that holds the text."""
    return [
        Lines([text]),
        Facts([(text, text), (text, [text, text]), (text, None)]),
        Grid((Column(text), Column(text, is_number=True)), [Row((text, 7), (text,)), Row((None, None))]),
        Branches([Branch(text, (Branch(text),))]),
    ]


@given(ANY_TEXT, WIDTHS)
@example(HOSTILE, 80)
def test_nothing_of_a_text_steers_a_terminal(text: str, width: int) -> None:
    drawn = draw(Answer(None, blocks_of(text)), width=width, zone=UTC, has_colors=False)
    assert all(line.isprintable() for line in drawn.split("\n"))


@given(ANY_TEXT)
@example(HOSTILE)
def test_a_row_is_one_line_of_a_pipe_and_a_cell_is_between_tabs(text: str) -> None:
    lines = list(plain_lines(Answer(None, [blocks_of(text)[2]]), zone=UTC))
    assert [line.split("\t") for line in lines] == [[printable(text), "7", printable(text)], ["", ""]]


@given(ANY_TEXT)
@example(HOSTILE)
def test_json_is_printable_and_holds_the_text_as_it_is(text: str) -> None:
    document = to_json({"text": text, "at": datetime(2024, 1, 1, 12, 0, 0, 5, UTC)})
    assert all(line.isprintable() for line in document.split("\n"))
    assert json.loads(document) == {"text": text, "at": "2024-01-01T12:00:00+00:00"}


WORDS = st.lists(st.text("abcdefghij-", min_size=1, max_size=12), min_size=1, max_size=20)


@given(st.lists(WORDS, min_size=1, max_size=4), st.integers(20, 120))
def test_no_word_is_broken_and_no_line_too_wide(notes: list[list[str]], width: int) -> None:
    rows = [Row(("state", index), (" ".join(words),)) for index, words in enumerate(notes)]
    grid = Grid((Column("state"), Column("number", is_number=True)), rows)
    drawn = draw(Answer(None, [grid]), width=width, zone=UTC, has_colors=False)
    assert max(map(len, drawn.split("\n"))) <= width
    told = [word for line in drawn.split("\n") if line.startswith("    ") for word in line.split()]
    assert told == [word for words in notes for word in words]


@given(st.lists(st.integers(1, 30), min_size=1, max_size=8), st.integers(1, 120))
def test_a_column_is_whole_or_named_among_those_left_out(lengths: list[int], width: int) -> None:
    names = [chr(97 + place) * length for place, length in enumerate(lengths)]
    grid = Grid(tuple(map(Column, names)), [Row(tuple(names))], rest="see below")
    header, values, *rest = draw(Answer(None, [grid]), width=width, zone=UTC, has_colors=False).splitlines()
    assert header == values
    shown = header.split()
    assert shown == names[: len(shown)]
    left_out = names[len(shown) :]
    assert " ".join(rest).split("; ")[0] == (f"too narrow for: {', '.join(left_out)}" if left_out else "")


def test_colours_are_there_for_those_who_want_them_only() -> None:
    answer = Answer(None, [Grid((Column("state"),), [Row(("failed",))])])
    assert "\x1b[" in draw(answer, width=80, zone=UTC, has_colors=True)
    assert "\x1b[" not in draw(answer, width=80, zone=UTC, has_colors=False)


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (count(1, "partition"), "1 partition"),
        (count(0, "day"), "0 days"),
        (count(1454, "partition"), "1,454 partitions"),
        (megabytes(0), "0 kB"),
        (megabytes(436), "0.4 kB"),
        (megabytes(36_500_000), "36.5 MB"),
        (duration(0.44), "0.4 s"),
        (duration(125), "2 min 5 s"),
        (duration(7140), "1 h 59 min"),
    ],
)
def test_numbers_are_said_as_people_say_them(said: str, text: str) -> None:
    assert said == text
