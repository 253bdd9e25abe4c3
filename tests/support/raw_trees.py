"""Trees of raw files at random, and what a walk of all of them finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from reloads.days import Days
from reloads.tables.definition import Table, TableSettings
from reloads.tables.file_sources import FileSource
from reloads.tables.raw_files import RawFiles

TEMPLATES = [
    ("{day}.csv", None),
    ("flights/{day}/flights.csv", "flights/{day}/flights.ok"),
    ("flights/{day}/*", "flights/{day}/flights.ok"),
    ("weather/{month}.csv", "weather/{month}.csv"),
    ("years/{year}/all-*.csv", "years/{year}.ok"),
    ("clicks/{day:%Y/%m/%d}/*.json", None),
    ("{year}/{month}/{day}-?.csv", None),
    ("*/{month}*", "weather/{month}.csv"),
    ("d{day:%Y%m%d}/[x]-*.[x].csv", None),
    ("*/{day}/*/*.csv", None),
]
FOLDERS = ["flights", "weather", "years", "clicks"]
ODD_NAMES = [
    "2024-02-30.csv",
    "weather/2024-13.csv",
    "clicks/2024/02/29/.x.json",
    "d20240229/x-a.x.csv",
    "flights/2024",
]
days_around = st.dates(date(2023, 12, 27), date(2024, 3, 3))
bits = st.sampled_from(["a", "b.c", "é", "a b", "a[b]", ".a", "*", "?", "a\nb"])


def source_of(files: str, **settings: Any) -> FileSource:
    return FileSource.model_validate({"files": files, **settings})


def table_of(*sources: FileSource, windows: tuple[int, ...] = (), **settings: Any) -> Table:
    """A table that reads these sources, so many days of each."""
    names = [f"s{number}" for number in range(len(sources))]
    return Table(
        name="sales",
        query="",
        settings=TableSettings.model_validate({"day_column": "day", "first_day": date(2024, 1, 1), **settings}),
        version="",
        file_sources=dict(zip(names, sources, strict=True)),
        file_windows=dict(zip(names, windows or [1] * len(names), strict=True)),
    )


def put(source: Path, *paths: str, text: str = "x") -> Path:
    """Write files below the source folder; the last one."""
    for path in paths:
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_text(text)
    return source / paths[-1]


@dataclass(frozen=True)
class Tree:
    """The files of a source folder, by path, and how long each is."""

    sizes: dict[str, int]

    def write(self, home: Path) -> None:
        for path, size in self.sizes.items():
            put(home, path, text="x" * size)

    def of(self, source: FileSource, days: Days) -> dict[str, int]:
        """The files of these days, of all files that there are."""
        has_star = "*" in source.files.text or "?" in source.files.text
        found: dict[str, int] = {}
        for path, size in self.sizes.items():
            of_path = source.files.days_of(path)
            is_marker = has_star and source.marker is not None and source.marker.days_of(path) is not None
            if of_path and of_path & days and not is_marker:
                found[path] = size
        return found

    def is_ready(self, source: FileSource, day: date) -> bool:
        """Whether one day of the source can be read."""
        if source.marker and source.marker.pattern(day) not in self.sizes:
            return False
        return source.optional or bool(self.of(source, Days.of([day])))


def check_look(tree: Tree, raw_files: RawFiles, read: Sequence[tuple[FileSource, int]], days: Sequence[date]) -> Table:
    """See that each of these days has the files of the tree and no others, of a table that reads these sources."""
    table = table_of(*(source for source, _ in read), windows=tuple(window for _, window in read))
    for day in days:
        expected: dict[str, int] = {}
        is_ready = True
        for source, window in read:
            wanted = [day - timedelta(days=back) for back in range(window)]
            expected |= tree.of(source, Days.of(wanted))
            is_ready = is_ready and all(tree.is_ready(source, each) for each in wanted)
        found = raw_files.of_day(table, day)
        assert {path: file.size for path, file in found.files.items()} == expected
        assert (found.missing == "") is is_ready
        assert not found.is_unknown
    return table


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    sizes = dict.fromkeys(ODD_NAMES, 1) | {f"{folder}/keep": 1 for folder in FOLDERS}
    for (files, marker), day, bit in draw(st.lists(st.tuples(st.sampled_from(TEMPLATES), days_around, bits))):
        for text in (files, marker) if marker and draw(st.booleans()) else (files,):
            path = source_of(text).files.pattern(day)
            # A star before the date is a folder.
            folder = draw(st.sampled_from(FOLDERS))
            path = f"{folder}{path[1:]}" if path.startswith("*") else path
            path = path.replace("/*/", "/sub/").replace("*", bit).replace("?", bit[0])
            # None of them is a folder of another one.
            if not any(f"{other}/".startswith(f"{path}/") or path.startswith(f"{other}/") for other in sizes):
                sizes[path] = draw(st.integers(0, 3))
    return Tree(sizes)


@st.composite
def sources(draw: st.DrawFn) -> FileSource:
    files, marker = draw(st.sampled_from(TEMPLATES))
    marker = draw(st.sampled_from([marker, None]))
    return source_of(
        files, marker=marker, optional=draw(st.booleans()), compare=draw(st.sampled_from(["times", "content"]))
    )
