"""What the tables of the world of raw files hold, told from the files by plain Python: no code of the product helps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

FIRST, LAST = date(2024, 1, 29), date(2024, 2, 3)
DAYS = [FIRST + timedelta(days=number) for number in range((LAST - FIRST).days + 1)]
"""Days of two months, so that two files of a month are shared by three days each."""
TODAY = LAST + timedelta(days=1)
ALL_DAYS = [*DAYS, TODAY]
MONTHS = ("2024-01", "2024-02")
KEYS = ("a", "b", "c", "d")
LIMIT = 30
"""A check refuses a day of ``flights`` that has a larger value."""
GARBAGE = "garbage"
"""Stands for the content of a file that does not parse."""

Raw = tuple[tuple[object, ...], ...]
Content = Raw | str
"""The lines of a file, or what stands for those that do not parse."""
Files = Mapping[str, Content]
"""The files that lie below the source folder at one moment, by path."""
Cell = tuple[str, date, str]
"""A partition: its table, its day, and the value of its key ('' in a table without keys)."""
Cells = Mapping[Cell, Raw]
"""The rows of each published partition, sorted."""

BASE = ("flights", "clicks", "weather", "late")
"""The tables that read files."""
ARRIVING = ("flights", "clicks", "weather")
"""Those of them that ask for themselves."""
DOWNSTREAM = {"week": {"flights": 3}, "both": {"flights": 1, "weather": 1}}
TABLES = (*BASE, *DOWNSTREAM)


class Missing(str):
    """Why a day waits; a text."""

    __slots__ = ()


class Refused(str):
    """Why a day fails; a text."""

    __slots__ = ()


Result = Missing | Refused | dict[str, Raw]
"""What a day of a table comes to: the rows by key; without keys, those of ''."""


def sort_rows(rows: object) -> Raw:
    return tuple(sorted((tuple(row) for row in rows), key=repr))  # type: ignore[attr-defined]


def kind_of(path: str) -> str:
    """The source that a file belongs to."""
    return path.partition("/")[0]


def paths_of(table: str, day: date) -> list[str]:
    """The files that a day of the table may be made from."""
    return {
        "flights": [f"flights/{day}.csv", f"notes/{day}.csv"],
        "clicks": [f"clicks/{day}/p1.csv", f"clicks/{day}/p2.csv"],
        "weather": [f"weather/{day:%Y-%m}.csv"],
        "late": [f"late/{day}.csv"],
    }[table]


def folders_of(table: str) -> list[str]:
    return {"flights": ["flights", "notes"]}.get(table, [table])


def result_of(table: str, day: date, files: Files, *, away: frozenset[str], is_young: bool) -> Result:
    """What the day comes to, made from these files; ``away`` are folders that cannot be looked at."""
    if any(folder in away for folder in folders_of(table)):
        return Missing("a folder is away")
    contents = {path: files[path] for path in paths_of(table, day) if path in files}
    if table == "clicks":
        if f"clicks/{day}/DONE" not in files or not contents:
            return Missing("no marker, or no part")
    elif paths_of(table, day)[0] not in contents:
        return Missing("no file")
    elif is_young:
        return Missing("some files may still be written")
    if GARBAGE in contents.values():
        return Refused("garbage")
    return _QUERIES[table](day, [content for content in contents.values() if isinstance(content, tuple)])


def _flights(_day: date, contents: list[Raw]) -> Result:
    [lines, *notes] = contents
    note = notes[0][0][0] if notes else None
    if not lines:
        return Refused("no rows")
    if any(int(str(value)) > LIMIT for (value,) in lines):
        return Refused("the check")
    return {"": sort_rows((value, note) for (value,) in lines)}


def _clicks(_day: date, contents: list[Raw]) -> Result:
    totals: dict[str, int] = {}
    for lines in contents:
        for key, value in lines:
            totals[str(key)] = totals.get(str(key), 0) + int(str(value))
    return {key: ((total,),) for key, total in totals.items()}


def _weather(day: date, contents: list[Raw]) -> Result:
    values = [int(str(value)) for line_day, value in contents[0] if line_day == str(day)]
    return {"": ((sum(values),),) if values else ()}


def _late(_day: date, contents: list[Raw]) -> Result:
    return {"": sort_rows(contents[0])}


_QUERIES: dict[str, Callable[[date, list[Raw]], Result]] = {
    "flights": _flights,
    "clicks": _clicks,
    "weather": _weather,
    "late": _late,
}


def downstream_result(table: str, day: date, cells: Cells) -> Raw:
    """What a day of a downstream table comes to over what its inputs hold."""
    if table == "week":
        window = [day - timedelta(days=number) for number in range(3)]
        values = [int(str(row[0])) for each in window for row in cells.get(("flights", each, ""), ())]
        return ((sum(values),),) if values else ()
    flights = [int(str(row[0])) for row in cells.get(("flights", day, ""), ())]
    weather = [row[0] for row in cells.get(("weather", day, ""), ())]
    return ((sum(flights), weather[0] if weather else None),) if flights else ()


def has_inputs(table: str, day: date, cells: Cells) -> bool:
    """Whether an input was loaded of that very day; a day that was never loaded follows no others."""
    return any((name, day, "") in cells for name in DOWNSTREAM[table])


@dataclass
class Moment:
    """The files as they lay at one moment."""

    files: dict[str, Content]
    away: frozenset[str]
    is_young: bool

    def result(self, table: str, day: date) -> Result:
        return result_of(table, day, self.files, away=self.away, is_young=self.is_young)


@dataclass
class Late:
    """A publication that a kill interrupted, and that whoever comes next completes."""

    moment: int
    """The number of the first moment whose files it may have read."""
    published: int
    """The number of the first published state that it may have read."""
    is_undo: bool = False


@dataclass
class Model:
    """What was published so far, and by which files; and who may change what."""

    cells: Cells = field(default_factory=dict)
    history: list[Cells] = field(default_factory=lambda: [{}])
    """All published states."""
    late: dict[tuple[str, date], Late] = field(default_factory=dict)
    asked: dict[tuple[str, date], object] = field(default_factory=dict)
    """The files that last asked for the day, or that it was loaded from since."""
    excused: dict[tuple[str, date], object] = field(default_factory=dict)
    """The files as of when a person took the day back or gave it up, or its task was lost."""

    def observe(
        self,
        now: Cells,
        moments: list[Moment],
        *,
        begin: int,
        allowed: Mapping[str, set[date]],
        is_undo: bool = False,
    ) -> set[tuple[str, date]]:
        """Check a step that began at the moment of that number, and note what it left; returns the changed days."""
        changed_keys: dict[tuple[str, date], list[str]] = {}
        for cell in now.keys() | self.cells.keys():
            if now.get(cell) != self.cells.get(cell):
                changed_keys.setdefault(cell[:2], []).append(cell[2])
        last = len(self.history) - 1
        self.history.append(now)
        for (table, day), keys in changed_keys.items():
            late = self.late.get((table, day))
            assert late or day in allowed.get(table, ()), f"{table} {day} changed, and nobody asked for it"
            contents = {key: now.get((table, day, key)) for key in keys}
            since, since_published = (late.moment, late.published) if late else (begin, last)
            may_be_undo = is_undo or (late is not None and late.is_undo)
            if may_be_undo and self._was_published(table, day, contents):
                continue
            options = list(self._options(table, day, keys, moments[since:], since_published))
            assert contents in options, f"{table} {day} holds {contents} and may hold {options}"
        self.cells = now
        return set(changed_keys)

    def _was_published(self, table: str, day: date, contents: Mapping[str, Raw | None]) -> bool:
        return all(
            any(cells.get((table, day, key)) == rows for cells in self.history) for key, rows in contents.items()
        )

    def _options(
        self, table: str, day: date, keys: list[str], moments: list[Moment], since_published: int
    ) -> Iterator[dict[str, Raw | None]]:
        """What these partitions of the day may hold, all of one moment."""
        if table in DOWNSTREAM:
            for cells in self.history[since_published:]:
                yield {"": downstream_result(table, day, cells)}
            return
        for moment in moments:
            result = moment.result(table, day)
            if isinstance(result, dict):
                yield {key: result.get(key) for key in keys}
