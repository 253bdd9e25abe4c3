"""The note of paused tables: whole, and nothing once it is old."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reloads.requests.paused_tables import NOTE, note_paused, read_paused

NOW = datetime(2025, 3, 1, tzinfo=UTC)


def test_what_was_noted_lately_is_read(tmp_path: Path) -> None:
    note_paused(tmp_path, {"sales", "visits"}, now=NOW)
    assert read_paused(tmp_path, now=NOW + timedelta(seconds=59)) == {"sales", "visits"}
    note_paused(tmp_path, [], now=NOW)
    assert read_paused(tmp_path, now=NOW) == frozenset()


@pytest.mark.parametrize("seconds", [60, 3600, -60])
def test_an_old_note_says_nothing_and_one_of_another_clock_neither(tmp_path: Path, seconds: int) -> None:
    note_paused(tmp_path, {"sales"}, now=NOW)
    assert read_paused(tmp_path, now=NOW + timedelta(seconds=seconds)) == frozenset()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"at": "soon", "tables": []}', '{"at": "2025-03-01T00:00Z"}'])
def test_a_note_that_is_not_one_says_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / NOTE).parent.mkdir()
    (tmp_path / NOTE).write_text(content)
    assert read_paused(tmp_path, now=NOW) == frozenset()


def test_nothing_is_left_beside_it(tmp_path: Path) -> None:
    note_paused(tmp_path, {"sales"}, now=NOW)
    assert [path.name for path in (tmp_path / NOTE).parent.iterdir()] == ["paused.json"]
