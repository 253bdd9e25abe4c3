"""Faults in the middle of a reload of a year: nothing asked for is lost, and nothing half-written is seen."""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import duckdb
import pytest

from tests.integration.container_stack import ContainerStack
from tests.integration.faults import OF_ALL, OF_ONE_SERVICE, Fault
from tests.integration.tables import YEAR_ROWS
from tests.support.pipeline import Pipeline
from tests.support.reader import reading
from tests.support.recoveries import Recoveries

DAYS = 366
NEIGHBOURS = 7
OF_THE_YEAR = "year/day=2024-"
# Without an aggregate that trusts the statistics of the file that the query was bound to (a limit of the manual).
QUERY = "select count(*), sum(number), len(list_distinct(list(rewritten_at))), sum(value) from read_parquet($1)"
# All rows, the right ones, and of one rewrite.
EXPECTED = (YEAR_ROWS, YEAR_ROWS * (YEAR_ROWS + 1) // 2, 1)
# Not RELOADS_SEED: what begins with RELOADS_ has to be a setting.
SEED = "FAULTS_SEED"
RANDOM_SECONDS = 45
# A reader who looks all the while takes a processor away from those who recover.
PAUSE_SECONDS = 0.02


@pytest.fixture(scope="module")
def year(pipeline: Pipeline) -> list[Path]:
    """The files of a year that is there, and of the days before and after it."""
    pipeline.drop("year.json", table="year", start_date="2024-01-01", end_date="2024-12-31")
    pipeline.drop("before.json", table="year", start_date="2023-12-25", end_date="2023-12-31")
    pipeline.drop("after.json", table="year", start_date="2025-01-01", end_date="2025-01-07")
    pipeline.wait_for_done("year.json", "before.json", "after.json")
    pipeline.wait_for_quiet("year")
    files = sorted((pipeline.warehouse / "year").rglob("*.parquet"))
    assert len(files) == DAYS + 2 * NEIGHBOURS
    return files


def _look_at_file(connection: duckdb.DuckDBPyConnection, *, file: Path, values: dict[Path, object]) -> list[object]:
    """Nothing if the file is there, is of one rewrite and holds what it held at the first look; else what is there."""
    [(*counts, value)] = connection.execute(QUERY, [str(file)]).fetchall()
    if tuple(counts) == EXPECTED and values.setdefault(file, value) == value:
        return []
    return [(file, counts, value)]


@contextmanager
def _nobody_notices(pipeline: Pipeline, year: list[Path]) -> Iterator[None]:
    """Whatever happens meanwhile: readers see whole partitions, only those asked for change, and nothing is left."""
    before = pipeline.files()
    requests = {record.id for record in [*pipeline.records("accepted"), *pipeline.records("done")]}
    values: dict[Path, object] = {}
    looks = [partial(_look_at_file, file=file, values=values) for file in year]
    with reading(*looks, config={"enable_external_file_cache": False}, pause_seconds=PAUSE_SECONDS) as reader:
        yield
        pipeline.wait_for("a look at each file", lambda: reader.looks_taken > len(year))
    assert reader.oddities == []
    assert pipeline.records("accepted") == []
    assert pipeline.records("failed") == []
    assert requests <= {record.id for record in pipeline.records("done")}
    after = pipeline.files()
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert {name for name in changed if not name.startswith((OF_THE_YEAR, "probe/"))} == set()
    assert {name for name in before if name.startswith(OF_THE_YEAR)} <= changed
    assert after.keys() >= before.keys()
    assert set(pipeline.rows("year").values()) == {YEAR_ROWS}
    pipeline.wait_for("an empty staging folder", lambda: not pipeline.staged())


def _drop_year(pipeline: Pipeline, name: str) -> None:
    pipeline.drop(name, table="year", start_date="2024-01-01", end_date="2024-12-31")


def _drop_probe(pipeline: Pipeline, name: str) -> None:
    pipeline.drop(name, table="probe", start_date="2024-06-01")


def test_undisturbed_for_comparison(pipeline: Pipeline, year: list[Path], recoveries: Recoveries) -> None:
    with _nobody_notices(pipeline, year):
        _drop_year(pipeline, "calm-year.json")
        pipeline.wait_for("a task in the middle of the year", lambda: pipeline.staged("year"))
        since = time.monotonic()
        _drop_probe(pipeline, "calm-probe.json")
        conditions = {
            "request done": lambda: pipeline.are_done("calm-probe.json"),
            "year done": lambda: pipeline.are_done("calm-year.json"),
        }
        recoveries.add("undisturbed", pipeline.wait_for_all(conditions, since=since))


@pytest.mark.parametrize("fault", [*OF_ONE_SERVICE, *OF_ALL], ids=lambda fault: str(fault.name))
def test_a_reload_of_a_year_comes_through(
    stack: ContainerStack, pipeline: Pipeline, year: list[Path], recoveries: Recoveries, fault: Fault
) -> None:
    slug = re.sub(r"\W+", "-", fault.name)
    with _nobody_notices(pipeline, year):
        _drop_year(pipeline, f"{slug}-year.json")
        pipeline.wait_for("a task in the middle of the year", lambda: pipeline.staged("year"))
        since = time.monotonic()
        fault.begin(stack)
        _drop_probe(pipeline, f"{slug}-probe.json")
        if fault.end:
            time.sleep(fault.seconds)  # the fault lasts so long
            since = time.monotonic()
            fault.end(stack)
        conditions = {
            "all healthy": lambda: not stack.unhealthy(),
            "request done": lambda: pipeline.are_done(f"{slug}-probe.json"),
            "year done": lambda: pipeline.are_done(f"{slug}-year.json"),
        }
        recoveries.add(fault.name, pipeline.wait_for_all(conditions, since=since))
    pipeline.wait_for_quiet("year")


def test_a_reload_of_a_year_comes_through_faults_at_random(
    stack: ContainerStack, pipeline: Pipeline, year: list[Path], recoveries: Recoveries
) -> None:
    seed = int(os.environ.get(SEED) or random.SystemRandom().randrange(10**6))
    faults: list[str] = []
    recoveries.note(lambda: f"{SEED}={seed}: {', '.join(faults)}")
    with _nobody_notices(pipeline, year):
        years: list[str] = []
        probes: list[str] = []
        for fault in _faults(stack, pipeline, random.Random(seed)):
            faults.append(fault.name)
            if pipeline.are_done(*years):
                years.append(f"random-{len(years)}-year.json")
                _drop_year(pipeline, years[-1])
            probes.append(f"random-{len(probes)}-probe.json")
            _drop_probe(pipeline, probes[-1])
        conditions = {
            "all healthy": lambda: not stack.unhealthy(),
            "request done": lambda: pipeline.are_done(*probes),
            "year done": lambda: pipeline.are_done(*years),
        }
        seconds = pipeline.wait_for_all(conditions, since=time.monotonic())
        recoveries.add(f"{len(faults)} at random", seconds)
        # What a crash left in the staging folder is removed by the next run of any table.
        _drop_probe(pipeline, "after-all-probe.json")
        pipeline.wait_for_done("after-all-probe.json")


def _faults(stack: ContainerStack, pipeline: Pipeline, chance: random.Random) -> Iterator[Fault]:
    """One after the other, each told right before, whether or not the stack has recovered from the one before."""
    end = time.monotonic() + RANDOM_SECONDS
    while time.monotonic() < end:
        fault = chance.choice(OF_ONE_SERVICE)
        seconds, rest = chance.uniform(1, fault.seconds or 1), chance.uniform(0, 15)
        pipeline.wait_for(f"a running {fault.service}", partial(stack.is_running, fault.service))
        yield fault
        fault.begin(stack)
        if fault.end:
            time.sleep(seconds)
            fault.end(stack)
        time.sleep(rest)
