"""Raw files that come late, are corrected or go away, while nobody asks for anything."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb

from reloads.requests.record import Record
from tests.e2e.native_stack import NativeStackUnderTest
from tests.support.pipeline import Pipeline

MINUTE = 60
FILES_AT_ONCE = 3650


def days_ago(count: int) -> date:
    return datetime.now(UTC).date() - timedelta(days=count)


def deliver(pipeline: Pipeline, table: str, day: date, amount: int) -> Path:
    """Write a raw file, or replace it, in one rename."""
    file = pipeline.source / table / f"{day}.csv"
    beside = file.with_name(f".{file.name}")
    beside.write_text(f"day,amount\n{day},{amount}\n")
    return beside.replace(file)


def published(pipeline: Pipeline, table: str) -> list[Path]:
    """The files of the partitions, also while others come to them."""
    return list((pipeline.warehouse / table).glob("*/data.parquet"))


def amounts(pipeline: Pipeline, table: str, column: str = "amount") -> dict[date, int]:
    """What readers find in the table."""
    files = [str(file) for file in published(pipeline, table)]
    if not files:
        return {}
    with duckdb.connect() as db:
        query = f"select day::date, {column} from read_parquet($1, hive_partitioning = true)"
        return dict(db.execute(query, [files]).fetchall())


def wait_for_amount(pipeline: Pipeline, table: str, day: date, amount: int, column: str = "amount") -> None:
    def is_there() -> bool:
        return amounts(pipeline, table, column).get(day) == amount

    pipeline.wait_for(f"{amount} on {day} in {table}", is_there)


def arrivals(pipeline: Pipeline, table: str) -> list[Record]:
    """The ended requests that files made."""
    return [record for record in pipeline.records_of_table("done", table) if record.mode == "arrival"]


def wait_for_waiting(pipeline: Pipeline, table: str) -> Record:
    """The accepted request of the table once it waits for raw files."""

    def find() -> Sequence[Record]:
        return [record for record in pipeline.records_of_table("accepted", table) if record.waiting]

    [record] = pipeline.wait_for(f"a request of {table} that waits", find)
    return record


@contextmanager
def away(folder: Path) -> Iterator[None]:
    """A folder that is not there until the block ends."""
    aside = folder.with_name(f"{folder.name}-away")
    folder.rename(aside)
    try:
        yield
    finally:
        aside.rename(folder)


def test_a_file_loads_its_day_and_a_correction_loads_it_again_and_what_reads_it_follows(pipeline: Pipeline) -> None:
    day, older = days_ago(1), days_ago(40)
    deliver(pipeline, "arrived", older, 4)
    deliver(pipeline, "arrived", day, 1)
    wait_for_amount(pipeline, "arrived_totals", day, 1, "total")
    pipeline.wait_for_end_of_work("arrived", "arrived_totals")
    assert amounts(pipeline, "arrived") == {day: 1}, "a day before arrival_days is left"

    deliver(pipeline, "arrived", day, 2)
    wait_for_amount(pipeline, "arrived_totals", day, 2, "total")
    pipeline.wait_for_end_of_work("arrived", "arrived_totals")
    assert [len(record.published) for record in arrivals(pipeline, "arrived")] == [1, 1]

    before = pipeline.files("arrived")
    deliver(pipeline, "arrived", day, 2)
    pipeline.wait_for("the equal file to be looked at", lambda: len(arrivals(pipeline, "arrived")) == 3)
    pipeline.wait_for_end_of_work("arrived", "arrived_totals")
    assert pipeline.files("arrived") == before
    assert len(arrivals(pipeline, "arrived")[-1].unchanged) == 1


def test_a_day_waits_for_its_file_and_is_loaded_within_a_minute_of_its_arrival(pipeline: Pipeline) -> None:
    there, absent = days_ago(3), days_ago(2)
    deliver(pipeline, "awaited", there, 3)
    pipeline.drop("awaited.json", table="awaited", start_date=str(there), end_date=str(absent))
    pipeline.wait_for("the day that is there", lambda: amounts(pipeline, "awaited") == {there: 3})
    pipeline.wait_for_quiet("awaited")
    record = wait_for_waiting(pipeline, "awaited")
    assert [(reason.days.texts(), reason.why) for reason in record.waiting] == [
        ([str(absent)], f"it waits for raw files: awaited/{absent}.csv is not there")
    ]

    deliver(pipeline, "awaited", absent, 2)
    pipeline.wait_for("the late day", lambda: amounts(pipeline, "awaited").get(absent) == 2, seconds=MINUTE)
    [done] = pipeline.wait_for_done("awaited.json")
    assert (len(done.published), done.failed) == (2, ())


def test_files_that_come_while_the_triggerer_is_down_or_right_before_it_is_killed_are_loaded(
    stack: NativeStackUnderTest, pipeline: Pipeline
) -> None:
    first, second = days_ago(5), days_ago(6)
    stack.stop("triggerer")
    deliver(pipeline, "arrived", first, 5)
    stack.start("triggerer")
    wait_for_amount(pipeline, "arrived", first, 5)

    deliver(pipeline, "arrived", second, 6)
    stack.kill("triggerer")
    wait_for_amount(pipeline, "arrived", second, 6)


def test_a_source_folder_that_goes_away_removes_nothing_and_its_days_wait_until_it_is_back(pipeline: Pipeline) -> None:
    day = days_ago(8)
    deliver(pipeline, "arrived", day, 8)
    wait_for_amount(pipeline, "arrived_totals", day, 8, "total")
    pipeline.wait_for_end_of_work("arrived", "arrived_totals")
    before = pipeline.files("arrived") | pipeline.files("arrived_totals")
    count = len(arrivals(pipeline, "arrived"))
    with away(pipeline.source / "arrived"):
        pipeline.drop("away.json", table="arrived", start_date=str(day))
        [reason] = wait_for_waiting(pipeline, "arrived").waiting
        assert "cannot be read (No such file or directory); mount it or grant access" in reason.why
        assert pipeline.files("arrived") | pipeline.files("arrived_totals") == before
    pipeline.wait_for_done("away.json")
    pipeline.wait_for_end_of_work("arrived", "arrived_totals")
    assert pipeline.files("arrived") | pipeline.files("arrived_totals") == before
    assert len(arrivals(pipeline, "arrived")) == count


def test_ten_years_of_files_that_come_at_once_are_one_request(pipeline: Pipeline) -> None:
    days = [days_ago(count) for count in range(1, FILES_AT_ONCE + 1)]
    beside = pipeline.source / ".delivered"
    beside.mkdir()
    for day in days:
        (beside / f"{day}.csv").write_text(f"day,amount\n{day},{day.day}\n")
    for file in beside.iterdir():
        file.rename(pipeline.source / "delivered" / file.name)
    pipeline.wait_for("ten years", lambda: len(published(pipeline, "delivered")) == FILES_AT_ONCE)
    pipeline.wait_for_end_of_work("delivered")
    assert [len(record.published) for record in arrivals(pipeline, "delivered")] == [FILES_AT_ONCE]
    assert amounts(pipeline, "delivered") == {day: day.day for day in days}
