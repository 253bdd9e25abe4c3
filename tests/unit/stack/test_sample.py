"""The sample of raw files: where it is laid out, and where it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples.make_source import FEEDS, make_source
from stack import sample
from stack.errors import StackError


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    for name in ("flights", "weather", "events"):
        (tmp_path / "tables" / name).mkdir(parents=True)
    return tmp_path


def test_it_belongs_to_a_stack_that_uses_the_folders_of_the_clone(clone: Path) -> None:
    assert sample.belongs_to(clone, source=clone / ".local" / "source", tables=clone / "tables")


def test_raw_files_of_ones_own_are_left_alone(clone: Path) -> None:
    assert not sample.belongs_to(clone, source=clone / "source", tables=clone / "tables")


def test_tables_of_ones_own_read_no_sample(clone: Path) -> None:
    assert not sample.belongs_to(clone, source=clone / ".local" / "source", tables=clone / "other")
    (clone / "tables" / "flights").rmdir()
    assert not sample.belongs_to(clone, source=clone / ".local" / "source", tables=clone / "tables")


def test_it_is_complete_once_every_file_is_there_whatever_it_holds(tmp_path: Path) -> None:
    assert not sample.is_complete(tmp_path)
    make_source(tmp_path)
    file = FEEDS[0].file_of_day(tmp_path, FEEDS[0].days[14])
    file.write_text("corrected by hand")
    assert sample.is_complete(tmp_path)
    sample.require(tmp_path)
    assert make_source(tmp_path) == 0
    assert file.read_text() == "corrected by hand"

    file.unlink()
    assert not sample.is_complete(tmp_path)


def test_the_demo_says_how_to_get_the_sample_where_it_is_not(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=f"{tmp_path} lacks files of the sample .* unset RELOADS_SOURCE"):
        sample.require(tmp_path)
