"""The hash of the folder of tables: it tells every change, and nothing else."""

from collections.abc import Callable
from pathlib import Path

import pytest

from reloads.tables.folder_digest import MAX_BYTES, digest_tables


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    folder = tmp_path / "tables"
    for name in ("sales", "visits"):
        (folder / name).mkdir(parents=True)
        (folder / name / "query.sql").write_text("select 1")
    (folder / "sources.sql").write_text("create view v as select 1")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "query.sql").write_text("select 1")
    (folder / "linked").symlink_to(elsewhere)
    return folder


CHANGES: dict[str, Callable[[Path], object]] = {
    "a query of the same length": lambda tables: (tables / "sales" / "query.sql").write_text("select 2"),
    "a text": lambda tables: (tables / "sales" / "README.md").write_text("Sold goods."),
    "the shared sources": lambda tables: (tables / "sources.sql").write_text(""),
    "a new folder that is empty": lambda tables: (tables / "new").mkdir(),
    "a folder with another name": lambda tables: (tables / "sales").rename(tables / "sold"),
    "a file that goes": lambda tables: (tables / "visits" / "query.sql").unlink(),
    "a table behind a link": lambda tables: (tables / "linked" / "query.sql").write_text("select 2"),
    "a large file": lambda tables: (tables / "sales" / "README.md").write_text("x" * (MAX_BYTES + 1)),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_every_change_of_a_table_makes_another_hash(tables: Path, change: Callable[[Path], object]) -> None:
    before = digest_tables(tables)
    change(tables)
    assert digest_tables(tables) != before


def test_the_same_content_makes_the_same_hash(tables: Path) -> None:
    before = digest_tables(tables)
    (tables / "sales" / "query.sql").write_text("select 1")
    assert digest_tables(tables) == before


def test_a_folder_that_is_not_there_has_a_hash_too(tmp_path: Path) -> None:
    assert digest_tables(tmp_path / "missing") == digest_tables(tmp_path / "missing")
