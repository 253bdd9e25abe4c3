"""Publishing: partitions are replaced whole, and only those that are given."""

import re
from datetime import date
from pathlib import Path

import pytest

from reloads.days import Days
from reloads.errors import QueryError
from reloads.warehouse.fingerprint import identity
from reloads.warehouse.history import Act
from reloads.warehouse.ledger import Entry, read_ledger
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.partitions import TableFolder
from reloads.warehouse.publish import Publication, publish

MONDAY, TUESDAY, WEDNESDAY = date(2025, 1, 6), date(2025, 1, 7), date(2025, 1, 8)


@pytest.fixture
def folder(tmp_path: Path) -> TableFolder:
    return TableFolder(tmp_path, "sales", "day")


def staged(folder: TableFolder, *days: date, text: str) -> Publication:
    place = folder.warehouse / ".staging"
    place.mkdir(exist_ok=True)
    files: dict[PartitionName, Path | None] = {}
    for day in days:
        (place / f"{day}.parquet").write_text(text)
        files[folder.day_name(day)] = place / f"{day}.parquet"
    return Publication(files, {}, Act({"r": Days.of(days)}, "run"))


def test_published_files_are_moved_into_place(folder: TableFolder) -> None:
    publication = staged(folder, MONDAY, TUESDAY, text="new")
    publish(folder, publication)
    assert folder.published() == {
        PartitionName("day", MONDAY): folder.partition(MONDAY),
        PartitionName("day", TUESDAY): folder.partition(TUESDAY),
    }
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


def test_partitions_that_vanish_from_one_folder_at_once_leave_nothing_behind(tmp_path: Path) -> None:
    folder = TableFolder(tmp_path, "sales", "day", ("k", "s"))
    names = [PartitionName.of("day", MONDAY, {"k": "a", "s": value}) for value in "xyz"]
    for name in names:
        folder.file(name).parent.mkdir(parents=True)
        folder.file(name).touch()
    gone: dict[PartitionName, Path | None] = dict.fromkeys(names)
    assert publish(folder, Publication(gone, {}, Act({"r": Days.of([MONDAY])}, "run"))) == {}
    assert folder.published() == {}
    assert list(folder.folder.rglob("*")) == [folder.partition_folder(folder.day_name(MONDAY))]


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


def test_the_ledger_says_nothing_of_a_file_that_is_another_by_now(folder: TableFolder) -> None:
    publish(folder, staged(folder, MONDAY, TUESDAY, text="old"))
    names = [folder.day_name(day) for day in (MONDAY, TUESDAY)]
    identities = {name: identity(folder.file(name)) for name in names}
    publish(folder, staged(folder, MONDAY, text="of somebody else"))
    entry = Entry(version="v", inputs={}, checked_at="now")
    act = Act({"r": Days.of([MONDAY, TUESDAY])}, "run")
    refused = publish(folder, Publication({}, dict.fromkeys(names, entry), act, expected=identities))
    assert list(refused) == names[:1]
    assert refused[names[0]].endswith("day=2025-01-06 was rewritten just now; look, and try again")
    assert list(read_ledger(folder.warehouse, folder.table).entries) == names[1:]


@pytest.mark.parametrize("others", [(), ("day=2025-01-06/k1=a/k2=y",)], ids=["the last one", "one of two"])
def test_with_a_partition_the_folders_of_its_keys_go_and_its_day_stays(tmp_path: Path, others: tuple[str, ...]) -> None:
    folder = TableFolder(tmp_path, "sales", "day", ("k1", "k2"))
    removed = PartitionName.of("day", MONDAY, {"k1": "a", "k2": "x"})
    for name in (removed, *map(PartitionName.parse, others)):
        folder.file(name).parent.mkdir(parents=True)
        folder.file(name).touch()
    publish(folder, Publication({removed: None}, {}, Act({"r": Days.of([MONDAY])}, "run")))
    below = sorted(str(path.relative_to(folder.folder)) for path in folder.folder.rglob("*") if path.is_dir())
    kept = ["day=2025-01-06/k1=a", "day=2025-01-06/k1=a/k2=y"] if others else []
    assert below == ["day=2025-01-06", *kept]
