"""File templates: what a pattern of a day finds, and of which days a file is, say the same of every tree of files."""

from __future__ import annotations

import glob
import shutil
import tempfile
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reloads.days import Days
from reloads.errors import TableError
from reloads.tables.file_template import FileTemplate
from tests.support.process_kill import SCRATCH

TEMPLATES = [
    "{day}.csv",
    "flights/{day}/flights.csv",
    "weather/{month}.csv",
    "years/{year}/all-*.csv",
    "clicks/{day:%Y/%m/%d}/*.json",
    "{year}/{month}/{day}-?.csv",
    "d{day:%Y%m%d}/part-*.[x].csv",
]
DAYS = [date(2023, 12, 31), date(2024, 1, 1), date(2024, 2, 29), date(2024, 3, 1)]
ODD_NAMES = ["2024-02-30.csv", "weather/2024-13.csv", "flights/2024-01-01/.flights.csv", "clicks/2024/01/01/.x.json"]
BIT = st.text("abc-. é", min_size=1, max_size=3).filter(lambda text: text.strip(".") == text.strip(".").strip())


@given(
    st.sampled_from(TEMPLATES),
    st.lists(st.tuples(st.sampled_from(TEMPLATES), st.sampled_from(DAYS), BIT), max_size=8),
    st.sampled_from(DAYS),
)
def test_a_file_is_found_for_a_day_if_and_only_if_it_is_of_that_day(
    text: str, files: list[tuple[str, date, str]], day: date
) -> None:
    home = Path(tempfile.mkdtemp(dir=SCRATCH))
    try:
        for other, written_day, bit in files:
            name = FileTemplate.parse(other).pattern(written_day).replace("*", bit).replace("?", bit[0])
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            (home / name).touch()
        for name in ODD_NAMES:
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            (home / name).touch()
        template = FileTemplate.parse(text)
        pattern = template.pattern(day).replace("[", "[[]")
        # Not Path.glob, whose * finds hidden files.
        paths = glob.glob(pattern, root_dir=home)  # noqa: PTH207
        found = {path for path in paths if (home / path).is_file()}
        expected: set[str] = set()
        for path in home.rglob("*"):
            days = template.days_of(str(path.relative_to(home))) if path.is_file() else None
            if days and day in days:
                expected.add(str(path.relative_to(home)))
        assert found == expected
    finally:
        shutil.rmtree(home)


@pytest.mark.parametrize(
    ("text", "path", "days"),
    [
        ("{day}.csv", "2024-02-29.csv", "2024-02-29"),
        ("w/{month}.csv", "w/2024-02.csv", "2024-02-01..2024-02-29"),
        ("{year}/x", "2023/x", "2023-01-01..2023-12-31"),
        ("{year}/{month}/{day}.csv", "2024/2024-01/2024-01-05.csv", "2024-01-05"),
    ],
)
def test_a_file_is_of_all_days_of_its_period(text: str, path: str, days: str) -> None:
    assert FileTemplate.parse(text).days_of(path) == Days.parse([days])


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("{day}.csv", "2024-02-30.csv"),
        ("{day}.csv", "2024-2-3.csv"),
        ("{day}.csv", "x/2024-02-03.csv"),
        ("{year}/{month}/{day}.csv", "2023/2024-01/2024-01-05.csv"),
        ("{day}/*.csv", "2024-02-03/.half.csv"),
        ("{day}/*.csv", "2024-02-03/more/a.csv"),
    ],
)
def test_a_path_that_names_no_day_is_of_none(text: str, path: str) -> None:
    assert FileTemplate.parse(text).days_of(path) is None


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("flights/{day}.csv", "flights/2013-02-31.csv"),
        ("flights/{day}/*.csv", "flights/2013-02-31"),
        ("flights/{day}/*.csv", "flights/2013-02-31/a.csv"),
        ("clicks/{day:%Y/%m/%d}/*.json", "clicks/2013/13"),
        ("{month}.csv", "2013-00.csv"),
    ],
)
def test_a_path_of_the_right_form_whose_day_does_not_exist_is_known(text: str, path: str) -> None:
    assert FileTemplate.parse(text).has_no_such_day(path)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("flights/{day}.csv", "flights/2013-02-28.csv"),
        ("flights/{day}.csv", "flights/readme.csv"),
        ("flights/{day}.csv", "flights"),
        ("flights/{day}.csv", "flights/2013-02-31.csv/more"),
        ("flights/{day}/*.csv", "flights/2013-02-28"),
        ("flights/{day}/*.csv", "flights/2013-02-31/.a.csv"),
        ("clicks/{day:%Y/%m/%d}/*.json", "clicks/2013/12"),
        ("clicks/{day:%Y/%m/%d}/*.json", "clicks/2013"),
        ("clicks/{day:%d/%m/%Y}.json", "clicks/32"),
    ],
)
def test_a_path_of_another_form_or_of_a_day_that_exists_is_not_said_to_have_none(text: str, path: str) -> None:
    assert not FileTemplate.parse(text).has_no_such_day(path)


BAD = ["", "flights.csv", "/{day}.csv", "../{day}.csv", "a/../{day}", "a//{day}", "./{day}", "**/{day}.csv"]
ODD = ["{hour}/x", "{day", "{day:%H}", "{day:%d}", "{day:%m-%d}.csv"]
SHARED = ["{day:%Y/%m}.csv", "{month:%Y}.csv", "{year:%m}.csv", "{month:%Y-%m-%d}.csv"]


BY_FORMAT = ["{day:../%Y-%m-%d}", "{day:/%Y-%m-%d}", "{day:%Y-%m-%d/}", "a/{day:../../%Y-%m-%d}", "{day:%Y/./%m/%d}"]
UNSEEN = ["a\n{day}", "a\0{day}.csv", "\u202e{day}"]


@pytest.mark.parametrize("text", [*BAD, *ODD, *SHARED, *BY_FORMAT, *UNSEEN])
def test_a_template_that_leads_out_or_names_no_date_is_refused_with_the_cure(text: str) -> None:
    with pytest.raises(TableError, match="write") as refused:
        FileTemplate.parse(text)
    assert str(refused.value).startswith(repr(text))
    assert str(refused.value).isprintable()


def test_the_period_is_the_finest_that_is_named() -> None:
    texts = ["{year}/{day}.csv", "{month}.csv", "{year}/*.csv", "{year:%Y}/{month:%m}/{day:%d}.csv"]
    assert [FileTemplate.parse(text).period for text in texts] == ["day", "month", "year", "day"]


@pytest.mark.parametrize(
    ("text", "folder"),
    [
        ("{day}.csv", ""),
        ("a/b/{month}/x.csv", "a/b"),
        ("a/*/{day}.csv", "a"),
        ("a/b{day}/c.csv", "a"),
        ("a/{day}", "a"),
    ],
)
def test_the_folder_of_a_template_is_above_every_date_and_every_star(text: str, folder: str) -> None:
    assert FileTemplate.parse(text).folder == folder


@given(st.sampled_from(TEMPLATES), st.dates(date(2000, 1, 1), date(2100, 1, 1)))
def test_each_day_is_one_of_those_of_its_own_file(text: str, day: date) -> None:
    template = FileTemplate.parse(text)
    days = template.days_of(template.pattern(day).replace("*", "x").replace("?", "x"))
    assert days is not None
    assert day in days
    assert len(days) == 1 or (day + timedelta(days=1) in days or day - timedelta(days=1) in days)
