"""Waves: a change of the real flights is carried on to the tables that read them, and no further; so is an undo."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from reloads.requests.record import Record
from tests.support.command import run_command
from tests.support.pipeline import FileState, Pipeline

FOLLOWING = ("daily_delays", "delays_by_weather", "carrier_week")
TABLES = ("flights", "weather", *FOLLOWING)
CORRECTED = "2013-06-10"


def changed(before: Mapping[str, FileState], after: Mapping[str, FileState]) -> list[str]:
    """The partitions that came, went or were written again."""
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def files_of(pipeline: Pipeline, tables: Sequence[str]) -> dict[str, FileState]:
    files: dict[str, FileState] = {}
    for table in tables:
        files |= pipeline.files(table)
    return files


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


def reloads(pipeline: Pipeline, *arguments: str) -> None:
    """Run the command as a person does; fails if it fails."""
    environment = {**os.environ, "RELOADS_HOME": str(pipeline.home), "RELOADS_SOURCE": "source"}
    run_command(str(Path(sys.executable).with_name("reloads")), *arguments, environment=environment)


def children(pipeline: Pipeline, parents: Sequence[Record]) -> list[Record]:
    """The requests that made tables follow these."""
    ids = {record.id for record in parents}
    return [record for record in pipeline.records("done") if record.cause and ids & set(record.cause.requests)]


def test_a_corrected_day_changes_the_days_that_depend_on_it_and_no_others_and_an_undo_takes_them_back(
    pipeline: Pipeline,
) -> None:
    pipeline.drop("wave-load.json", table=["flights", "weather"], start_date="2013-06-01", end_date="2013-06-30")
    pipeline.wait_for_done("wave-load.json", records=2)
    pipeline.wait_for_end_of_work(*TABLES)
    before = files_of(pipeline, TABLES)

    with lines_taken_out(pipeline.source / "flights" / f"flight_date={CORRECTED}" / "flights.csv", 10):
        pipeline.drop("wave.json", table="flights", start_date="2013-06-09", end_date="2013-06-11")
        [request] = pipeline.wait_for_done("wave.json")
        pipeline.wait_for_end_of_work(*TABLES)
        after = files_of(pipeline, TABLES)
        assert changed(before, after) == [
            *(f"carrier_week/week_ending=2013-06-{day}" for day in range(10, 17)),
            f"daily_delays/flight_date={CORRECTED}",
            f"delays_by_weather/flight_date={CORRECTED}",
            f"flights/flight_date={CORRECTED}",
        ]
        assert sorted(child.table for child in children(pipeline, [request])) == sorted(FOLLOWING), "each once"

        pipeline.drop("wave-again.json", table="flights", start_date="2013-06-09", end_date="2013-06-11")
        [again] = pipeline.wait_for_done("wave-again.json")
        pipeline.wait_for_end_of_work(*TABLES)
        assert files_of(pipeline, TABLES) == after
        assert (len(again.unchanged), again.children) == (3, ())

        reloads(pipeline, "undo", request.id)
        pipeline.wait_for_end_of_work(*TABLES)
    undo_ids = {record.id for record in pipeline.records("done") if record.mode == "undo"}
    told = pipeline.wait_for(
        "the event that tells of the undo",
        lambda: [extra for extra in pipeline.rest.events("warehouse/flights") if extra.get("request") in undo_ids],
    )
    assert [(extra["ranges"], extra["requests"]) for extra in told] == [([CORRECTED], 1)]
    undone = files_of(pipeline, TABLES)
    flights = [name for name in undone if name.startswith("flights/")]
    assert flights == [name for name in before if name.startswith("flights/")]
    assert [name for name in flights if undone[name] != before[name]] == [], "every byte and time"
    follows = [name for name in changed(before, after) if not name.startswith("flights/")]
    assert changed(before, undone) == follows


def test_a_reload_of_one_key_leaves_the_files_of_the_others_as_they_are(pipeline: Pipeline) -> None:
    day = "2013-03-05"
    pipeline.drop("keys-load.json", table="departures", start_date=day)
    [load] = pipeline.wait_for_done("keys-load.json")
    # The request is done in the task, which ends a moment later.
    pipeline.wait_for_run("rewrite_departures", load.runs[0])
    tasks = pipeline.rest.tasks("rewrite_departures", load.runs[0])
    states = {(task["task_id"], task["map_index"]): task["state"] for task in tasks}
    one_batch = {("plan", -1): "success", ("rewrite", -1): "skipped", ("settle", -1): "skipped"}
    assert states == one_batch, "the slices of a day are one batch"
    before = pipeline.files("departures")
    assert sorted(name.rpartition("/")[2] for name in before) == ["origin=EWR", "origin=JFK", "origin=LGA"]

    with lines_taken_out(pipeline.source / "flights" / f"flight_date={day}" / "flights.csv", 100):
        pipeline.drop("keys.json", table="departures", start_date=day, keys={"origin": ["EWR"]})
        pipeline.wait_for_done("keys.json")
    assert changed(before, pipeline.files("departures")) == [f"departures/flight_date={day}/origin=EWR"]


def test_a_day_that_a_check_refuses_keeps_its_rows_and_the_run_is_red(pipeline: Pipeline) -> None:
    days = {"start_date": "2013-04-01", "end_date": "2013-04-03"}
    pipeline.drop("checked-load.json", table="flights", **days)
    pipeline.wait_for_done("checked-load.json")
    # Of its own days: a raw file that another test put back is still loaded again, as a correction.
    names = [f"flights/flight_date=2013-04-{day}" for day in ("01", "02", "03")]
    before = [pipeline.files("flights")[name] for name in names]
    file = pipeline.source / "flights" / "flight_date=2013-04-02" / "flights.csv"
    text = file.read_text()
    try:
        write(file, text + text.splitlines(keepends=True)[1])
        pipeline.drop("checked.json", table="flights", **days)
        [failed] = pipeline.wait_for_records("failed", "checked.json")
    finally:
        write(file, text)
    assert (failed.unchanged.texts(), failed.failed_days.texts()) == (["2013-04-01", "2013-04-03"], ["2013-04-02"])
    assert "the check flights_are_unique of 2013-04-02 says: 1 violation, found 2, expected 1" in failed.failed[0].error
    files = pipeline.files("flights")
    assert [files[name] for name in names] == before
    # A run that begins while the file still rests leaves its day to the next one, and has nothing that is refused.
    assert pipeline.wait_for_run("rewrite_flights", failed.runs[-1]) == "failed"
