"""The meter: what is written now and what is done add up, and what is given up is taken off."""

from __future__ import annotations

import time
from datetime import date

import pytest

from reloads.days import Days
from reloads.progress import BatchProgress
from reloads.rewriting.meter import Meter
from reloads.warehouse.partition_name import PartitionName
from tests.support.sales_home import days

FIRST, SECOND = date(2025, 1, 1), date(2025, 1, 2)
ONE_DAY, BOTH = days("2025-01-01"), days("2025-01-01..2025-01-02")


def name(day: date, origin: str = "EWR") -> PartitionName:
    return PartitionName.of("day", day, {"origin": origin})


@pytest.fixture
def told() -> list[BatchProgress]:
    return []


@pytest.fixture
def meter(told: list[BatchProgress]) -> Meter:
    return Meter(told.append)


def test_the_rows_of_a_day_are_those_of_all_its_partitions(meter: Meter, told: list[BatchProgress]) -> None:
    meter.count({name(FIRST): 3, name(FIRST, "JFK"): 4, name(SECOND): 5}, complete=ONE_DAY)
    meter.show("writing", 7)
    assert told == [BatchProgress("writing", ONE_DAY, {FIRST: 7, SECOND: 5}, 7)]


def test_what_is_counted_anew_takes_the_place_of_what_was_counted(meter: Meter, told: list[BatchProgress]) -> None:
    for _ in range(2):
        meter.count({name(FIRST): 3}, complete=ONE_DAY)
    meter.show("writing")
    assert told == [BatchProgress("writing", ONE_DAY, {FIRST: 3})]


def test_days_that_are_done_stay_while_others_are_written(meter: Meter, told: list[BatchProgress]) -> None:
    meter.count({name(FIRST): 3}, complete=ONE_DAY)
    meter.keep(ONE_DAY)
    meter.show("reading")
    meter.count({name(SECOND): 5}, complete=days("2025-01-02"))
    meter.show("writing")
    assert told == [
        BatchProgress("reading", ONE_DAY, {FIRST: 3}),
        BatchProgress("writing", BOTH, {FIRST: 3, SECOND: 5}),
    ]


def test_days_that_are_given_up_are_taken_off(meter: Meter, told: list[BatchProgress]) -> None:
    meter.count({name(FIRST): 3, name(SECOND): 5}, complete=BOTH)
    meter.keep(ONE_DAY)
    meter.show("reading")
    meter.count({name(SECOND): 5}, complete=days("2025-01-02"))
    meter.keep(Days())
    meter.show("reading")
    assert told == [BatchProgress("reading", ONE_DAY, {FIRST: 3})] * 2


def test_a_day_without_rows_is_staged_all_the_same(meter: Meter, told: list[BatchProgress]) -> None:
    meter.count({}, complete=ONE_DAY)
    meter.keep(ONE_DAY)
    meter.show("publishing")
    assert told == [BatchProgress("publishing", ONE_DAY, {FIRST: 0})]


def test_the_seconds_of_all_steps_are_those_that_passed() -> None:
    begun = time.monotonic()
    meter = Meter()
    for step in ("reading", "writing", "reading", "publishing"):
        meter.show(step)
    seconds = meter.read_seconds()
    assert set(seconds) == {"starting", "reading", "writing", "publishing"}
    assert 0 <= sum(seconds.values()) <= time.monotonic() - begun + 0.001 * len(seconds)
