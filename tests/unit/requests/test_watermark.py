"""Watermarks: the last text written, by kind and table, out of sight of who drops files."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from reloads.days import parse_day
from reloads.errors import OperatorError
from reloads.requests.drop_folder import list_request_files
from reloads.requests.watermark import read_watermark, write_watermark


def test_there_is_no_watermark_before_the_first(tmp_path: Path) -> None:
    assert read_watermark(tmp_path, "daily", "sales", parse_day) is None


def test_the_last_watermark_counts(tmp_path: Path) -> None:
    write_watermark(tmp_path, "daily", "sales", "2024-06-29")
    write_watermark(tmp_path, "daily", "sales", "2024-06-30")
    assert read_watermark(tmp_path, "daily", "sales", parse_day) == date(2024, 6, 30)


def test_kinds_and_tables_have_watermarks_of_their_own(tmp_path: Path) -> None:
    write_watermark(tmp_path, "daily", "sales", "2024-06-29")
    assert read_watermark(tmp_path, "events", "sales", parse_day) is None
    assert read_watermark(tmp_path, "daily", "visits", parse_day) is None


def test_watermarks_are_no_requests(tmp_path: Path) -> None:
    write_watermark(tmp_path, "daily", "sales", "2024-06-29")
    assert list_request_files(tmp_path) == []


def test_a_watermark_that_cannot_be_written_is_the_operators_to_mend(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"daily-xx+ cannot be written \(File name too long\); make room"):
        write_watermark(tmp_path, "daily", "x" * 300, "2024-06-29")


def test_a_watermark_without_meaning_is_named(tmp_path: Path) -> None:
    write_watermark(tmp_path, "daily", "sales", "soon")
    with pytest.raises(OperatorError, match=r"daily-sales holds 'soon', which is not a watermark; remove it"):
        read_watermark(tmp_path, "daily", "sales", parse_day)
