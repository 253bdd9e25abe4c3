"""A small home whose tables read files of senders, for one promise at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from reloads.planning.runnable_requests import leave_out_waiting
from reloads.requests.announcement import Announcement
from reloads.requests.intake import collect_requests, request_daily
from reloads.requests.record import Record
from reloads.requests.record_file import order_by_age
from reloads.runs.arrivals import collect_arrivals
from reloads.runs.settle_step import settle_batches
from reloads.tables.catalog import Catalog
from reloads.warehouse.commit_log import CommitLog
from reloads.warehouse.upgrade import open_catalog
from tests.unit.whole.small_home import Json, SmallHome

TODAY = date(2024, 2, 4)
SOURCES_TOML = '[sales_files]\nfiles = "sales/{day}.csv"\n'
SOURCES = """create view raw_sales as from read_csv(getvariable('sales_files'), header = true,
             columns = {'day': 'date', 'k': 'varchar', 'v': 'int'}, auto_detect = false)"""
RESTED_SECONDS = 1e-6


class FileHome(SmallHome):
    """Files, the wake-ups that look for them, and runs by what they announce."""

    def __init__(self, home: Path, *, sources: str = SOURCES, toml: str = SOURCES_TOML) -> None:
        super().__init__(home, sources)
        (self.settings.tables / "sources.toml").write_text(toml)
        self.settings = self.settings.model_copy(update={"stable_seconds": RESTED_SECONDS})
        self._now = datetime(TODAY.year, TODAY.month, TODAY.day, 12, tzinfo=UTC)
        self.announced: set[str] = set()
        """The tables that somebody announced and that did not work since."""

    def pass_time(self, **spans: float) -> None:
        self._now += timedelta(**spans)

    # what senders do

    def write(self, path: str, *lines: str, header: str = "day,k,v") -> None:
        """Write the file in place."""
        target = self.settings.source / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("\n".join([header, *lines]) + "\n")
        wait_for_clock(target)

    def sell(self, day: date | str, *rows: tuple[str, int]) -> None:
        """Write the file of a day of ``sales``."""
        self.write(f"sales/{day}.csv", *(f"{day},{key},{value}" for key, value in rows))

    # the steps of the product

    def look(self) -> list[Announcement]:
        """The wake-up looks for files."""
        found = collect_arrivals(self.settings, Catalog.load(self.settings.tables), now=self.now())
        self.announced |= {each.table for each in found}
        return found

    def strike(self) -> None:
        """The clock strikes."""
        catalog = Catalog.load(self.settings.tables)

        def ask(*, now: datetime) -> list[Record]:
            return request_daily(self.settings, catalog, at=now, now=now, origin=f"clock of {now}")

        intake = collect_requests(self.settings, catalog, clock=self.now, leave_out=leave_out_waiting, ask=ask)
        self.announced |= {each.table for each in intake.announce}

    def settle(self, table: str, batches: Iterable[Json], outcomes: Iterable[Json], run: str = "run/1") -> None:
        settled = settle_batches(
            self.settings, open_catalog(self.settings), table, list(batches), outcomes, run=run, now=self.now()
        )
        self.announced.discard(table)
        self.announced |= {each.table for each in settled.announce}

    def look_and_work(self) -> None:
        """A look, and all runs that are announced until none is."""
        self.look()
        for _ in range(20):
            if not self.announced:
                return
            for table in Catalog.load(self.settings.tables).lineage.load_order():
                if table in self.announced:
                    self.work(table)
        raise AssertionError("it never ends")

    # what there is to see

    def arrivals(self) -> list[Record]:
        """The requests by which files asked, oldest first."""
        return sorted((each for each in self.records().values() if each.mode == "arrival"), key=order_by_age)

    def commits_by_day(self, table: str) -> Counter[str]:
        """How often each day was published or confirmed."""
        log = CommitLog(self.settings.warehouse, table)
        counts: Counter[str] = Counter()
        for commit in map(log.read, log.numbers()):
            if commit:
                counts.update({str(name.day) for name in commit.after})
        return counts


def wait_for_clock(path: Path) -> None:
    """Until a file that is written now gets another time than this one."""
    last, tick = path.stat().st_ctime_ns, path.parent / ".tick"
    while True:
        tick.write_text("")
        if tick.stat().st_ctime_ns > last:
            tick.unlink()
            return
