"""The look into the staging folder: files count once they are whole, and whatever lies there costs no batch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from queue import Queue

import duckdb
import pytest

from reloads.days import Days
from reloads.progress import STEPS, BatchProgress
from reloads.rewriting import staging_watch
from reloads.rewriting.meter import Meter
from reloads.rewriting.staging_watch import StagingWatch, watch_staging
from tests.support.sales_home import days
from tests.unit.rewriting.test_stage import stage_of

Told = Queue[BatchProgress]


@pytest.fixture(autouse=True)
def _look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging_watch, "LOOK_EVERY_SECONDS", 0.005)
    monkeypatch.setattr(staging_watch, "LOOK_SHARE", 0)


@pytest.fixture
def told() -> Told:
    return Queue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a batch, with signs in its name that mean something in a pattern."""
    folder = tmp_path / "2025-[01]*"
    folder.mkdir()
    return folder


@pytest.fixture
def watch(folder: Path, told: Told) -> Iterator[StagingWatch]:
    with duckdb.connect() as db, watch_staging(db, folder, Meter(told.put)) as watch:
        yield watch


def write(folder: Path, partition: str, rows: int) -> Path:
    """A whole file of a partition, in one step."""
    file = folder / partition / "data_0.parquet"
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = folder.parent / "beside.parquet"
    duckdb.sql(f"copy (from range({rows})) to '{beside}' (format parquet)")
    beside.rename(file)
    return file


def until(told: Told, rows: int) -> BatchProgress:
    """The first progress with so many rows."""
    while True:
        progress = told.get(timeout=20)
        if sum(progress.rows_by_day.values()) == rows:
            return progress


def test_a_day_is_staged_once_its_file_is_whole(watch: StagingWatch, folder: Path, told: Told) -> None:
    watch.is_last_query = True
    whole = write(folder, "day=2025-01-02", 5).read_bytes()
    assert until(told, 5).staged == days("2025-01-02")
    part = folder / "day=2025-01-01" / "data_0.parquet"
    part.parent.mkdir()
    part.write_bytes(whole[:-2])
    write(folder, "day=2025-01-03", 7)
    assert until(told, 12).staged == days("2025-01-02..2025-01-03")
    part.write_bytes(whole)
    assert until(told, 17).staged == days("2025-01-01..2025-01-03")


def test_with_keys_a_day_waits_for_the_files_that_are_begun(watch: StagingWatch, folder: Path, told: Told) -> None:
    watch.is_last_query = True
    part = folder / "day=2025-01-02" / "origin=JFK" / "data_0.parquet"
    part.parent.mkdir(parents=True)
    part.touch()
    write(folder, "day=2025-01-02/origin=EWR", 5)
    assert until(told, 5).staged == Days()
    whole = write(folder, "day=2025-01-03/origin=EWR", 7).read_bytes()
    assert until(told, 12).staged == days("2025-01-03")
    part.write_bytes(whole)
    assert until(told, 19).staged == days("2025-01-02..2025-01-03")


def test_no_day_is_staged_while_another_query_is_to_bring_files(watch: StagingWatch, folder: Path, told: Told) -> None:
    write(folder, "day=2025-01-02/origin=EWR", 5)
    assert until(told, 5).staged == Days()
    watch.is_last_query = True
    write(folder, "day=2025-01-02/origin=JFK", 6)
    assert until(told, 11).staged == days("2025-01-02")


def test_what_is_not_a_partition_is_passed_over(watch: StagingWatch, folder: Path, told: Told) -> None:
    watch.is_last_query = True
    write(folder, "day=__HIVE_DEFAULT_PARTITION__", 3)
    write(folder, ".", 3)
    broken = folder / "day=2025-01-01" / "data_0.parquet"
    broken.parent.mkdir()
    (folder / "day=2025-01-09").mkdir()
    write(folder, "day=2025-01-02", 5)
    assert until(told, 5).staged == days("2025-01-02")


def test_a_folder_that_is_not_there_yet_or_not_any_more_costs_a_look(tmp_path: Path, told: Told) -> None:
    folder = tmp_path / "later"
    with duckdb.connect() as db, watch_staging(db, folder, Meter(told.put)) as watch:
        watch.is_last_query = True
        write(folder, "day=2025-01-02", 5)
        until(told, 5)


def test_how_much_is_read_is_told_until_the_first_file_is_whole(folder: Path, told: Told) -> None:
    with duckdb.connect(config={"threads": 1}) as db, watch_staging(db, folder, Meter(told.put)):
        db.execute("set enable_progress_bar = true; set enable_progress_bar_print = false")
        db.execute("create table numbers as select hash(i) as h from range(3_000_000) t(i)")
        db.execute("select count(distinct h) from numbers, range(3)").fetchall()
    told.put(BatchProgress("done"))
    percents = [progress.percent for progress in iter(told.get, BatchProgress("done")) if progress.step == "reading"]
    assert any(percent for percent in percents if percent is not None)
    assert all(percent is None or 0 <= percent <= 100 for percent in percents)


MANY_DAYS = """
    select cast(midnight as date) as day, origin, n
    from generate_series(date '2024-01-01', date '2024-12-31', interval 1 day) as d(midnight)
    cross join generate_series(1, 200) as numbers(n) cross join (values ('EWR'), ('JFK')) as origins(origin)
"""
YEAR = days("2024-01-01..2024-12-31")


@pytest.mark.parametrize("toml", ["", 'order_by = ["n"]', 'keys = ["origin"]', 'keys = ["origin"]\nkey_slices = 3'])
def test_a_query_is_told_of_while_it_writes_and_never_more_than_it_writes(
    tmp_path: Path, told: Told, toml: str
) -> None:
    with stage_of(tmp_path, MANY_DAYS, toml) as stage:
        object.__setattr__(stage, "meter", Meter(told.put))
        staged = stage.write(YEAR)
        stage.meter.show("checking")
    rows = sum(file.rows for file in staged.values())
    all_told: list[BatchProgress] = []
    while not told.empty():
        all_told.append(told.get())
    *during, last = all_told
    assert (last.staged, sum(last.rows_by_day.values())) == (YEAR, rows)
    counts = [(len(progress.staged), sum(progress.rows_by_day.values())) for progress in during]
    assert counts == sorted(counts), "it goes back"
    assert any(0 < count < rows for _, count in counts), "it was not told of while it wrote"
    steps = [STEPS.index(progress.step) for progress in during]
    assert steps == sorted(steps)
