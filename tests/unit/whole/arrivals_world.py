"""The world of raw files: a home whose tables read files of senders, what these do, and the steps of the product."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from pathlib import Path

import pyarrow.parquet

from reloads.requests.announcement import Announcement
from reloads.runs.settle_step import settle_batches
from reloads.warehouse.upgrade import open_catalog
from tests.unit.whole.arrivals_model import (
    DAYS,
    GARBAGE,
    LIMIT,
    MONTHS,
    TABLES,
    Cell,
    Content,
    Moment,
    Raw,
    kind_of,
    paths_of,
    sort_rows,
)
from tests.unit.whole.file_home import RESTED_SECONDS, FileHome
from tests.unit.whole.senders import FolderSenders, Senders
from tests.unit.whole.small_home import Json

SOURCES_TOML = """
[flights_files]
files = "flights/{day}.csv"
[notes_files]
files = "notes/{day}.csv"
optional = true
[clicks_files]
files = "clicks/{day}/*.csv"
marker = "clicks/{day}/DONE"
[weather_files]
files = "weather/{month}.csv"
[late_files]
files = "late/{day}.csv"
"""


def _view(name: str, columns: str) -> str:
    return f"""create view raw_{name} as from read_csv(getvariable('{name}_files'), header = true,
               columns = {{{columns}}}, auto_detect = false);\n"""


SOURCES = (
    _view("flights", "'day': 'date', 'v': 'int'")
    + _view("notes", "'day': 'date', 'note': 'int'")
    + _view("clicks", "'day': 'date', 'k': 'varchar', 'v': 'int'")
    + _view("weather", "'day': 'date', 't': 'int'")
    + _view("late", "'day': 'date', 'v': 'int'")
)
ARRIVES = "on_arrival = true\narrival_days = 6"
RESTLESS_SECONDS = 3600.0
"""While somebody writes, no file without a marker has rested."""


class ArrivalsHome(FileHome):
    """A home, and the files of senders, of which each moment is remembered."""

    def __init__(self, home: Path, senders: Senders | None = None) -> None:
        super().__init__(home, sources=SOURCES, toml=SOURCES_TOML)
        self.senders = senders or FolderSenders(self.settings.source, home)
        self.settings = self.settings.model_copy(update={"source": self.senders.source})
        self._define_tables()
        self._contents: dict[str, Content] = {}
        self._away: set[str] = set()
        self.half_written: dict[str, Raw] = {}
        """What senders still have to write, by file."""
        self.moments: list[Moment] = []
        for folder in ("flights", "notes", "clicks", "weather", "late"):
            self.senders.write(
                f"{folder}/README", "An empty folder counts as one that is not mounted.", by_rename=False
            )
        self._remember()

    def _define_tables(self) -> None:
        self.define(
            "flights",
            "select f.day, f.v, n.note from raw_flights as f left join raw_notes as n on n.day = f.day",
            f"{ARRIVES}\ndaily = true\nlook_back = 1",
            f"create view values_are_small as select day, max(v) as found from new where v > {LIMIT} group by day",
        )
        self.define(
            "clicks",
            "select day, k, sum(v)::bigint as total from raw_clicks group by all",
            f'{ARRIVES}\nkeys = ["k"]\nkey_slices = 4\non_empty = "publish"',
        )
        self.define(
            "weather",
            "select day, sum(t)::bigint as t from raw_weather group by day",
            f'{ARRIVES}\non_empty = "publish"\ndays_per_batch = 2\nmb_per_batch = 0',
        )
        self.define("late", "from raw_late", 'daily = true\nlook_back = 3\non_empty = "publish"')
        self.define(
            "week",
            "select day + n::integer as day, sum(v)::bigint as total from flights, range(3) as r(n) group by 1",
            'on_empty = "publish"\n[reads]\nflights = "3 days"',
        )
        self.define(
            "both",
            """select f.day, sum(f.v)::bigint as v, max(w.t) as t
               from flights as f left join weather as w on w.day = f.day group by f.day""",
            'on_empty = "publish"',
        )

    # what senders do

    def deliver_file(self, path: str, content: Content, *, by_rename: bool = False) -> None:
        """Write the file, in place or beside and renamed over it."""
        if self._is_away(path):
            return
        self.senders.write(path, _text_of(path, content), by_rename=by_rename)
        self._contents[path] = content
        self.half_written.pop(path, None)
        self._remember()

    def write_half(self, path: str, lines: Raw) -> None:
        """The sender has written the first lines only, and goes on, where that can be seen."""
        if not self.senders.writes_in_place:
            self.deliver_file(path, lines)
            return
        self.deliver_file(path, lines[: len(lines) // 2])
        if not self._is_away(path):
            self.half_written[path] = lines
            self._remember()

    def finish_writing(self) -> None:
        for path, lines in list(self.half_written.items()):
            self.deliver_file(path, lines)
        self.half_written.clear()
        self._remember()

    def remove(self, path: str) -> None:
        if path in self._contents and not self._is_away(path):
            self.senders.remove(path)
            del self._contents[path]
            self.half_written.pop(path, None)
            self._remember()

    def move_out_and_in(self, path: str) -> None:
        """The same file goes, and comes back."""
        if path in self._contents and not self._is_away(path):
            self.senders.move_out_and_in(path)
            self._remember()

    def set_marker(self, day: date, *, is_there: bool) -> None:
        path = f"clicks/{day}/DONE"
        if self._is_away(path):
            return
        if is_there:
            self.senders.write(path, "", by_rename=False)
            self._contents[path] = ()
        elif path in self._contents:
            self.senders.remove(path)
            del self._contents[path]
        self._remember()

    def take_folder_away(self, folder: str, *, leaves_mount_point: bool) -> None:
        if folder not in self._away:
            self.senders.take_away(folder, leaves_mount_point=leaves_mount_point)
            self._away.add(folder)
            self._remember()

    def bring_folders_back(self) -> None:
        for folder in sorted(self._away):
            self.senders.bring_back(folder)
        self._away.clear()
        self._remember()

    def mend_garbage(self) -> None:
        for path, content in list(self._contents.items()):
            if content == GARBAGE:
                self.deliver_file(path, good_lines(path))

    def content(self, path: str) -> Content | None:
        return self._contents.get(path)

    def version_of(self, table: str, day: date) -> object:
        """Tells the files of a day from others that lay there before, as far as anybody can."""
        return tuple((path, self.senders.version(path)) for path in paths_of(table, day) if path in self._contents)

    def stay_of(self, table: str, day: date) -> object:
        """Tells them from equal ones, too, between which there were others."""
        return tuple((path, self.senders.stay(path)) for path in paths_of(table, day) if path in self._contents)

    @property
    def moment(self) -> Moment:
        return self.moments[-1]

    def _is_away(self, path: str) -> bool:
        return kind_of(path) in self._away

    def _remember(self) -> None:
        stable_seconds = RESTLESS_SECONDS if self.half_written else RESTED_SECONDS
        self.settings = self.settings.model_copy(update={"stable_seconds": stable_seconds})
        self.moments.append(Moment(dict(self._contents), frozenset(self._away), bool(self.half_written)))

    # the steps of the product

    def settle_and_tell(
        self, table: str, batches: list[Json], outcomes: list[Json], run: str
    ) -> tuple[Announcement, ...]:
        """End a run; what it announces."""
        return settle_batches(
            self.settings, open_catalog(self.settings), table, batches, outcomes, run=run, now=self.now()
        ).announce

    # what there is to see

    def cells(self) -> dict[Cell, Raw]:
        """The rows of each published partition."""
        cells: dict[Cell, Raw] = {}
        for table in TABLES:
            folder = self.settings.warehouse / table
            for path in folder.rglob("data.parquet") if folder.is_dir() else ():
                day, *keys = [part.partition("=")[2] for part in path.relative_to(folder).parts[:-1]]
                with pyarrow.parquet.ParquetFile(path) as opened:
                    rows = sort_rows(tuple(row.values()) for row in opened.read().to_pylist())
                cells[table, date.fromisoformat(day), keys[0] if keys else ""] = rows
        return cells


def all_paths() -> list[str]:
    """The files that senders may write, without markers."""
    paths = [f"weather/{month}.csv" for month in MONTHS]
    for day in DAYS:
        for table in ("flights", "clicks", "late"):
            paths += paths_of(table, day)
    return paths


def _text_of(path: str, content: Content) -> str:
    header = {"notes": "day,note", "clicks": "day,k,v", "weather": "day,t"}.get(kind_of(path), "day,v")
    if isinstance(content, str):
        return f"{header}\nnonsense,in,these,lines\n"
    return "\n".join([header, *_lines_of(path, content)]) + "\n"


def _lines_of(path: str, content: Raw) -> Iterable[str]:
    parts = path.split("/")
    for row in content:
        day = [] if parts[0] == "weather" else [parts[1].removesuffix(".csv")]
        yield ",".join(map(str, [*day, *row]))


def good_lines(path: str) -> Raw:
    kind = kind_of(path)
    if kind == "clicks":
        return (("a", 5),)
    if kind == "weather":
        return tuple((str(day), 7) for day in DAYS if path == f"weather/{day:%Y-%m}.csv")
    return ((5,),)
