"""A plan of many days says of each what a look at that day alone would say, whatever lies there and whatever is known.

The days are made at random, each from a few words, and the expected answers are read off those words.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from reloads.inspection.plan_summary import summarize
from reloads.inspection.preview import Preview, preview
from reloads.raw_file import RawFile
from reloads.requests.request import parse_request
from reloads.settings import Settings
from reloads.tables.catalog import Catalog
from reloads.warehouse.access import state_of
from reloads.warehouse.commit import Commit, Entry, Making, Point
from reloads.warehouse.current_view import version_path
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.partitions import TableFolder, folder_of
from reloads.warehouse.state import Head

NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)
FIRST = date(2024, 12, 20)
COUNT = 90
"""Over a year's end, and a month whose number comes again is not far."""
QUERY = "select day, n + getvariable('numbers')[1].length() as n from made"
SOURCES = '[numbers]\nfiles = "numbers/{day}.csv"\noptional = true\n'
LOG = "0123abcd"
FILES = ("ours", "ours", "ours", "a copy", "another", "another as large", "written over", "gone", "a folder")
ENTRIES = ("known", "known", "known", "without a time", "without rows", "not known")
RAW = ("same", "same", "same", "another", "new", "removed", "never there")
VERSIONS = (1, 2, 3)
LACKING = '{"entries": {"day=2025-01-01": {"version": 1}}, "makings": [], "column_sets": []}'


@dataclass
class Day:
    """What is to be of one day."""

    day: date
    file: str
    entry: str
    version: int
    making: str
    """``current``, of an ``older`` query, or ``not known``."""
    read: int
    """Up to which commit of the input it was read; -1 is for one of another log."""
    raw: str
    input_change: int
    """The last commit that changed the day of the input; 0 is for none."""
    rows: int = 3
    is_behind: bool = False
    """Whether the entry is in the log, and not in the files of the state."""
    files: dict[str, RawFile] = field(default_factory=dict)

    @property
    def has_version(self) -> bool:
        return self.entry in ("known", "without a time")

    @property
    def is_of_others(self) -> bool:
        return self.file in ("another", "another as large", "written over")


def make_day(day: date, chance: Random, *, behind: float) -> Day:
    return Day(
        day,
        chance.choice(FILES),
        chance.choice(ENTRIES),
        chance.choice(VERSIONS),
        chance.choice(("current", "current", "current", "older", "not known")),
        chance.choice((-1, 3, 5, 5, 5)),
        chance.choice(RAW),
        chance.choice((0, 1, 2, 3, 4, 5, 6)) if chance.random() < 0.3 else 1,
        is_behind=chance.random() < behind,
    )


@dataclass
class Home:
    """A table that reads another one, three days of it, and raw files by day."""

    settings: Settings
    days: list[Day]

    def why(self, day: Day) -> str | None:
        """By the words of the day and of the two before it."""
        if day.file in ("gone", "a folder"):
            return "a file of it is gone" if day.has_version else "it is missing"
        if not day.has_version or day.is_of_others or day.making == "not known":
            return "it is not known what it was made from"
        if day.making == "older":
            return "the query or its settings changed"
        place = self.days.index(day)
        last = max(each.input_change for each in self.days[max(0, place - 2) : place + 1])
        if last and (day.read == -1 or last > day.read):
            return "made changed"
        path = f"numbers/{day.day}.csv"
        return {
            "same": None,
            "never there": None,
            "another": f"{path} changed",
            "new": f"{path} is new",
            "removed": f"{path} was removed",
        }[day.raw]

    def asked(self, only: str) -> Preview:
        fields = {"table": "reading", "start_date": str(FIRST), "end_date": str(self.days[-1].day), "only": only}
        return preview(self.settings, parse_request(fields), now=NOW)


def make_home(home: Path, chance: Random, *, behind: float = 0.1) -> Home:
    settings = Settings.from_environment(
        {"RELOADS_HOME": str(home), "RELOADS_TIME_ZONE": "UTC", "RELOADS_STABLE_SECONDS": "0.001"}
    )
    for folder in (
        settings.landing,
        settings.tables / "made",
        settings.tables / "reading",
        settings.source / "numbers",
    ):
        folder.mkdir(parents=True)
    (settings.source / "numbers" / "notes.txt").write_text("an empty folder would be one that is away")
    (settings.tables / "sources.toml").write_text(SOURCES)
    for name, query, reads in (
        ("made", "select day, n from given", ""),
        ("reading", QUERY, 'reads = { made = "3 days" }'),
    ):
        (settings.tables / name / "query.sql").write_text(query)
        (settings.tables / name / "table.toml").write_text(f'day_column = "day"\nfirst_day = 2020-01-01\n{reads}\n')
    days = [make_day(FIRST + timedelta(days=number), chance, behind=behind) for number in range(COUNT)]
    (settings.tables / "sources.sql").write_text("create view given as select date '2025-01-01' as day, 1 as n;\n")
    catalog = Catalog.load(settings.tables)
    assert not catalog.broken
    _write_input(folder_of(settings.warehouse, catalog["made"]), days)
    for day in days:
        _write_raw_file(settings, day)
    _write_table(folder_of(settings.warehouse, catalog["reading"]), days, catalog["reading"].version)
    return Home(settings, days)


def _write_input(folder: TableFolder, days: list[Day]) -> None:
    entries: dict[PartitionName, Entry] = {}
    for day in days:
        if day.input_change:
            entries[folder.day_name(day.day)] = Entry(1, day.input_change, 9, None)
    state = state_of(folder)
    state.write_again(entries)
    state.write_head(Head(Point(LOG, 9), day_column="day"))


def _write_raw_file(settings: Settings, day: Day) -> None:
    path = f"numbers/{day.day}.csv"
    file = settings.source / path
    if day.raw in ("same", "another", "new"):
        file.write_text("1\n")
        status = file.stat()
        size = status.st_size + (day.raw == "another")
        recorded = RawFile(size, status.st_mtime_ns, status.st_ctime_ns)
        day.files = {} if day.raw == "new" else {path: recorded}
    elif day.raw == "removed":
        day.files = {path: RawFile(1, 2, 3)}


def _write_table(folder: TableFolder, days: list[Day], definition: str) -> None:
    entries: dict[PartitionName, Entry] = {}
    behind: dict[PartitionName, Entry] = {}
    for day in days:
        entry = _write_day(folder, day, definition)
        if entry is not None:
            (behind if day.is_behind else entries)[folder.day_name(day.day)] = entry
    state = state_of(folder)
    head = Head(Point(LOG, 9), day_column="day")
    state.write_again(entries)
    state.write_head(head)
    if behind:
        state.log.folder.mkdir(parents=True)
        state.log.create(Commit(Point(LOG, 10), folder.table, "load", "run", 1, "day", (), behind))


def _write_day(folder: TableFolder, day: Day, definition: str) -> Entry | None:
    """Put the files of the day where they belong; what is known of it."""
    name, changed_ns = folder.day_name(day.day), 10**18 + day.version
    version, shown = Path(version_path(folder, name, day.version)), folder.file(name)
    version.parent.mkdir(parents=True)
    version.write_text("rows")
    os.utime(version, ns=(changed_ns, changed_ns))
    shown.parent.mkdir(parents=True)
    if day.file == "ours":
        os.link(version, shown)
    elif day.file == "a copy":
        shown.write_text("rows")
        os.utime(shown, ns=(changed_ns, changed_ns))
    elif day.file.startswith("another"):
        shown.write_text("more rows" if day.file == "another" else "ROWS")
        # Linked from elsewhere, as what somebody keeps a copy of.
        os.link(shown, shown.with_name(".kept"))
    elif day.file == "written over":
        os.link(version, shown)
        shown.write_text("more rows")
    elif day.file == "a folder":
        shown.mkdir()
    if day.entry == "not known":
        return None
    inputs = {"made": Point("another", 99) if day.read == -1 else Point(LOG, day.read)}
    making = Making("older" if day.making == "older" else definition, inputs, {}, "run", NOW, day.files)
    return Entry(
        day.version if day.has_version else 0,
        changed=day.version,
        touched=day.version,
        making=None if day.making == "not known" else making,
        rows=day.rows if day.has_version else 0,
        bytes=4 if day.has_version else 0,
        modified_ns=changed_ns if day.entry == "known" else 0,
    )


@pytest.fixture(params=range(8))
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Home:
    return make_home(tmp_path, Random(request.param))


def test_each_day_is_stale_for_the_reason_that_its_own_look_gives(home: Home) -> None:
    expected = []
    for day in home.days:
        why = home.why(day)
        if why == "it is missing":
            expected.append((f"day={day.day}", False, "it was never loaded"))
        else:
            expected.append((f"day={day.day}", why is not None, why or "it is up to date"))
    assert [(line.partition, line.is_planned, line.why) for line in home.asked("stale")] == expected


def test_each_day_is_missing_if_its_own_look_says_so(home: Home) -> None:
    expected = []
    for day in home.days:
        why = home.why(day)
        is_missing = why in ("it is missing", "a file of it is gone")
        expected.append((f"day={day.day}", is_missing, why if is_missing else "it is there"))
    assert [(line.partition, line.is_planned, line.why) for line in home.asked("missing")] == expected


def test_the_sums_of_a_plan_are_those_of_its_partitions(home: Home) -> None:
    asked = home.asked("stale")
    [table] = summarize(asked)
    for part in table.parts:
        lines = [line for line in asked if (line.is_planned, line.why) == (part.is_planned, part.why)]
        assert [f"day={day}" for day in part.days] == [line.partition for line in lines]
        assert part.partitions == len(lines)
        assert part.rows == sum(line.rows or 0 for line in lines)
        assert part.bytes == sum(line.bytes or 0 for line in lines)


def test_rows_are_told_of_what_the_log_speaks_of_alone(home: Home) -> None:
    for day, line in zip(home.days, home.asked("all"), strict=True):
        is_known = day.has_version and not day.is_of_others
        assert line.rows == (day.rows if is_known else None), day
        sizes = {"gone": None, "a folder": None, "another": 9, "written over": 9}
        assert line.bytes == sizes.get(day.file, 4), day


@pytest.mark.parametrize("text", ["", "{", "[]", '{"entries": [], "makings": []}', LACKING])
def test_a_month_whose_file_is_damaged_is_not_known(tmp_path: Path, text: str) -> None:
    home = make_home(tmp_path, Random(0), behind=0)
    state = state_of(TableFolder(home.settings.warehouse, "reading", "day"))
    (state.folder / "2025-01.json").write_text(text)
    for day, line in zip(home.days, home.asked("stale"), strict=True):
        if day.day.month == 1:
            is_there = day.file not in ("gone", "a folder")
            why = "it is not known what it was made from" if is_there else "it was never loaded"
            assert (line.is_planned, line.why) == (is_there, why), day
