"""The example data, the source made of it, and the tables flights and events; test_tables.py has the others."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
MAKE_SOURCE = REPOSITORY / "examples" / "make_source.py"
TABLES = REPOSITORY / "tables"

# Of the original CSV files, uncompressed: a header and 336,776 lines, a header and 26,115 lines.
FLIGHTS_SHA256 = "563db8f117faf6ffd76aa868099df37dfa78dc17b5ac6d3d9ea6476e051a0bc4"
WEATHER_SHA256 = "5d1ea2548a3941eac0b4a9ca70805daa9fa49bbb711a0c7557b2bba0bd7c3f64"


def make_source(*arguments: str, **environment: str) -> str:
    run = subprocess.run(
        [sys.executable, str(MAKE_SOURCE), *arguments],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | environment,
    )
    return run.stdout


def query_of(table: str) -> str:
    return (TABLES / table / "query.sql").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("source")
    make_source(str(target))
    return target


@pytest.fixture
def warehouse(source: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection in which each table's query is a view of the table's name."""
    with duckdb.connect() as connection:
        connection.execute("set variable flight_files = $1", [[f"{source}/flights/*/flights.csv"]])
        connection.execute("set variable weather_files = $1", [[f"{source}/weather/*/weather.csv"]])
        connection.execute("set variable events_per_partition = 1000")
        connection.execute((TABLES / "sources.sql").read_text(encoding="utf-8"))
        for table in ("flights", "events"):
            connection.execute(f"create view {table} as {query_of(table)}")
        yield connection


def events_of(first: date, last: date, *, threads: int = 1, number: int = 1_000) -> list[tuple[Any, ...]]:
    with duckdb.connect(config={"threads": threads}) as connection:
        connection.execute("set variable events_per_partition = $1", [number])
        query = f"select * from ({query_of('events')}\n) where event_date between $1 and $2 order by all"
        return connection.execute(query, [first, last]).fetchall()


# the packed data and the source made of it


def test_the_source_holds_the_original_flights_byte_for_byte(source: Path) -> None:
    files = sorted(source.glob("flights/flight_date=*/flights.csv"), key=original_order)
    header, _, _ = files[0].read_bytes().partition(b"\n")
    digest = hashlib.sha256(header + b"\n")
    for file in files:
        first_line, _, lines = file.read_bytes().partition(b"\n")
        assert first_line == header
        digest.update(lines)
    assert len(files) == 365
    assert digest.hexdigest() == FLIGHTS_SHA256


def original_order(file: Path) -> tuple[str, int]:
    """The months of the original file follow each other as text: 1, 10, 11, 12, 2."""
    day = date.fromisoformat(file.parent.name.removeprefix("flight_date="))
    return str(day.month), day.day


def test_the_source_holds_the_original_weather_byte_for_byte(source: Path) -> None:
    files = sorted(source.glob("weather/observation_date=*/weather.csv"))
    [header] = {file.read_bytes().partition(b"\n")[0] + b"\n" for file in files}
    lines = [line for file in files for line in file.read_bytes().splitlines(keepends=True)[1:]]
    lines.sort(key=lambda line: line[:3])  # the original has one airport after the other, each in the order of time
    assert len(files) == 364
    assert hashlib.sha256(header + b"".join(lines)).hexdigest() == WEATHER_SHA256


@pytest.mark.parametrize(("raw", "day"), [("raw_flights", "flight_date"), ("raw_weather", "observation_date")])
def test_a_day_lies_in_its_own_folder(warehouse: duckdb.DuckDBPyConnection, raw: str, day: str) -> None:
    astray = f"select count(*) from {raw} where make_date(year, month, day) <> {day}"
    assert warehouse.execute(astray).fetchall() == [(0,)]


def test_nobody_delivers_the_weather_of_the_last_day(source: Path) -> None:
    assert (source / "flights" / "flight_date=2013-12-31").is_dir()
    assert not (source / "weather" / "observation_date=2013-12-31").exists()


def test_a_second_run_touches_nothing(source: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in source.rglob("*")}
    make_source(str(source))
    assert {path: path.stat().st_mtime_ns for path in source.rglob("*")} == before


def test_it_is_not_laid_out_in_an_object_store() -> None:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        make_source(RELOADS_SOURCE="s3://lake/raw")
    assert "s3://lake/raw is no folder" in caught.value.stderr


def test_a_corrected_day_survives_unless_forced_and_a_lost_day_comes_back(tmp_path: Path, source: Path) -> None:
    make_source(RELOADS_SOURCE=str(tmp_path))
    corrected = tmp_path / "flights" / "flight_date=2013-01-01" / "flights.csv"
    lost = tmp_path / "weather" / "observation_date=2013-01-02" / "weather.csv"
    corrected.write_text("corrected\n")
    lost.unlink()

    assert "1 files written, 728 were there" in make_source(str(tmp_path))
    assert corrected.read_text() == "corrected\n"
    assert lost.read_bytes() == (source / lost.relative_to(tmp_path)).read_bytes()

    make_source(str(tmp_path), "--force")
    assert corrected.read_bytes() == (source / corrected.relative_to(tmp_path)).read_bytes()
    assert {path.name for path in tmp_path.glob("*/*/*")} == {"flights.csv", "weather.csv"}


# the table flights


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        pytest.param("true", 336_776, id="the year"),
        pytest.param("flight_date = date '2013-01-01'", 842, id="2013-01-01"),
        pytest.param("flight_date between date '2013-01-01' and date '2013-01-31'", 27_004, id="January"),
        pytest.param("origin = 'EWR'", 120_835, id="EWR"),
        pytest.param("origin = 'JFK'", 111_279, id="JFK"),
        pytest.param("origin = 'LGA'", 104_662, id="LGA"),
    ],
)
def test_the_totals_of_the_note_hold(warehouse: duckdb.DuckDBPyConnection, where: str, rows: int) -> None:
    assert warehouse.execute(f"select count(*) from flights where {where}").fetchall() == [(rows,)]


def test_every_airline_of_a_flight_has_a_name(warehouse: duckdb.DuckDBPyConnection) -> None:
    airlines = str(REPOSITORY / "examples" / "flights13" / "airlines.csv")
    unnamed = "select distinct carrier from flights where carrier not in (select carrier from read_csv($1))"
    assert warehouse.execute(unnamed, [airlines]).fetchall() == []


def test_cancelled_flights_are_kept_with_nulls(warehouse: duckdb.DuckDBPyConnection) -> None:
    cancelled = """
        select count(*), count(departure_hhmm), count(departure_delay_minutes), count(arrival_hhmm),
            count(arrival_delay_minutes), count(air_time_minutes), count(scheduled_departure_hhmm)
        from flights where cancelled
    """
    assert warehouse.execute(cancelled).fetchall() == [(8_255, 0, 0, 0, 0, 0, 8_255)]


def test_order_by_leaves_no_two_flights_of_a_day_equal(warehouse: duckdb.DuckDBPyConnection) -> None:
    distinct = "select count(distinct (flight_date, origin, carrier, flight)) from flights"
    assert warehouse.execute(distinct).fetchall() == [(336_776,)]


def test_the_scheduled_hour_is_utc_whatever_the_session_time_zone(warehouse: duckdb.DuckDBPyConnection) -> None:
    warehouse.execute("set timezone = 'America/New_York'")
    first = "select cast(min(scheduled_hour_utc) as varchar) from flights where flight_date = date '2013-01-01'"
    assert warehouse.execute(first).fetchall() == [("2013-01-01 10:00:00",)]


@pytest.mark.parametrize(
    ("where", "days"),
    [
        pytest.param("flight_date = $1", [date(2013, 1, 5)], id="one day"),
        pytest.param("flight_date between $1 and $2", [date(2013, 1, 5), date(2013, 1, 6)], id="one range"),
        pytest.param(
            "flight_date between $1 and $2 or flight_date between $3 and $4",
            [date(2013, 1, 5), date(2013, 1, 6), date(2013, 3, 1), date(2013, 3, 1)],
            id="two ranges",
        ),
    ],
)
def test_the_files_of_other_days_are_not_read(
    tmp_path: Path, source: Path, warehouse: duckdb.DuckDBPyConnection, where: str, days: list[date]
) -> None:
    shutil.copytree(source, tmp_path, dirs_exist_ok=True)
    files_to_read = {tmp_path / f"flights/flight_date={day}/flights.csv" for day in days}
    for file in set(tmp_path.glob("flights/*/flights.csv")) - files_to_read:
        file.write_text("not a line of flights\nnor this\n", encoding="utf-8")
    warehouse.execute("set variable flight_files = $1", [[f"{tmp_path}/flights/*/flights.csv"]])

    rows = warehouse.execute(f"select * from flights where {where}", days).fetchall()
    assert {row[0] for row in rows} == set(days)
    with pytest.raises(duckdb.InvalidInputException, match="CSV Error"):
        warehouse.execute("select * from flights").fetchall()


def test_a_day_without_a_file_has_no_flights(warehouse: duckdb.DuckDBPyConnection) -> None:
    assert warehouse.execute("select * from flights where flight_date = date '2014-01-01'").fetchall() == []


# the table events


def test_the_same_event_days_give_the_same_rows_on_any_number_of_threads() -> None:
    march = date(2025, 3, 1), date(2025, 3, 31)
    assert events_of(*march, threads=1) == events_of(*march, threads=4)


def test_an_event_day_has_the_same_rows_whatever_days_are_asked_for_with_it() -> None:
    alone = events_of(date(2025, 3, 30), date(2025, 3, 30))
    assert alone == [row for row in events_of(date(2025, 3, 28), date(2025, 4, 2)) if row[0] == date(2025, 3, 30)]


def test_the_rows_of_an_event_day_are_the_same_on_any_machine() -> None:
    rows = repr(events_of(date(2025, 3, 30), date(2025, 3, 30))).encode()
    assert hashlib.sha256(rows).hexdigest() == "0a91459f29bc0b58906017995703ed135725974a117cc25dc917eefbb6394594"


@pytest.mark.parametrize("day", [date(2020, 1, 1), date(2024, 2, 29), date(2099, 12, 31)], ids=str)
def test_an_event_day_has_a_thousand_events_of_that_day(warehouse: duckdb.DuckDBPyConnection, day: date) -> None:
    counts = """
        select count(*), count(distinct event_id), bool_and(cast(event_time as date) = event_date),
            count(columns(*))
        from events where event_date = $1
    """
    assert set(warehouse.execute(counts, [day]).fetchall()[0]) == {1_000, True}


def test_a_larger_number_of_events_keeps_those_of_a_smaller() -> None:
    day = date(2025, 3, 30)
    few, many = (set(events_of(day, day, number=number)) for number in (10, 1_000))
    assert len(few) == 10
    assert few < many


def test_two_event_days_differ() -> None:
    # Without date and id, which differ anyway. The time of day would repeat if the numbers did not depend on the day.
    assert not times_and_users(date(2025, 1, 1)) & times_and_users(date(2025, 1, 2))


def times_and_users(day: date) -> set[tuple[Any, Any]]:
    return {(event_time.time(), user_id) for _, _, event_time, user_id, *_ in events_of(day, day)}


# the requests to copy


@pytest.mark.parametrize(
    "file", sorted((REPOSITORY / "landing" / "examples").glob("*.json")), ids=lambda file: file.stem
)
def test_an_example_request_asks_for_a_table_that_exists(file: Path) -> None:
    content = json.loads(file.read_text(encoding="utf-8"))
    for request in content if isinstance(content, list) else [content]:
        tables = request["table"] if isinstance(request["table"], list) else [request["table"]]
        assert [table for table in tables if not (TABLES / table / "query.sql").is_file()] == []
