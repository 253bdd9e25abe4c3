"""The raw rows of the benchmarks: a year of readings, sorted and shuffled, and a number that changes all of them.

The same rows each time: a row is made of the hash of its number.
"""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import duckdb

CLONE = Path(__file__).resolve().parent.parent
BENCH = CLONE / ".local" / "bench"
"""All that a benchmark writes lies below it."""

FIRST_DAY, LAST_DAY = date(2025, 1, 1), date(2025, 12, 31)
DAYS = 365
ROWS = 36_500_000

ROWS_QUERY = """
select
    date '2025-01-01' + (i // 100_000)::integer as reading_date,
    (hash(i) % 5_000)::integer as sensor_id,
    timestamp '2025-01-01' + to_milliseconds(i * 864) as reading_at,
    (hash(i, 42) % 1_000_000) / 1_000.0 as value,
    ['ok', 'ok', 'ok', 'late', 'suspect'][1 + (hash(i, 43) % 5)::bigint] as status
from range({rows}) as r(i)
"""
"""The first so many rows."""


def lay_out(home: Path) -> None:
    """The tables of the benchmarks and their raw files in this home; what is published there is removed."""
    source = home / ".local" / "source"
    source.mkdir(parents=True, exist_ok=True)
    for name in ("warehouse", "landing", "plain"):
        shutil.rmtree(home / name, ignore_errors=True)
    shutil.copytree(CLONE / "benchmarks" / "tables", home / "tables", dirs_exist_ok=True)
    raw = BENCH / "raw"
    make_rows(raw)
    for file in raw.glob("*.parquet"):
        (source / file.name).unlink(missing_ok=True)
        (source / file.name).hardlink_to(file)
    shift(home, 0)


def make_rows(folder: Path) -> None:
    """The raw files, unless they are there."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, order in {"readings": "", "shuffled": "order by hash(i, 44)"}.items():
        file = folder / f"{name}.parquet"
        if not file.exists():
            print(f"making {ROWS:,} rows, {name}", flush=True)
            with duckdb.connect(config={"memory_limit": "8GB"}) as db:
                query = ROWS_QUERY.format(rows=ROWS) + order
                db.execute(f"copy (\n{query}\n) to '{file.with_suffix('.part')}' (format parquet)")
            file.with_suffix(".part").rename(file)


def shift(home: Path, by: int) -> None:
    """Change every row; the number as it was changes none."""
    file = home / ".local" / "source" / "shift.csv"
    file.with_suffix(".part").write_text(f"shift\n{by}\n", encoding="utf-8")
    file.with_suffix(".part").rename(file)


PLAIN = """
import shutil
import duckdb
shutil.rmtree('{target}', ignore_errors=True)
duckdb.sql("set enable_progress_bar = false")
{settings}
duckdb.sql('''
copy (
    select reading_date{key}, sensor_id, reading_at, value + shift as value, status
    from read_parquet('{source}/{file}.parquet') cross join read_csv('{source}/shift.csv')
    where reading_date between '{first}' and '{last}'
) to '{target}' (format parquet, partition_by ({columns}))
''')
"""
"""What a person would write who has DuckDB alone."""


def plain_code(
    home: Path,
    *,
    file: str = "readings",
    by_site: bool = False,
    settings: str = "",
    first: date = FIRST_DAY,
    last: date = LAST_DAY,
) -> str:
    """The code of a process that writes these days anew with plain DuckDB, below ``plain`` in the home."""
    key, columns = (", 'site-' || (sensor_id % 20) as site", "reading_date, site") if by_site else ("", "reading_date")
    return PLAIN.format(
        settings=f'duckdb.sql("{settings}")' if settings else "",
        key=key,
        source=home / ".local" / "source",
        file=file,
        first=first,
        last=last,
        target=home / "plain",
        columns=columns,
    )
