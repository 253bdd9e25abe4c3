"""Late days of daily tables: told once each, and once more when they came."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from reloads.requests.outbox import Outbox
from reloads.requests.request import parse_request
from reloads.runs.late_days import note_late_days
from reloads.runs.local_run import run_locally
from reloads.settings import EVENTS, Settings
from reloads.tables.catalog import Catalog
from tests.conftest import THREE_ROWS_A_DAY, define_table
from tests.support.process_kill import Killed, killed_after

DAILY = 'daily = true\ndue = "06:30"'


class Home:
    """A daily table that is due at half past six, and the notes of its late days."""

    def __init__(self, home: Path, *, zone: str = "UTC", toml: str = DAILY) -> None:
        define_table(home / "tables", "sales", THREE_ROWS_A_DAY, toml)
        (home / "landing").mkdir()
        self.settings = Settings.from_environment({"RELOADS_HOME": str(home), "RELOADS_TIME_ZONE": zone})
        self.box = Outbox(self.settings.landing)
        self.box.open(EVENTS)

    def look(self, time: str) -> list[str]:
        """What is told at that time, each note taken away."""
        note_late_days(self.settings, Catalog.load(self.settings.tables), now=at(time))
        return self.take()

    def take(self) -> list[str]:
        told: list[str] = []
        for note in self.box.notes():
            told.append(f"{note.kind} {', '.join(note.content['days'])}")
            self.box.remove(note)
        return told

    def load(self, first: str, last: str | None = None) -> None:
        request = parse_request({"table": "sales", "start_date": first, "end_date": last or first})
        run_locally(self.settings, request)
        self.box.open([])
        self.box.open(EVENTS)


def at(time: str) -> datetime:
    return datetime.fromisoformat(time).replace(tzinfo=UTC)


def loaded(home: Home, *days: str) -> None:
    """Load days, whose ends are not of interest, and keep what was looked at."""
    kept = (home.box.folder / "late.json").read_bytes() if (home.box.folder / "late.json").exists() else None
    for day in days:
        home.load(day)
    if kept:
        (home.box.folder / "late.json").write_bytes(kept)


def test_a_day_is_told_once_after_its_time(tmp_path: Path) -> None:
    home = Home(tmp_path)
    loaded(home, "2025-01-09")
    assert home.look("2025-01-11T06:29") == []
    assert home.look("2025-01-11T06:30") == ["late 2025-01-10"]
    assert home.look("2025-01-11T06:31") == []
    assert home.look("2025-01-11T23:59") == []
    assert home.look("2025-01-12T06:30") == ["late 2025-01-11"]


def test_a_day_that_is_published_in_time_is_not_told(tmp_path: Path) -> None:
    home = Home(tmp_path)
    loaded(home, "2025-01-09", "2025-01-10")
    assert home.look("2025-01-11T06:30") == []
    assert home.look("2025-01-11T12:00") == []


def test_a_late_day_that_came_is_told_once(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert home.look("2025-01-11T06:30") == ["late 2025-01-10"]
    loaded(home, "2025-01-10")
    assert home.look("2025-01-11T09:00") == ["came 2025-01-10"]
    assert home.look("2025-01-11T09:01") == []


def test_the_first_look_tells_of_the_newest_day_only(tmp_path: Path) -> None:
    assert Home(tmp_path).look("2025-01-11T12:00") == ["late 2025-01-10"]


def test_after_an_outage_of_those_who_tell_all_days_since_are_told_at_once(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.look("2025-01-11T12:00")
    assert home.look("2025-01-14T12:00") == ["late 2025-01-11..2025-01-13"]


def test_a_day_that_is_late_for_a_month_is_let_go_silently(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.look("2025-01-11T12:00")
    told = home.look("2025-03-11T12:00")
    assert told == ["late 2025-02-07..2025-03-10"]


def test_the_time_is_that_of_the_zone(tmp_path: Path) -> None:
    home = Home(tmp_path, zone="America/New_York")
    assert home.look("2025-01-11T11:29") == ["late 2025-01-09"]
    assert home.look("2025-01-11T11:30") == ["late 2025-01-10"]


@pytest.mark.parametrize("toml", ["daily = true", 'due = "06:30"'], ids=["no due", "not daily"])
def test_only_daily_tables_that_say_when_are_looked_at(tmp_path: Path, toml: str) -> None:
    home = Home(tmp_path, toml=toml)
    assert home.look("2025-01-11T12:00") == []


def test_no_day_before_the_first_is_late(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert home.look("2024-01-01T12:00") == []
    assert home.look("2024-01-02T12:00") == ["late 2024-01-01"]


def test_what_was_looked_at_and_is_not_ours_is_looked_at_anew(tmp_path: Path) -> None:
    home = Home(tmp_path)
    (home.box.folder / "late.json").write_text("[1]")
    assert home.look("2025-01-11T12:00") == ["late 2025-01-10"]


def test_wherever_the_look_is_killed_a_day_is_one_note(tmp_path: Path) -> None:
    for steps in range(100):
        (tmp_path / str(steps)).mkdir()
        home = Home(tmp_path / str(steps))
        catalog = Catalog.load(home.settings.tables)
        try:
            with killed_after(steps, home.settings.home):
                note_late_days(home.settings, catalog, now=at("2025-01-11T12:00"))
            break
        except Killed:
            assert home.look("2025-01-11T12:01") == ["late 2025-01-10"]
            assert home.look("2025-01-11T12:02") == []
    assert steps >= 2
