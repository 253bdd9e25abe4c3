"""Lay the example data out the way it would be delivered: one raw CSV file a day of flights, and one of weather.

    python examples/make_source.py [TARGET] [--force]

makes TARGET/flights/flight_date=2013-01-01/flights.csv and 364 more, and
TARGET/weather/observation_date=2013-01-01/weather.csv and 363 more. Their lines are those of the original files, byte
for byte and in their order. A file that is there already stays as it is, so a day corrected by hand survives; --force
writes every file again.
"""

import argparse
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
PACKED = REPOSITORY / "examples" / "flights13"
YEAR = tuple(date(2013, 1, 1) + timedelta(days=n) for n in range(365))


@dataclass(frozen=True)
class Feed:
    """One kind of raw file: its name, the header, and the query that makes each day's lines of the packed file."""

    name: str
    day_column: str
    header: str
    lines_of_days: str
    days: tuple[date, ...]

    def file_of_day(self, target: Path, day: date) -> Path:
        """Where the raw file of that day lies."""
        return target / self.name / f"{self.day_column}={day}" / f"{self.name}.csv"


# No flight left an hour early, none arrived two hours early, and none was 22 hours late: so two clock times are enough
# to tell the delay, midnight between them or not. Wind was measured in whole knots and is delivered as what a double
# makes of them in miles per hour, 10.357019999999999 for nine. Whoever wrote the original wrote a thousand as 1e3.
MACROS = r"""
create temp macro minute_of_day(hhmm) as hhmm // 100 * 60 + hhmm % 100;
create temp macro delay(actual, scheduled, earliest) as
    (minute_of_day(actual) - minute_of_day(scheduled) + earliest + 1440) % 1440 - earliest;
create temp macro text(value) as coalesce(cast(value as varchar), 'NA');
create temp macro number(value) as
    if(value = 1000, '1e3', text(regexp_replace(cast(cast(value as double) as varchar), '\.0$', '')));
create temp macro miles_per_hour(knots) as knots * cast('1.15078' as double);
create temp macro utc(day, hour, hours_behind) as
    strftime(day + to_hours(hour + hours_behind), '%Y-%m-%dT%H:%M:%SZ');
"""

FLIGHTS = Feed(
    "flights",
    "flight_date",
    "year,month,day,dep_time,sched_dep_time,dep_delay,arr_time,sched_arr_time,arr_delay,carrier,flight,tailnum,"
    "origin,dest,air_time,distance,hour,minute,time_hour\n",
    """
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
                utc(flight_date, sched_dep_time // 100, hours_behind_utc)
            ) || chr(10),
            '' order by dep_time nulls last, place_among_equals
        ) as lines
    from read_parquet($packed)
    where flight_date in (select unnest($days))
    group by flight_date
    """,
    YEAR,
)

WEATHER = Feed(
    "weather",
    "observation_date",
    "origin,year,month,day,hour,temp,dewp,humid,wind_dir,wind_speed,wind_gust,precip,pressure,visib,time_hour\n",
    """
    select
        observation_date,
        string_agg(
            concat_ws(
                ',',
                origin, year(observation_date), month(observation_date), day(observation_date), hour,
                number(temp), number(dewp), number(humid), text(wind_dir),
                number(miles_per_hour(wind_speed_knots)), number(miles_per_hour(wind_gust_knots)),
                number(precip), number(pressure), number(visib),
                utc(observation_date, hour, hours_behind_utc)
            ) || chr(10),
            '' order by origin, hour + hours_behind_utc
        ) as lines
    from read_parquet($packed)
    where observation_date in (select unnest($days))
    group by observation_date
    """,
    YEAR[:-1],  # the original ends on the evening of 30 December
)

FEEDS = (FLIGHTS, WEATHER)


def make_source(target: Path, *, force: bool = False) -> int:
    """Write the files that are missing (with force: all) and return their number.

    Each file is written beside and renamed over: readers see the old file or the new one.
    """
    written = 0
    for feed in FEEDS:
        days = list(feed.days) if force else missing_days(feed, target)
        for day, lines in lines_of_days(feed, days):
            write_over(feed.file_of_day(target, day), feed.header + lines)
        written += len(days)
    return written


def missing_days(feed: Feed, target: Path) -> list[date]:
    """The days whose raw file is not there."""
    return [day for day in feed.days if not feed.file_of_day(target, day).exists()]


def lines_of_days(feed: Feed, days: list[date]) -> Iterator[tuple[date, str]]:
    """Each day with its lines as in the original, all from one read of the packed file."""
    # Imported here, because a plain Python without packages may ask which files are missing.
    import duckdb  # noqa: PLC0415

    packed = str(PACKED / f"{feed.name}.parquet")
    with duckdb.connect() as connection:
        connection.execute(MACROS)
        yield from connection.execute(feed.lines_of_days, {"packed": packed, "days": days}).fetchall()


def write_over(path: Path, text: str) -> None:
    """Write the file beside and rename it, so that readers see all of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # The leading dot and the process id keep it from readers and from a second run at the same time.
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(text, encoding="utf-8", newline="\n")
    beside.replace(path)


def _folder(text: str) -> Path:
    if "://" in text:
        raise argparse.ArgumentTypeError(f"{text} is no folder, and the example data is laid out in one; name another")
    return Path(text)


def main() -> None:
    """Lay out what is missing and say how much that was."""
    parser = argparse.ArgumentParser(description="Lay the example data out as raw CSV files, one a day.")
    parser.add_argument(
        "target",
        nargs="?",
        type=_folder,
        default=os.environ.get("RELOADS_SOURCE") or str(REPOSITORY / ".local" / "source"),
        help="folder to write to (default: $RELOADS_SOURCE, else .local/source in the repository)",
    )
    parser.add_argument("--force", action="store_true", help="write the files that are there already, too")
    arguments = parser.parse_args()
    written = make_source(arguments.target, force=arguments.force)
    there = sum(len(feed.days) for feed in FEEDS) - written
    print(f"{arguments.target}: {written} files written, {there} were there")


if __name__ == "__main__":
    main()
