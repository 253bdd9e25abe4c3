"""The layout: what is not a table's folder is hidden, so that no table can have its name and no reader opens it."""

from __future__ import annotations

from pathlib import Path

import pytest

from reloads.tables.definition import TABLE_NAME
from reloads.warehouse import layout
from reloads.warehouse.commit_log import tables_with_log

WAREHOUSE = Path("warehouse")


@pytest.mark.parametrize(
    "path",
    [
        layout.staging_root(WAREHOUSE),
        layout.log_folder(WAREHOUSE, "sales"),
        layout.lock_file(WAREHOUSE, "sales"),
        layout.versions_folder(WAREHOUSE, "sales"),
        layout.state_folder(WAREHOUSE, "sales"),
        layout.cursors_folder(WAREHOUSE, "sales"),
        layout.failed_folder(WAREHOUSE, "sales"),
    ],
    ids=str,
)
def test_no_table_can_have_the_name_of_a_folder_of_ours(path: Path) -> None:
    folder = path.relative_to(WAREHOUSE).parts[0]
    assert folder.startswith(".")
    assert not TABLE_NAME.fullmatch(folder)


def test_the_tables_with_a_log_are_listed_in_order(tmp_path: Path) -> None:
    assert tables_with_log(tmp_path) == []
    for table in ("b", "a"):
        layout.log_folder(tmp_path, table).mkdir(parents=True)
        layout.lock_file(tmp_path, table).touch()
    assert tables_with_log(tmp_path) == ["a", "b"]


def test_hidden_folders_are_all_but_those_of_tables(tmp_path: Path) -> None:
    for name in (".versions", ".staging", "sales"):
        (tmp_path / name).mkdir()
    assert sorted(path.name for path in layout.hidden_folders(tmp_path)) == [".staging", ".versions"]
