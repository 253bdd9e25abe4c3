"""The worker: a batch comes out in another process as it would in the task's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reloads.batch import Batch
from reloads.outcome import Outcome
from reloads.progress import BatchProgress
from reloads.runs.worker import rewrite_from_json
from reloads.settings import Settings
from reloads.warehouse.access import state_of
from tests.conftest import DefineTable
from tests.support.sales_home import SalesHome, days

TWO_IN_THE_MORNING = "select timestamptz '2025-01-02 02:00:00+00'::date as day, 1 as n"


def call(settings: Settings, *, note: Path | None) -> Outcome:
    value = {
        "settings": settings.model_dump(mode="json"),
        "table": "sales",
        "version": "as planned",
        "batch": Batch(days("2025-01-01..2025-01-02")).to_json(),
        "run": "run/1",
        "now": "2025-01-03T00:00:00+00:00",
        "note": str(note) if note else None,
    }
    return Outcome.model_validate(rewrite_from_json(value))


@pytest.mark.parametrize(("zone", "day"), [("UTC", "2025-01-02"), ("America/New_York", "2025-01-01")])
def test_the_settings_time_zone_and_the_version_that_was_planned_hold_in_it(
    sales_settings: Settings, define: DefineTable, tmp_path: Path, zone: str, day: str
) -> None:
    define("sales", TWO_IN_THE_MORNING)
    settings = sales_settings.model_copy(update={"time_zone": zone})
    outcome = call(settings, note=tmp_path / "note.json")
    told = BatchProgress.from_json(json.loads((tmp_path / "note.json").read_text()))
    assert (told.staged, sum(told.rows_by_day.values())) == (days(day), 1)
    assert outcome.published == SalesHome(settings).published() == days(day)
    entries = state_of(SalesHome(settings).folder).read_all().entries
    assert {entry.making.definition for entry in entries.values() if entry.making} == {"as planned"}


def test_it_needs_no_drop_folder_where_there_is_none(sales_settings: Settings, define: DefineTable) -> None:
    define("sales", TWO_IN_THE_MORNING)
    landing = sales_settings.home / "elsewhere" / "landing"
    settings = sales_settings.model_copy(update={"sees_landing": False, "landing": landing})
    assert call(settings, note=None).published == SalesHome(settings).published() == days("2025-01-02")
    assert not landing.parent.exists()
