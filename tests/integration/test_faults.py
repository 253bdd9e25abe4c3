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

import pytest

from tests.integration.faults import OF_ALL, OF_ONE_SERVICE, Fault
from tests.integration.pipeline import Pipeline
from tests.integration.reader import reading
from tests.integration.recoveries import Recoveries
from tests.integration.stack import Stack
from tests.integration.tables import YEAR_ROWS

DAYS = 366
NEIGHBOURS = 7
# Not RELOADS_SEED: what begins with RELOADS_ has to be a setting.
SEED = "FAULTS_SEED"
RANDOM_SECONDS = 120


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


@contextmanager
def _nobody_notices(pipeline: Pipeline, year: list[Path]) -> Iterator[None]:
    """Whatever happens meanwhile: readers see whole partitions, only those asked for change, and nothing is left."""
    before = pipeline.partitions()
    accepted = {record.id for state in ("accepted", "done") for record in pipeline.records(state)}
    with reading(year) as reader:
        yield
    assert reader.looks > len(year)
    assert reader.odd == []
    assert pipeline.records("accepted") == []
    assert pipeline.records("failed") == []
    assert accepted <= {record.id for record in pipeline.records("done")}
    after = pipeline.partitions()
    assert {path for path in before if after.get(path) != before[path] and not _was_asked_for(path)} == set()
    assert {path for path in after.keys() - before.keys() if not _was_asked_for(path)} == set()
    assert set(pipeline.rows("year").values()) == {YEAR_ROWS}
    assert {path for path in before if path.match("year/day=2024-*/*") and after[path] == before[path]} == set()
    pipeline.wait_for("an empty staging folder", lambda: not pipeline.staged(""))


def _was_asked_for(path: Path) -> bool:
    return path.match("year/day=2024-*/*") or path.match("probe/*/*")


def _drop_year(pipeline: Pipeline, name: str) -> None:
    pipeline.drop(name, table="year", start_date="2024-01-01", end_date="2024-12-31")


def _drop_probe(pipeline: Pipeline, name: str) -> None:
    pipeline.drop(name, table="probe", start_date="2024-06-01")


def test_undisturbed_for_comparison(pipeline: Pipeline, year: list[Path], recoveries: Recoveries) -> None:
    with _nobody_notices(pipeline, year):
        _drop_year(pipeline, "calm-year.json")
        pipeline.wait_for("somebody in the middle of the year", lambda: pipeline.staged("year"))
        since = time.monotonic()
        _drop_probe(pipeline, "calm-probe.json")
        looks = {
            "request done": lambda: pipeline.are_done("calm-probe.json"),
            "year done": lambda: pipeline.are_done("calm-year.json"),
        }
        recoveries.add("undisturbed", pipeline.wait_for_all(looks, since=since))


@pytest.mark.parametrize("fault", [*OF_ONE_SERVICE, *OF_ALL], ids=lambda fault: str(fault.name))
def test_a_reload_of_a_year_comes_through(
    stack: Stack, pipeline: Pipeline, year: list[Path], recoveries: Recoveries, fault: Fault
) -> None:
    slug = re.sub(r"\W+", "-", fault.name)
    with _nobody_notices(pipeline, year):
        _drop_year(pipeline, f"{slug}-year.json")
        pipeline.wait_for("somebody in the middle of the year", lambda: pipeline.staged("year"))
        since = time.monotonic()
        fault.begin(stack)
        _drop_probe(pipeline, f"{slug}-probe.json")
        if fault.end:
            time.sleep(fault.seconds)  # the fault lasts so long
            since = time.monotonic()
            fault.end(stack)
        looks = {
            "all healthy": lambda: not stack.unhealthy(),
            "request done": lambda: pipeline.are_done(f"{slug}-probe.json"),
            "year done": lambda: pipeline.are_done(f"{slug}-year.json"),
        }
        recoveries.add(fault.name, pipeline.wait_for_all(looks, since=since))
    pipeline.wait_for_quiet("year")


def test_a_reload_of_a_year_comes_through_faults_at_random(
    stack: Stack, pipeline: Pipeline, year: list[Path], recoveries: Recoveries
) -> None:
    seed = int(os.environ.get(SEED) or random.SystemRandom().randrange(10**6))
    happened: list[str] = []
    recoveries.note(lambda: f"{SEED}={seed}: {', '.join(happened)}")
    with _nobody_notices(pipeline, year):
        years: list[str] = []
        probes: list[str] = []
        for fault in _faults(stack, pipeline, random.Random(seed)):
            happened.append(fault.name)
            if pipeline.are_done(*years):
                years.append(f"random-{len(years)}-year.json")
                _drop_year(pipeline, years[-1])
            probes.append(f"random-{len(probes)}-probe.json")
            _drop_probe(pipeline, probes[-1])
        looks = {
            "all healthy": lambda: not stack.unhealthy(),
            "request done": lambda: pipeline.are_done(*probes),
            "year done": lambda: pipeline.are_done(*years),
        }
        seconds = pipeline.wait_for_all(looks, since=time.monotonic())
        recoveries.add(f"{len(happened)} at random", seconds)
        # What a crash left in the staging folder is removed by the next run of any table.
        _drop_probe(pipeline, "after-all-probe.json")
        pipeline.wait_for_done("after-all-probe.json")


def _faults(stack: Stack, pipeline: Pipeline, chance: random.Random) -> Iterator[Fault]:
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
