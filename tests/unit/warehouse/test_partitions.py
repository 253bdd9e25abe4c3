"""The partitions of a table: they lie where Hive readers look, and folders of other names are nobody's partitions."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from reloads.days import Days
from reloads.errors import QueryError
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.partitions import TableFolder

MONDAY = date(2025, 1, 6)


@pytest.fixture
def folder(tmp_path: Path) -> TableFolder:
    return TableFolder(tmp_path, "sales", "day")


def test_a_partition_lies_where_hive_readers_look(folder: TableFolder, tmp_path: Path) -> None:
    assert folder.partition(MONDAY) == tmp_path / "sales/day=2025-01-06/data.parquet"


def test_a_table_that_was_never_written_has_no_partitions(folder: TableFolder) -> None:
    assert folder.published() == {}


def test_a_name_is_of_the_table_as_it_is_cut_now() -> None:
    plain, keyed = TableFolder(Path(), "sales", "day"), TableFolder(Path(), "sales", "day", ("k",))
    texts = ["day=2025-01-06", "date=2025-01-06", "day=2025-01-06/k=a", "day=2025-01-06/j=a"]
    names = [PartitionName.parse(text) for text in texts]
    assert [str(name) for name in names if plain.has_form_of(name)] == ["day=2025-01-06"]
    assert [str(name) for name in names if keyed.has_form_of(name)] == ["day=2025-01-06/k=a"]


@pytest.mark.parametrize("name", ["day=2025-13-45", "day=2025-W02-1", "day=2025-01-0x", "date=2025-01-06", "notes"])
def test_a_folder_whose_name_is_not_a_day_is_ignored(folder: TableFolder, name: str) -> None:
    for path in (folder.folder / name / "data.parquet", folder.partition(MONDAY)):
        path.parent.mkdir(parents=True)
        path.touch()
    assert folder.published() == {folder.day_name(MONDAY): folder.partition(MONDAY)}
    assert folder.days() == Days.of([MONDAY])


LAYOUTS: list[tuple[str, tuple[str, ...], str]] = [
    ("day", (), "day=2025-01-06/data.parquet"),
    ("event_day", (), "event_day=2025-01-06/data.parquet"),
    ("day", ("k",), "day=2025-01-06/k=a/data.parquet"),
    ("day", ("j",), "day=2025-01-06/j=a/data.parquet"),
    ("day", ("k", "j"), "day=2025-01-06/k=a/j=b/data.parquet"),
    ("day", ("j", "k"), "day=2025-01-06/j=a/k=b/data.parquet"),
    ("day", ("k", "j", "i"), "day=2025-01-06/k=a/j=b/i=c/data.parquet"),
]


@pytest.mark.parametrize("published", range(len(LAYOUTS)), ids=[text for *_, text in LAYOUTS])
@pytest.mark.parametrize("defined", range(len(LAYOUTS)), ids=[text for *_, text in LAYOUTS])
def test_partitions_by_other_columns_are_refused(tmp_path: Path, defined: int, published: int) -> None:
    day_column, keys, _ = LAYOUTS[defined]
    *_, text = LAYOUTS[published]
    folder = TableFolder(tmp_path, "sales", day_column, keys)
    (folder.folder / text).parent.mkdir(parents=True)
    (folder.folder / text).touch()
    (folder.folder / f"{day_column}=2024-12-31").mkdir()
    (folder.folder / ".tmp=2024-12-31").mkdir()
    (folder.folder / "notes=about").mkdir()
    if defined == published:
        folder.refuse_other_layout()
        return
    with pytest.raises(QueryError) as caught:
        folder.refuse_other_layout()
    columns = " and ".join([day_column, *keys])
    assert f"and the table is partitioned by {columns} now; name the columns in table.toml as " in str(caught.value)


def test_a_table_without_partitions_has_no_layout(tmp_path: Path) -> None:
    TableFolder(tmp_path, "sales", "day").refuse_other_layout()


def test_a_partition_that_another_program_named_is_listed_with_its_own_folder(tmp_path: Path) -> None:
    folder = TableFolder(tmp_path, "sales", "day", ("shop",))
    for text in ("day=2025-01-06/shop=A B", "day=2025-01-06/shop=A%20B"):
        (folder.folder / text).mkdir(parents=True)
        (folder.folder / text / "data.parquet").touch()
    names = folder.names_of(MONDAY)
    assert [str(name) for name in names] == ["day=2025-01-06/shop=A B", "day=2025-01-06/shop=A%20B"]
    assert [name.key_values for name in names] == [{"shop": "A B"}] * 2
    assert all(folder.file(name).is_file() for name in names)
