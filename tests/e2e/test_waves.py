"""Waves: a change of the real flights is carried on to the tables that read them, and no further; so is an undo."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from reloads.requests.record import Record
from tests.e2e.pipeline import Pipeline

FOLLOWING = ("daily_delays", "delays_by_weather", "carrier_week")
TABLES = ("flights", "weather", *FOLLOWING)
CORRECTED = "2013-06-10"


def state(pipeline: Pipeline, table: str) -> dict[str, tuple[int, int, str]]:
    """Each published file: its inode, time and content."""
    folder = pipeline.warehouse / table
    files = sorted(folder.rglob("data.parquet"))
    statuses = ((file, file.stat()) for file in files)
    return {
        str(file.parent.relative_to(folder)): (s.st_ino, s.st_mtime_ns, sha256(file.read_bytes()).hexdigest())
        for file, s in statuses
    }


def changed(before: dict[str, tuple[int, int, str]], after: dict[str, tuple[int, int, str]]) -> list[str]:
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def wait_for_end(pipeline: Pipeline, *tables: str) -> None:
    """Wait until nothing is outstanding for these tables and their runs have ended."""
    pipeline.wait_for("the end of the wave", lambda: not [r for r in pipeline.records("accepted") if r.table in tables])
    for table in tables:
        pipeline.wait_for_quiet(table)


@contextmanager
def lines_taken_out(file: Path, count: int) -> Iterator[None]:
    """A raw file without its first lines, until the block ends."""
    before = file.read_text()
    header, *lines = before.splitlines(keepends=True)
    try:
        write(file, "".join([header, *lines[count:]]))
        yield
    finally:
        write(file, before)


def write(file: Path, text: str) -> None:
    beside = file.with_name(".beside")
    beside.write_text(text)
    beside.replace(file)


def command(pipeline: Pipeline, *arguments: str) -> str:
    """What a command of a person prints."""
    environment = {**os.environ, "RELOADS_HOME": str(pipeline.home), "RELOADS_SOURCE": "source"}
    done = subprocess.run(
        [str(Path(sys.executable).with_name("reloads")), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def children(pipeline: Pipeline, parents: Sequence[Record]) -> list[Record]:
    ids = {record.id for record in parents}
    return [r for r in pipeline.records("done") if r.cause and ids & set(r.cause.requests)]


def test_a_corrected_day_changes_the_days_that_depend_on_it_and_no_others_and_an_undo_takes_them_back(
    pipeline: Pipeline,
) -> None:
    pipeline.drop("wave-load.json", table=["flights", "weather"], start_date="2013-06-01", end_date="2013-06-30")
    pipeline.wait_for_done("wave-load.json", records=2)
    wait_for_end(pipeline, *TABLES)
    before = {table: state(pipeline, table) for table in TABLES}

    with lines_taken_out(pipeline.home / "source" / "flights" / f"flight_date={CORRECTED}" / "flights.csv", 10):
        pipeline.drop("wave.json", table="flights", start_date="2013-06-09", end_date="2013-06-11")
        [request] = pipeline.wait_for_done("wave.json")
        wait_for_end(pipeline, *TABLES)
        after = {table: state(pipeline, table) for table in TABLES}
        assert {table: changed(before[table], after[table]) for table in TABLES} == {
            "flights": [f"flight_date={CORRECTED}"],
            "weather": [],
            "daily_delays": [f"flight_date={CORRECTED}"],
            "delays_by_weather": [f"flight_date={CORRECTED}"],
            "carrier_week": [f"week_ending=2013-06-{day}" for day in range(10, 17)],
        }
        assert sorted(child.table for child in children(pipeline, [request])) == sorted(FOLLOWING), "each once"

        pipeline.drop("wave-again.json", table="flights", start_date="2013-06-09", end_date="2013-06-11")
        [again] = pipeline.wait_for_done("wave-again.json")
        wait_for_end(pipeline, *TABLES)
        assert {table: state(pipeline, table) for table in TABLES} == after
        assert (len(again.unchanged), again.children) == (3, ())

        command(pipeline, "undo", request.id)
        wait_for_end(pipeline, *TABLES)
    assert state(pipeline, "flights") == before["flights"], "every byte and time"
    undone = {table: state(pipeline, table) for table in FOLLOWING}
    assert {table: changed(before[table], undone[table]) for table in FOLLOWING} == {
        table: changed(before[table], after[table]) for table in FOLLOWING
    }


def test_a_reload_of_one_key_leaves_the_files_of_the_others_as_they_are(pipeline: Pipeline) -> None:
    day = "2013-03-05"
    pipeline.drop("keys-load.json", table="departures", start_date=day)
    [load] = pipeline.wait_for_done("keys-load.json")
    run = pipeline.rest.tasks("rewrite_departures", load.runs[0])
    assert sum(task["task_id"] == "rewrite" for task in run) == 2, "the keys of the day are rewritten side by side"
    before = state(pipeline, "departures")
    assert sorted(name.partition("/")[2] for name in before) == ["origin=EWR", "origin=JFK", "origin=LGA"]

    with lines_taken_out(pipeline.home / "source" / "flights" / f"flight_date={day}" / "flights.csv", 100):
        pipeline.drop("keys.json", table="departures", start_date=day, keys={"origin": ["EWR"]})
        pipeline.wait_for_done("keys.json")
    assert changed(before, state(pipeline, "departures")) == [f"flight_date={day}/origin=EWR"]


def test_a_day_that_a_check_refuses_keeps_its_rows_and_the_run_is_red(pipeline: Pipeline) -> None:
    days = {"start_date": "2013-04-01", "end_date": "2013-04-03"}
    pipeline.drop("checked-load.json", table="flights", **days)
    pipeline.wait_for_done("checked-load.json")
    before = state(pipeline, "flights")
    file = pipeline.home / "source" / "flights" / "flight_date=2013-04-02" / "flights.csv"
    text = file.read_text()
    try:
        write(file, text + text.splitlines(keepends=True)[1])
        pipeline.drop("checked.json", table="flights", **days)
        [failed] = pipeline.wait_for_records("failed", "checked.json")
    finally:
        write(file, text)
    assert (failed.unchanged.texts(), failed.failed_days.texts()) == (["2013-04-01", "2013-04-03"], ["2013-04-02"])
    assert "the check flights_are_unique of 2013-04-02 says: 1 violation, found 2, expected 1" in failed.failed[0].error
    assert state(pipeline, "flights") == before
    assert pipeline.wait_for_run("rewrite_flights", failed.runs[0]) == "failed"
