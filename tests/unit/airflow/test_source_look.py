"""A look at raw files: the days that somebody waits for, and of those the files, the folders and what is wrong."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from reloads.airflow import source_look
from reloads.airflow.arrival_news import Group
from reloads.airflow.source_look import SourceView, find_recent_days, look_at_sources
from reloads.days import Days
from reloads.requests.watermark import write_watermark

TODAY = date(2026, 3, 1)
SOURCES = '[flight_files]\nfiles = "flights/{day}/*.csv"\nmarker = "flights/{day}/_DONE"\n'


class Home:
    """The folders of a deployment, in which a table asks for its days when files arrive."""

    def __init__(self, folder: Path) -> None:
        self.source, self.tables, self.landing = folder / "source", folder / "tables", folder / "landing"
        self.write_sources(SOURCES)
        self.write_table("flights", "on_arrival = true\narrival_days = 2\n")
        self.write("flights/readme.txt")

    def write_sources(self, text: str) -> None:
        self.tables.mkdir(exist_ok=True)
        (self.tables / "sources.toml").write_text(text)

    def write_table(self, name: str, text: str) -> None:
        (self.tables / name).mkdir(parents=True, exist_ok=True)
        (self.tables / name / "table.toml").write_text(text)

    def write(self, path: str) -> Path:
        full = self.source / path
        full.parent.mkdir(parents=True, exist_ok=True)
        full.write_text("x")
        return full

    def await_days(self, table: str, days: object) -> None:
        write_watermark(self.landing, "waiting", table, json.dumps(days))

    def look(self) -> SourceView:
        return look_at_sources(source=self.source, tables=self.tables, landing=self.landing, today=TODAY)

    def patterns(self) -> list[str]:
        return sorted(group.pattern for group in self.look().groups)

    def files(self) -> list[str]:
        files: list[str] = []
        for sight in self.look().groups.values():
            assert sight is not None
            files += sight.files
        return sorted(files)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_the_last_days_up_to_today_are_watched_and_no_day_to_come(home: Home) -> None:
    days = ["2026-02-27", "2026-02-28", "2026-03-01"]
    assert home.patterns() == [f"flights/{day}/*.csv" for day in days]


def test_the_table_that_looks_back_furthest_decides(home: Home) -> None:
    home.write_table("weather", "on_arrival = true\n")
    home.write_table("yearly", "arrival_days = 365\n")
    home.write_table("broken", "on_arrival = true\narrival_days = ")
    home.write_table("odd", 'on_arrival = true\narrival_days = "400"\n')
    home.write_table("odder", "on_arrival = true\narrival_days = -400\n")
    assert find_recent_days(home.tables, today=TODAY) == Days.between(TODAY - timedelta(days=31), TODAY)


def test_without_a_table_that_loads_what_arrives_only_awaited_days_are_watched(home: Home) -> None:
    home.write_table("flights", "arrival_days = 2\n")
    assert home.patterns() == []
    home.await_days("flights", {"flight_files": ["2013-01-05", "2013-01-07..2013-01-08"], "unknown": ["2013-01-09"]})
    home.await_days("delays", {"flight_files": ["2013-01-06"]})
    assert home.patterns() == [f"flights/2013-01-0{day}/*.csv" for day in (5, 6, 7, 8)]


@pytest.mark.parametrize("text", ["{", "[]", '{"flight_files": "2013-01-05"}', '{"flight_files": [5]}', "\xff"])
def test_awaited_days_that_cannot_be_read_are_said_and_the_others_are_watched(home: Home, text: str) -> None:
    home.await_days("delays", {"flight_files": ["2013-01-06"]})
    home.await_days("flights", {})
    (home.landing / ".watermarks" / "waiting-flights").write_bytes(text.encode("latin-1"))
    view = home.look()
    assert Group("flight_files", "flights/2013-01-06/*.csv") in view.groups
    assert list(view.troubles) == ["awaited flights"]


def test_of_absurdly_many_days_the_newest_are_watched(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_look, "MAX_DAYS", 3)
    home.await_days("flights", {"flight_files": ["0001-01-01..9999-12-31"]})
    assert home.patterns() == [f"flights/9999-12-{day}/*.csv" for day in (29, 30, 31)]


def test_a_file_for_a_month_is_looked_at_once(home: Home) -> None:
    home.write_sources('[weather]\nfiles = "weather/{month}.csv"\n')
    home.write("weather/2026-02.csv")
    assert home.patterns() == ["weather/2026-02.csv", "weather/2026-03.csv"]
    assert home.files() == ["weather/2026-02.csv"]


def test_only_files_that_the_template_names_are_seen_and_markers_apart(home: Home) -> None:
    home.write_sources('[flight_files]\nfiles = "flights/{day}/[1]*"\nmarker = "flights/{day}/[1]DONE"\n')
    for name in ("[1]a.csv", "[1]DONE", "1a.csv", ".[1]a.csv"):
        home.write(f"flights/2026-03-01/{name}")
    home.write("flights/2013-03-01/[1]a.csv")
    (home.source / "flights/2026-03-01/[1]folder").mkdir()
    os.mkfifo(home.source / "flights/2026-03-01/[1]pipe")
    assert home.files() == ["flights/2026-03-01/[1]a.csv"]
    sight = home.look().groups[Group("flight_files", "flights/2026-03-01/[1]*")]
    assert sight is not None
    assert list(sight.markers) == ["flights/2026-03-01/[1]DONE"]


def test_the_folders_on_the_way_are_those_that_are_there(home: Home) -> None:
    home.write_sources('[clicks]\nfiles = "clicks/{day:%Y/%m/%d}/*.json"\n')
    home.write("clicks/2026/02/28/a.json")
    home.write("clicks/2026/01/05/a.json")
    ways = ["", "clicks", "clicks/2026", "clicks/2026/02", "clicks/2026/02/28"]
    assert home.look().folders == {home.source / way for way in ways}


def remove_it(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


def empty_it(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def put_a_file_there(folder: Path) -> None:
    remove_it(folder)
    folder.write_text("x")


@pytest.mark.parametrize("harm", [remove_it, empty_it, put_a_file_there])
def test_of_a_folder_that_is_away_or_empty_nothing_can_be_said_and_the_folder_above_is_heard(
    home: Home, harm: Callable[[Path], None]
) -> None:
    home.write_sources(SOURCES + '[weather]\nfiles = "weather/{day}.csv"\n')
    home.write("weather/2026-03-01.csv")
    harm(home.source / "flights")
    view = home.look()
    assert {group.source for group, sight in view.groups.items() if sight is None} == {"flight_files"}
    assert {group.source for group, sight in view.groups.items() if sight is not None} == {"weather"}
    assert home.source in view.folders
    [(subject, sentence)] = view.troubles.items()
    assert subject == str(home.source / "flights")
    assert sentence.startswith(f"the folder {subject} ")


def test_a_path_that_cannot_be_looked_at_concerns_its_own_day(home: Home) -> None:
    home.write_sources('[flight_files]\nfiles = "flights/{day}.csv"\n')
    home.write("flights/2026-03-02.csv")
    (home.source / "flights" / "2026-03-01.csv").symlink_to("2026-03-01.csv")
    view = home.look()
    assert [group.pattern for group, sight in view.groups.items() if sight is None] == ["flights/2026-03-01.csv"]
    [sentence] = view.troubles.values()
    assert sentence.endswith("cannot be looked at (Too many levels of symbolic links); grant access or mend it")


def test_a_broken_section_is_said_and_the_others_go_on(home: Home) -> None:
    home.write_sources(SOURCES + '[weather]\nfiles = "weather.csv"\n')
    view = home.look()
    assert {group.source for group in view.groups} == {"flight_files"}
    assert list(view.troubles) == ["section weather"]


@pytest.mark.parametrize("text", ["[", None])
def test_without_readable_sources_nothing_is_watched(home: Home, text: str | None) -> None:
    if text is None:
        (home.tables / "sources.toml").unlink()
    else:
        home.write_sources(text)
    view = home.look()
    assert (view.groups, view.folders) == ({}, frozenset())
    assert list(view.troubles) == ([] if text is None else ["file"])


def test_no_folder_is_listed_but_those_on_the_way_of_a_star(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    for day in ("2026-03-01", "2013-01-05"):
        home.write(f"flights/{day}/a.csv")
    home.write_sources('[flight_files]\nfiles = "flights/{day}/*.csv"\n[weather]\nfiles = "weather/{day}.csv"\n')
    home.write("weather/2026-03-01.csv")
    listed: list[Path] = []
    iterdir = Path.iterdir

    def note(folder: Path) -> Iterator[Path]:
        listed.append(folder)
        return iterdir(folder)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "iterdir", note)
        assert home.files() == ["flights/2026-03-01/a.csv", "weather/2026-03-01.csv"]
    assert listed == [home.source / "flights/2026-03-01"]
