"""A home with as many daily tables as one asks for: some have keys, some read raw files, some read each other."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

DAYS = 10
"""Days before today for which there are rows, and raw files."""

SOURCES = """\
create or replace view raw_visits as
select * from read_csv(
    getvariable('visits_files'),
    header = true, auto_detect = false, columns = {'day': 'date', 'page': 'varchar', 'visits': 'integer'}
);
-- Another number each time that every partition should come out another one.
create or replace view raw_turn as select * from read_csv(getvariable('source') || '/turn.csv');
"""
TEMPLATES = """\
[visits_files]
files = "visits/{day}.csv"
"""
PLAIN = """\
-- So many numbers a day, and other ones in another turn.
select cast(midnight as date) as day, number, {number} * number + turn as value
from generate_series(current_date - interval 20 day, current_date, interval 1 day) as days(midnight)
cross join generate_series(1, 100) as numbers(number)
cross join raw_turn
"""
KEYED = """\
-- The same by country.
select cast(midnight as date) as day, ['DE', 'FR', 'PL'][1 + number % 3] as country, number + turn as value
from generate_series(current_date - interval 20 day, current_date, interval 1 day) as days(midnight)
cross join generate_series(1, 100) as numbers(number)
cross join raw_turn
"""
RAW = """\
-- The visits of a day from its file.
select day, page, visits, {number} as number
from raw_visits
"""
READING = """\
-- What the day of another table comes to.
select day, count(*) as numbers, sum(value)::bigint as total
from {read}
group by day
"""
README = """\
# Table {name}

One of many tables that are all alike.

It has rows of the last days, and is loaded once a day.
"""


def lay_out(home: Path, *, count: int) -> list[str]:
    """Write the tables and their raw files below ``home``, and return the names of the tables.

    Of ten tables one has keys, two read raw files, and one reads another table.
    """
    tables, source = home / "tables", home / "source" / "visits"
    shutil.rmtree(tables, ignore_errors=True)
    source.mkdir(parents=True, exist_ok=True)
    tables.mkdir(parents=True)
    (tables / "sources.sql").write_text(SOURCES)
    (tables / "sources.toml").write_text(TEMPLATES)
    write_raw_files(home, turn=0)
    today = datetime.now(UTC).date()
    names = [f"table_{number:03}" for number in range(1, count + 1)]
    for number, name in enumerate(names, start=1):
        _write_table(tables, name, number, first_day=str(today - timedelta(days=DAYS)))
    return names


def write_raw_files(home: Path, *, turn: int) -> None:
    """Write the raw files; every table has other rows than in another turn."""
    turn_file = home / "source" / "turn.csv"
    turn_file.with_suffix(".part").write_text(f"turn\n{turn}\n")
    turn_file.with_suffix(".part").rename(turn_file)
    today = datetime.now(UTC).date()
    for back in range(DAYS + 1):
        day = today - timedelta(days=back)
        rows = "".join(f"{day},page{page},{page + turn}\n" for page in range(100))
        beside = home / "source" / "visits" / f".{day}"
        beside.write_text(f"day,page,visits\n{rows}")
        beside.rename(beside.with_name(f"{day}.csv"))


def _write_table(tables: Path, name: str, number: int, *, first_day: str) -> None:
    folder = tables / name
    folder.mkdir()
    settings = ['day_column = "day"', f"first_day = {first_day}", "daily = true"]
    match number % 10:
        case 0:
            query = READING.format(read=f"table_{number - 1:03}")
        case 1:
            query = KEYED
            settings.append('keys = ["country"]')
        case 2 | 3:
            query = RAW.format(number=number)
        case _:
            query = PLAIN.format(number=number)
            settings.append('order_by = ["number"]')
    (folder / "query.sql").write_text(query)
    (folder / "table.toml").write_text("\n".join([*settings, ""]))
    (folder / "README.md").write_text(README.format(name=name))
