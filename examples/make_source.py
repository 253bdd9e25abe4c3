"""Lay the example data out the way an airline would deliver it: one raw CSV file a day.

    python examples/make_source.py [TARGET] [--force]

makes TARGET/flights/flight_date=2013-01-01/flights.csv and 364 more. Their lines are those of the original file, byte
for byte and in its order. A day that is there already stays as it is, so a day corrected by hand survives; --force
writes every day again.
"""

import argparse
import os
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import duckdb

REPOSITORY = Path(__file__).resolve().parents[1]
PACKED_FLIGHTS = REPOSITORY / "examples" / "flights13" / "flights.parquet"
DAYS = tuple(date(2013, 1, 1) + timedelta(days=n) for n in range(365))
HEADER = (
    "year,month,day,dep_time,sched_dep_time,dep_delay,arr_time,sched_arr_time,arr_delay,carrier,flight,tailnum,"
    "origin,dest,air_time,distance,hour,minute,time_hour\n"
)

# No flight left an hour early, none arrived two hours early, and none was 22 hours late: so two clock times are enough
# to tell the delay, midnight between them or not.
MACROS = """
create temp macro minute_of_day(hhmm) as hhmm // 100 * 60 + hhmm % 100;
create temp macro delay(actual, scheduled, earliest) as
    (minute_of_day(actual) - minute_of_day(scheduled) + earliest + 1440) % 1440 - earliest;
create temp macro text(value) as coalesce(cast(value as varchar), 'NA');
"""

LINES_OF_DAYS = r"""
select
    flight_date,
    string_agg(
        concat_ws(
            ',',
            year(flight_date), month(flight_date), day(flight_date),
            text(dep_time), sched_dep_time, text(delay(dep_time, sched_dep_time, 60)),
            text(arr_time), sched_arr_time, text(if(air_time is null, null, delay(arr_time, sched_arr_time, 120))),
            carrier, flight, text(tailnum), origin, dest, text(air_time), distance,
            sched_dep_time // 100, sched_dep_time % 100,
            strftime(
                flight_date + to_hours(sched_dep_time // 100 + hours_behind_utc),
                '%Y-%m-%dT%H:%M:%SZ'
            )
        ) || chr(10),
        '' order by dep_time nulls last, place_among_equals
    ) as lines
from read_parquet($packed)
where flight_date in (select unnest($days))
group by flight_date
"""


def make_source(target: Path, *, force: bool = False) -> int:
    """Write the days that are missing (with force: all) and return their number.

    Each file is written beside and renamed over: readers see the old file or the new one.
    """
    days = [day for day in DAYS if force or not file_of_day(target, day).exists()]
    for day, lines in lines_of_days(days):
        write_over(file_of_day(target, day), HEADER + lines)
    return len(days)


def file_of_day(target: Path, day: date) -> Path:
    """Where the raw file of that day lies."""
    return target / "flights" / f"flight_date={day}" / "flights.csv"


def lines_of_days(days: list[date]) -> Iterator[tuple[date, str]]:
    """Each day with its lines as in the original, all from one read of the packed file."""
    with duckdb.connect() as connection:
        connection.execute(MACROS)
        yield from connection.execute(LINES_OF_DAYS, {"packed": str(PACKED_FLIGHTS), "days": days}).fetchall()


def write_over(path: Path, text: str) -> None:
    """Write the file beside and rename it, so that readers see all of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # The leading dot and the process id keep it from readers and from a second run at the same time.
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(text, encoding="utf-8", newline="\n")
    beside.replace(path)


def main() -> None:
    """Lay out what is missing and say how much that was."""
    parser = argparse.ArgumentParser(description="Lay the example data out as one raw CSV file a day.")
    parser.add_argument(
        "target",
        nargs="?",
        type=Path,
        default=Path(os.environ.get("RELOADS_SOURCE") or REPOSITORY / ".local" / "source"),
        help="folder to write to (default: $RELOADS_SOURCE, else .local/source in the repository)",
    )
    parser.add_argument("--force", action="store_true", help="write the days that are there already, too")
    arguments = parser.parse_args()
    written = make_source(arguments.target, force=arguments.force)
    print(f"{arguments.target}: {written} days written, {len(DAYS) - written} were there")


if __name__ == "__main__":
    main()
