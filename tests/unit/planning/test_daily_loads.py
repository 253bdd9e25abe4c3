"""A daily load waits for its inputs: what a look announces is what a plan finds to run, and a model says the same."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reloads.days import Days
from reloads.planning.runnable_requests import leave_out_waiting, runnable_records
from reloads.requests.intake import collect_requests
from reloads.requests.record import Mode, Record
from reloads.settings import Settings
from reloads.tables.catalog import Catalog
from reloads.tables.lineage import Lineage

NOW = datetime(2024, 7, 1, tzinfo=UTC)
FIRST = date(2024, 6, 1)
TABLES = "abcde"
WINDOWS = st.sampled_from([1, 2, 3, 7])
ASKED_ALONE: list[Mode] = [mode for mode in get_args(Mode) if mode not in ("daily", "cascade")]
"""Whoever asks so asks for a table alone, and waits for nobody. No look accepts a cascade."""

Windows = dict[str, dict[str, int]]


@dataclass(frozen=True)
class Load:
    """What is asked for: these days of a table, counted from the first."""

    table: str
    mode: Mode
    days: frozenset[int]

    def record(self, number: int) -> Record:
        days = Days.of(FIRST + timedelta(days=day) for day in self.days)
        return Record(id=str(number), mode=self.mode, table=self.table, days=days, accepted_at=NOW)


@st.composite
def windows(draw: st.DrawFn) -> Windows:
    """Tables that read some of those before them, and how many days of each."""
    inputs: Windows = {}
    for place, table in enumerate(TABLES):
        names = draw(st.sets(st.sampled_from(TABLES[:place]))) if place else set()
        inputs[table] = {name: draw(WINDOWS) for name in sorted(names)}
    return inputs


modes: st.SearchStrategy[Mode] = st.sampled_from(["daily", "daily", "daily", *ASKED_ALONE])
some_days = st.frozensets(st.integers(0, 9), min_size=1, max_size=4)
loads = st.lists(st.builds(Load, st.sampled_from(TABLES), modes, some_days), max_size=8)


def goes_into(inputs: Windows, table: str, day: int) -> set[tuple[str, int]]:
    """Each day of each table that one day of a table is made of, near or far."""
    parts: set[tuple[str, int]] = set()
    for name, window in inputs[table].items():
        for earlier in range(window):
            parts |= {(name, day - earlier)} | goes_into(inputs, name, day - earlier)
    return parts


def begun_by_the_model(inputs: Windows, asked: list[Load]) -> dict[int, set[int]]:
    """By the place of each load that has something to do now, the days that it need not wait with."""
    open_days = {(load.table, day) for load in asked for day in load.days}
    begun: dict[int, set[int]] = {}
    for place, load in enumerate(asked):
        waits = load.mode == "daily"
        free = {day for day in load.days if not waits or not goes_into(inputs, load.table, day) & open_days}
        if free:
            begun[place] = free
    return begun


@given(windows(), loads)
def test_a_look_announces_and_a_plan_runs_what_the_model_begins(inputs: Windows, asked: list[Load]) -> None:
    lineage, records = Lineage(inputs), [load.record(place) for place, load in enumerate(asked)]
    begun = begun_by_the_model(inputs, asked)
    assert {int(record.id) for record in leave_out_waiting(records, lineage)} == begun.keys()
    runnable: dict[int, set[int]] = {}
    for table in TABLES:
        of_table = [record for record in records if record.table == table]
        for record in runnable_records(of_table, everything=records, lineage=lineage):
            runnable[int(record.id)] = {(day - FIRST).days for day in record.outstanding}
    assert runnable == begun


LINEAGE = Lineage({"totals": {"sales": 1}, "week": {"totals": 7}, "sales": {}, "visits": {}})


def load(text: str, *, drop: str | None = None) -> Record:
    """``"sales daily 1 2"``: a table, how it is asked for, and the first and last day of June."""
    table, mode, first, last = text.split()
    days = Days.between(date(2024, 6, int(first)), date(2024, 6, int(last)))
    fields = {"id": text, "accepted_at": NOW, "mode": mode, "table": table, "days": days, "drop": drop}
    return Record.model_validate(fields)


@pytest.mark.parametrize(
    ("asked", "announced"),
    [
        pytest.param(["sales daily 1 1", "totals daily 1 1"], ["sales"], id="it waits for its input"),
        pytest.param(["week daily 1 1", "sales daily 1 1"], ["sales"], id="and for the inputs of that"),
        pytest.param(["totals daily 1 1", "visits daily 1 1"], ["totals", "visits"], id="it reads none of them"),
        pytest.param(["sales daily 2 2", "totals daily 1 1"], ["sales", "totals"], id="it needs other days"),
        pytest.param(["sales daily 2 2", "totals daily 1 2"], ["sales", "totals"], id="one of its days does not wait"),
        pytest.param(["sales landing 1 2", "totals daily 1 2"], ["sales"], id="whoever asks for the input"),
        pytest.param(["sales daily 1 1", "totals landing 1 1"], ["sales", "totals"], id="somebody waits for an answer"),
    ],
)
def test_a_daily_load_that_waits_for_others_of_the_same_look_is_announced_by_whoever_ends_those(
    asked: list[str], announced: list[str]
) -> None:
    assert [record.table for record in leave_out_waiting([load(text) for text in asked], LINEAGE)] == announced


def test_tables_of_one_dropped_file_are_all_announced_though_one_waits_for_another() -> None:
    records = [load("sales landing 1 1", drop="x"), load("totals landing 1 1", drop="x")]
    assert [record.table for record in leave_out_waiting(records, LINEAGE)] == ["sales", "totals"]
    assert runnable_records(records[1:], everything=records, lineage=LINEAGE) == []


def test_a_look_leaves_out_what_it_is_told_to(tmp_path: Path) -> None:
    settings = Settings.from_environment({"RELOADS_HOME": str(tmp_path)})
    records = [load("sales daily 1 1"), load("totals daily 1 1")]
    intake = collect_requests(
        settings,
        Catalog({}, {}),
        clock=lambda: NOW,
        leave_out=lambda accepted, _: [record for record in accepted if record.table == "totals"],
        ask=lambda **_: records,
    )
    assert [announcement.table for announcement in intake.announce] == ["totals"]
