"""File templates: where the raw files of a day lie below the source folder, and of which days a file is.

flights/{day}/flights.csv          a file a day, in a folder named like 2013-01-31
weather/{month}.csv                a file a month, named like 2013-01.csv
clicks/{day:%Y/%m/%d}/*.json       any number of files a day, in folders like 2013/01/31
"""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import date
from fnmatch import translate
from functools import cached_property, lru_cache
from typing import Literal

from reloads.days import DateRange, Days
from reloads.errors import TableError

Period = Literal["day", "month", "year"]

FORMATS = {"day": "%Y-%m-%d", "month": "%Y-%m", "year": "%Y"}
"""How a day is written where a template does not say it."""
_CODES = {"day": {"Y", "m", "d"}, "month": {"Y", "m"}, "year": {"Y"}}
"""The parts of the date that tell a file from that of another period, the shortest period first."""
_DIGITS = {"Y": 4, "m": 2, "d": 2}
_PLACE = re.compile(r"\{(day|month|year)(?::([^{}]*))?\}")
_CODE = re.compile(r"%([Ymd])")


WILD = re.compile(r"[*?]")
"""What stands for other characters in a pattern."""


@lru_cache(maxsize=10_000)
def name_pattern(part: str) -> re.Pattern[str]:
    """What the names match that one part of a pattern stands for; as in a shell, no hidden ones unless it says so."""
    # Brackets in a template are letters.
    expression = translate(part.replace("[", "[[]"))
    is_wild = WILD.search(part) and not part.startswith(".")
    return re.compile(rf"(?!\.){expression}" if is_wild else expression)


@dataclass(frozen=True)
class FileTemplate:
    """A path below the source folder with the date in it; ``*`` and ``?`` stand for parts of a name, as in a shell."""

    text: str

    @classmethod
    def parse(cls, text: str) -> FileTemplate:
        """The template; raises ``TableError`` if it names no date, or leads out of the source folder."""
        template = cls(text)
        codes = template._codes
        # With the formats in it, as they may hold slashes and dots, too.
        if any(part in ("", ".", "..") for part in _expand(text).split("/")):
            raise TableError(f"{text!r} is no path below the source folder; write one like flights/{{day}}/*.csv")
        if not text.isprintable():
            raise TableError(f"{text!r} has a character that is not seen; write ? for it")
        rest = _PLACE.sub("", text)
        if "{" in rest or "}" in rest or "%" in _CODE.sub("", _expand(text)):
            raise TableError(
                f"{text!r} has a placeholder that is not known; write {{day}}, {{month}}, {{year}} or {{day:%Y/%m/%d}}"
            )
        if "**" in text:
            raise TableError(f"{text!r} has **, which would list whole trees; write a * for each folder")
        named = {place[1] for place in _PLACE.finditer(text)}
        if not named:
            raise TableError(
                f"{text!r} does not say which date a file is of; write {{day}}, {{month}} or {{year}} in it"
            )
        period = next(period for period in _CODES if period in named)
        if codes != _CODES[period]:
            raise TableError(
                f"{text!r} has other parts of a date than a {period} needs; write {{{period}}}, "
                "or {month} or {year} where days are to share a file"
            )
        return template

    @property
    def period(self) -> Period:
        """Of how long a time a file holds the rows."""
        if "d" in self._codes:
            return "day"
        return "month" if "m" in self._codes else "year"

    @cached_property
    def folder(self) -> str:
        """The folder that all files lie in or below; empty where that is the source folder itself."""
        fixed: list[str] = []
        for part in self.text.split("/")[:-1]:
            if re.search(r"[{*?]", part):
                break
            fixed.append(part)
        return "/".join(fixed)

    def any_day(self) -> str:
        """The pattern of the files of whatever days, and of others that differ in the digits of the date."""
        return _CODE.sub(lambda code: "?" * _DIGITS[code[1]], _expand(self.text))

    def pattern(self, day: date) -> str:
        """The path of the day's files, with ``*`` and ``?`` where the template has them."""
        return self._format.format(Y=day.year, m=day.month, d=day.day)

    def days_of(self, path: str) -> Days | None:
        """The days whose files that one is among; None where the template does not name it.

        A name with a date that does not exist, like 31 February, is not named by it.
        """
        found = self._regex.fullmatch(path)
        if found is None:
            return None
        parts = {code: int(value) for code, value in found.groupdict().items()}
        try:
            first = date(parts["Y"], parts.get("m", 1), parts.get("d", 1))
        except ValueError:
            return None
        return Days((DateRange(first, self._last_of(first)),))

    def has_no_such_day(self, path: str) -> bool:
        """Whether a path has the form of the template, but a date that does not exist.

        The path may be that of a folder on the way to the files, too.
        """
        depth = path.count("/") + 1
        way = FileTemplate("/".join(_expand(self.text).split("/")[:depth]))
        return "Y" in way._codes and way._regex.fullmatch(path) is not None and way.days_of(path) is None

    def _last_of(self, first: date) -> date:
        """The last day of the period that begins then."""
        if self.period == "day":
            return first
        if self.period == "year":
            return first.replace(month=12, day=31)
        return first.replace(day=monthrange(first.year, first.month)[1])

    @property
    def _codes(self) -> set[str]:
        return set(_CODE.findall(_expand(self.text)))

    @cached_property
    def _format(self) -> str:
        """The path for ``str.format``: a look at years of days asks for that of each. It has no other braces."""
        return _CODE.sub(lambda code: f"{{{code[1]}:0{_DIGITS[code[1]]}}}", _expand(self.text))

    @cached_property
    def _regex(self) -> re.Pattern[str]:
        """Matches the path of each file; a date that stands there twice is the same twice."""
        pieces: list[str] = []
        seen: set[str] = set()
        text, position = _expand(self.text), 0
        while position < len(text):
            code = _CODE.match(text, position)
            if code is None:
                pieces.append(_piece(text, position))
                position += 1
                continue
            name = code[1]
            pieces.append(f"(?P={name})" if name in seen else f"(?P<{name}>[0-9]{{{_DIGITS[name]}}})")
            seen.add(name)
            position = code.end()
        return re.compile("".join(pieces), re.DOTALL)


def _expand(text: str) -> str:
    """The template with each placeholder replaced by its format."""
    return _PLACE.sub(lambda place: place[2] if place[2] is not None else FORMATS[place[1]], text)


def _piece(text: str, position: int) -> str:
    """The expression for one letter; names with a dot before them are hidden from ``*`` and ``?``."""
    letter = text[position]
    if letter not in "*?":
        return re.escape(letter)
    visible = r"(?!\.)" if position == 0 or text[position - 1] == "/" else ""
    return visible + ("[^/]*" if letter == "*" else "[^/]")
