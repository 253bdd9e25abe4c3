"""The warehouse: partitions are replaced whole, and only those that are given."""

import re
from datetime import date
from pathlib import Path

import pytest

from reloads.days import Days
from reloads.errors import QueryError
from reloads.history import Act
from reloads.publish import Publication, publish
from reloads.warehouse import TableFolder

MONDAY, TUESDAY, WEDNESDAY = date(2025, 1, 6), date(2025, 1, 7), date(2025, 1, 8)


@pytest.fixture
def folder(tmp_path: Path) -> TableFolder:
    return TableFolder(tmp_path, "sales", "day")


def staged(folder: TableFolder, *days: date, text: str) -> Publication:
    place = folder.warehouse / ".staging"
    place.mkdir(exist_ok=True)
    files: dict[str, Path | None] = {}
    for day in days:
        (place / f"{day}.parquet").write_text(text)
        files[folder.day_name(day)] = place / f"{day}.parquet"
    return Publication(files, {}, Act({"r": Days.of(days)}, "run"))


def test_a_partition_lies_where_hive_readers_look(folder: TableFolder, tmp_path: Path) -> None:
    assert folder.partition(MONDAY) == tmp_path / "sales/day=2025-01-06/data.parquet"


def test_published_files_are_moved_into_place(folder: TableFolder) -> None:
    publication = staged(folder, MONDAY, TUESDAY, text="new")
    publish(folder, publication)
    names = {"day=2025-01-06": folder.partition(MONDAY), "day=2025-01-07": folder.partition(TUESDAY)}
    assert folder.published() == names
    assert not any(file.exists() for file in publication.staged.values() if file)


def test_only_the_partitions_given_change(folder: TableFolder) -> None:
    publish(folder, staged(folder, MONDAY, TUESDAY, WEDNESDAY, text="old"))
    before = {day: folder.partition(day).stat() for day in (MONDAY, WEDNESDAY)}
    publish(folder, staged(folder, TUESDAY, text="new"))
    assert folder.partition(TUESDAY).read_text() == "new"
    assert {day: folder.partition(day).stat() for day in (MONDAY, WEDNESDAY)} == before


def test_a_reader_that_has_a_partition_open_keeps_the_old_one(folder: TableFolder) -> None:
    publish(folder, staged(folder, MONDAY, text="old"))
    with folder.partition(MONDAY).open() as reader:
        publish(folder, staged(folder, MONDAY, text="new"))
        assert reader.read() == "old"


@pytest.mark.parametrize("stranger", ["part-0.parquet", "notes.txt"])
def test_a_foreign_file_in_a_partition_is_refused_before_anything_is_touched(
    folder: TableFolder, stranger: str
) -> None:
    publish(folder, staged(folder, MONDAY, TUESDAY, text="old"))
    (folder.partition(TUESDAY).parent / stranger).write_text("of somebody else")
    with pytest.raises(QueryError, match=f"day=2025-01-07 holds {stranger} besides data.parquet .*; move it away"):
        publish(folder, staged(folder, MONDAY, TUESDAY, text="new"))
    assert {path.read_text() for path in folder.published().values()} == {"old"}


def test_hidden_files_in_a_partition_are_nobodys_rows(folder: TableFolder) -> None:
    publish(folder, staged(folder, MONDAY, text="old"))
    (folder.partition(MONDAY).parent / ".data.parquet.crc").write_text("")
    publish(folder, staged(folder, MONDAY, text="new"))
    assert folder.partition(MONDAY).read_text() == "new"


@pytest.mark.parametrize("what", ["the partition is a file", "data.parquet is a folder"])
def test_a_day_whose_place_is_taken_is_named_and_the_others_are_published(folder: TableFolder, what: str) -> None:
    target = folder.partition(MONDAY)
    if what == "the partition is a file":
        target.parent.parent.mkdir()
        target.parent.write_text("")
    else:
        target.mkdir(parents=True)
        (target / "x").write_text("")
    kept = publish(folder, staged(folder, MONDAY, TUESDAY, text="new"))
    assert list(kept) == [folder.day_name(MONDAY)]
    assert re.search(r"day=2025-01-06\S* cannot be written \(.+\)", kept[folder.day_name(MONDAY)])
    assert folder.partition(TUESDAY).read_text() == "new"


def test_a_table_that_was_never_written_has_no_partitions(folder: TableFolder) -> None:
    assert folder.published() == {}
