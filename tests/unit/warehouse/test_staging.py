"""Staging: a folder of one's own that ends with its process, however that ends."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import pytest

from reloads.errors import OperatorError
from reloads.warehouse.staging import remove_abandoned_folders, staging_folder

HOLD = """
import sys
from pathlib import Path
from reloads.warehouse.staging import staging_folder
with staging_folder(Path(sys.argv[1]), "sales") as folder:
    (folder / "half.parquet").write_bytes(b"PAR1")
    print(folder, flush=True)
    sys.stdin.read()
"""


@contextmanager
def holder(warehouse: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Another process that has a staging folder and keeps it until its standard input ends."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(warehouse)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        yield process, Path(process.stdout.readline().strip())
        process.kill()


def test_it_is_empty_outside_every_table_and_gone_at_the_end(tmp_path: Path) -> None:
    with staging_folder(tmp_path, "sales") as one, staging_folder(tmp_path, "sales") as other:
        assert one != other
        assert list(one.iterdir()) == []
        assert one.parent == tmp_path / ".staging"
    assert list((tmp_path / ".staging").iterdir()) == []


def test_it_is_gone_after_an_error_too(tmp_path: Path) -> None:
    def fail() -> None:
        with staging_folder(tmp_path, "sales") as folder:
            (folder / "half.parquet").write_bytes(b"PAR1")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert list((tmp_path / ".staging").iterdir()) == []


def test_that_of_a_killed_process_is_removed_later(tmp_path: Path) -> None:
    with holder(tmp_path) as (process, folder):
        process.kill()
        process.wait()
        assert (folder / "half.parquet").exists()
        assert remove_abandoned_folders(tmp_path) == [folder.name]
    assert list((tmp_path / ".staging").iterdir()) == []
    assert remove_abandoned_folders(tmp_path) == []


def test_that_of_a_living_process_is_never_removed(tmp_path: Path) -> None:
    with holder(tmp_path) as (process, folder), staging_folder(tmp_path, "visits") as own:
        assert remove_abandoned_folders(tmp_path) == []
        assert (folder / "half.parquet").exists()
        assert own.exists()
        process.communicate()
        assert not folder.exists()
        assert process.returncode == 0


def test_removing_beside_many_that_begin_and_end_disturbs_none(tmp_path: Path) -> None:
    ended = Event()

    def remove() -> list[str]:
        removed = []
        while not ended.is_set():
            removed += remove_abandoned_folders(tmp_path)
        return removed

    def use(_: int) -> None:
        with staging_folder(tmp_path, "sales") as folder:
            (folder / "half.parquet").write_bytes(b"PAR1")
            assert (folder / "half.parquet").exists()

    with ThreadPoolExecutor(4) as pool:
        removers = [pool.submit(remove) for _ in range(2)]
        try:
            list(pool.map(use, range(2000)))
        finally:
            ended.set()
        assert [remover.result() for remover in removers] == [[], []]
    assert list((tmp_path / ".staging").iterdir()) == []


def test_an_empty_warehouse_has_nothing_abandoned(tmp_path: Path) -> None:
    assert remove_abandoned_folders(tmp_path / "nowhere") == []


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "warehouse").write_text("a file")
    with (
        pytest.raises(OperatorError, match=r"warehouse/\.staging cannot be written \(.+\); make room or grant access"),
        staging_folder(tmp_path / "warehouse", "sales"),
    ):
        pass
