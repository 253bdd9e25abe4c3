"""Following: whatever happened in between, each change is asked for, and nothing twice."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reloads.days import Days
from reloads.errors import OperatorError
from reloads.requests.queue import Queue
from reloads.requests.record import Record
from reloads.runs.following import begin_to_follow, follow
from reloads.settings import Settings
from reloads.tables.catalog import Catalog
from reloads.warehouse.access import state_of
from reloads.warehouse.commit import Making
from reloads.warehouse.commit_log import CommitLog
from reloads.warehouse.cursors import Cursor, followers
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.partitions import TableFolder
from reloads.warehouse.publication import NewFile, Publication
from reloads.warehouse.publishing import publish
from tests.conftest import define_table
from tests.support.process_kill import SCRATCH, Killed, killed_after

FIRST = date(2025, 1, 1)
NOW = datetime(2025, 3, 1, 12, tzinfo=UTC)
DAY = "select date '2025-01-01' as day, 1 as v"
SUMS = "select day, sum(v) as total from base group by day"
WEEKS = ("sums", 1), ("weeks", 3)
"""The downstream tables, and how many days of the input a day of each depends on."""


@dataclass
class Warehouse:
    """A table ``base``, and two that read it."""

    home: Path
    number: int = 0
    asked: dict[str, list[Record]] = field(default_factory=lambda: {name: [] for name, _ in WEEKS})

    def __post_init__(self) -> None:
        define_table(self.tables, "base", DAY)
        define_table(self.tables, "sums", SUMS)
        define_table(self.tables, "weeks", SUMS, 'reads = { base = "3 days" }')
        self.settings.landing.mkdir()

    @property
    def tables(self) -> Path:
        return self.home / "tables"

    @property
    def settings(self) -> Settings:
        return Settings.from_environment({"RELOADS_HOME": str(self.home), "RELOADS_TIME_ZONE": "UTC"})

    @property
    def folder(self) -> TableFolder:
        return TableFolder(self.settings.warehouse, "base", "day")

    @property
    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.number)

    def publish(self, offsets: set[int], *, text: str = "", cascade: bool = True, request: str = "r") -> None:
        """Publish these days of ``base``, with new rows unless ``text`` says what they are."""
        self.number += 1
        place = self.settings.warehouse / ".staging"
        place.mkdir(parents=True, exist_ok=True)
        files: dict[date, Path] = {}
        for offset in offsets:
            path = place / f"{offset}.parquet"
            path.write_text(text or str(self.number))
            files[FIRST + timedelta(days=offset)] = path
        days = Days.of(files)
        new_files: dict[PartitionName, NewFile] = {}
        for day, path in files.items():
            new_files[self.folder.day_name(day)] = NewFile(path, 1, path.stat().st_size, path.read_text(), {})
        publish(
            self.folder,
            Publication(
                act="load",
                run=f"run/{self.number}",
                now=self.now,
                day_column="day",
                keys=(),
                base=state_of(self.folder).read_head().point,
                files=new_files,
                makings=dict.fromkeys(new_files, Making("v", {}, {}, "run", self.now)),
                requests={request: days},
                no_cascade_days=Days() if cascade else days,
            ),
        )

    def follow(self) -> None:
        for record in follow(self.settings, Catalog.load(self.tables), "base", now=self.now):
            self.asked[record.table].append(record)

    def accepted(self, table: str) -> list[Record]:
        return Queue(self.settings.landing).accepted(table)


@contextmanager
def warehouse() -> Iterator[Warehouse]:
    home = Path(tempfile.mkdtemp(dir=SCRATCH))
    try:
        yield Warehouse(home)
    finally:
        shutil.rmtree(home)


def after(offset: int, window: int) -> set[date]:
    return {FIRST + timedelta(days=offset + later) for later in range(window)}


steps = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.sets(st.integers(0, 9), min_size=1, max_size=3)),
        st.tuples(st.just("publish without cascade"), st.sets(st.integers(0, 9), min_size=1, max_size=3)),
        st.tuples(st.just("follow"), st.none() | st.integers(0, 25)),
        st.tuples(st.just("break"), st.sampled_from(["sums", "weeks"])),
        st.tuples(st.just("mend"), st.sampled_from(["sums", "weeks"])),
    ),
    max_size=12,
)


@given(steps)
def test_each_change_is_asked_of_each_table_that_reads_it_and_none_twice(history: list[tuple[str, object]]) -> None:
    with warehouse() as here:
        begin_to_follow(here.settings, Catalog.load(here.tables), "base")
        wanted: dict[str, list[date]] = {name: [] for name, _ in WEEKS}
        for act, value in history:
            if act.startswith("publish"):
                assert isinstance(value, set)
                here.publish(value, cascade=act == "publish")
                for name, window in WEEKS:
                    if act == "publish":
                        wanted[name] += set().union(*(after(offset, window) for offset in value))
            elif act == "follow":
                assert value is None or isinstance(value, int)
                with suppress(Killed), killed_after(value, here.home):
                    here.follow()
            else:
                query = here.tables / str(value) / "query.sql"
                query.write_text("selec" if act == "break" else SUMS)
        for name, _ in WEEKS:
            (here.tables / name / "query.sql").write_text(SUMS)
        here.follow()
        here.follow()
        for name, _ in WEEKS:
            records = here.accepted(name)
            assert Days.union(record.days for record in records) == Days.of(wanted[name])
            # Never more requests than there were publications, and each with days of its own commits only.
            assert sum(len(record.days) for record in records) <= len(wanted[name])


def test_a_new_table_follows_what_is_published_after_it_was_seen_first() -> None:
    with warehouse() as here:
        here.publish({0, 1})
        begin_to_follow(here.settings, Catalog.load(here.tables), "base")
        here.publish({5})
        here.follow()
        assert [record.days for record in here.accepted("sums")] == [Days.of(after(5, 1))]
        assert followers(here.settings.warehouse, "base") == ["base", "sums", "weeks"]


def test_a_request_names_the_requests_that_changed_its_input_and_no_others() -> None:
    with warehouse() as here:
        begin_to_follow(here.settings, Catalog.load(here.tables), "base")
        here.publish({1}, text="rows", request="first")
        here.publish({1}, text="rows", request="which changed nothing")
        here.publish({2}, cascade=False, request="which nobody follows")
        here.follow()
        [record] = here.accepted("sums")
        assert record.cause is not None
        assert (record.cause.table, record.cause.days, record.cause.requests) == (
            "base",
            Days.of(after(1, 1)),
            ("first",),
        )


def test_a_change_older_than_the_log_is_asked_for_all_the_same() -> None:
    with warehouse() as here:
        begin_to_follow(here.settings, Catalog.load(here.tables), "base")
        here.publish({1, 2})
        here.publish({3})
        CommitLog(here.settings.warehouse, "base").remove(1)
        here.follow()
        assert [record.days for record in here.accepted("sums")] == [
            Days.between(FIRST + timedelta(days=1), FIRST + timedelta(days=3))
        ]


def test_a_log_that_began_anew_is_followed_from_its_beginning() -> None:
    with warehouse() as here:
        begin_to_follow(here.settings, Catalog.load(here.tables), "base")
        here.publish({1, 2})
        here.follow()
        shutil.rmtree(here.settings.warehouse / ".log")
        shutil.rmtree(here.settings.warehouse / ".state")
        here.publish({7})
        here.follow()
        assert [record.days for record in here.accepted("sums")][1:] == [Days.of(after(7, 1))]


def test_a_cursor_that_was_damaged_is_named_with_its_cure() -> None:
    with warehouse() as here:
        cursor = Cursor(here.settings.warehouse, "base", "sums")
        begin_to_follow(here.settings, Catalog.load(here.tables), "base")
        path = here.settings.warehouse / ".cursors" / "base" / "sums.json"
        path.write_text('{"followed": "soon"}')
        with pytest.raises(OperatorError, match=r"sums.json is not a cursor .*; restore the file, or remove it"):
            cursor.read()
