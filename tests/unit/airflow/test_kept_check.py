"""The check of all tables that Airflow asks for again and again: a good answer is kept, a bad one never."""

import os
import tempfile
from pathlib import Path

import pytest

from reloads.airflow.kept_check import KEPT_SECONDS, require_good_tables
from reloads.errors import TableError
from reloads.settings import Settings

GOOD = "select date '2025-01-01' as day, 1 as n"
UNBOUND = "select day, missing from (select date '2025-01-01' as day)"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with one good table, and an own folder for temporary files."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    write_query(tmp_path, GOOD)
    return tmp_path


def write_query(home: Path, query: str) -> None:
    folder = home / "tables" / "sales"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "query.sql").write_text(query)
    (folder / "table.toml").write_text('day_column = "day"\nfirst_day = 2024-01-01\n')


def check(home: Path, **environment: str) -> None:
    variables = {"RELOADS_HOME": str(home), **environment}
    require_good_tables(Settings.from_environment(variables), variables)


def kept_answers(home: Path) -> list[Path]:
    return sorted((home / "temporary").glob("*/*"))


def test_a_good_answer_is_kept_for_the_next_time(home: Path) -> None:
    check(home)
    [kept] = kept_answers(home)
    before = kept.stat().st_mtime_ns
    check(home)
    assert kept_answers(home) == [kept]
    assert kept.stat().st_mtime_ns == before


def test_a_table_that_broke_is_told_whatever_was_kept(home: Path) -> None:
    check(home)
    write_query(home, UNBOUND)
    for _ in range(2):
        with pytest.raises(TableError, match="missing"):
            check(home)


def test_a_mended_table_is_good_at_once(home: Path) -> None:
    write_query(home, UNBOUND)
    with pytest.raises(TableError):
        check(home)
    assert kept_answers(home) == []
    write_query(home, GOOD)
    check(home)


def test_an_empty_folder_beside_good_tables_is_told(home: Path) -> None:
    check(home)
    (home / "tables" / "empty").mkdir()
    with pytest.raises(TableError, match="is missing"):
        check(home)


def test_an_answer_for_other_settings_does_not_count(home: Path) -> None:
    check(home)
    check(home, RELOADS_TIME_ZONE="Europe/Berlin")
    assert len(kept_answers(home)) == 2


def break_from_outside(home: Path) -> None:
    """Publish in another layout, which no hash of the tables knows."""
    folder = home / "warehouse" / "sales" / "other_day=2025-01-01"
    folder.mkdir(parents=True)
    (folder / "data.parquet").touch()


def test_a_fault_from_outside_the_tables_is_told_when_the_answer_is_old(home: Path) -> None:
    check(home)
    [kept] = kept_answers(home)
    break_from_outside(home)
    check(home)
    os.utime(kept, (0, kept.stat().st_mtime - KEPT_SECONDS - 1))
    with pytest.raises(TableError):
        check(home)


def test_a_link_in_the_temporary_folder_is_not_an_answer(home: Path) -> None:
    check(home)
    [kept] = kept_answers(home)
    break_from_outside(home)
    (home / "fresh").touch()
    kept.unlink()
    kept.symlink_to(home / "fresh")
    with pytest.raises(TableError):
        check(home)


def test_where_nothing_can_be_kept_the_tables_are_checked_each_time(home: Path) -> None:
    (home / "temporary" / f"reloads-{os.getuid()}").touch()
    check(home)
    write_query(home, UNBOUND)
    with pytest.raises(TableError):
        check(home)
