"""The tables of the repository on a year of real data, each compared with a plain query on the raw lines."""

import tomllib
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from examples.make_source import make_source
from reloads.batch import Batch
from reloads.days import Days
from reloads.outcome import Outcome
from reloads.partition_filter import PartitionFilter
from reloads.rewriting.context import Locations, Provenance
from reloads.rewriting.engine import Share
from reloads.rewriting.rewrite import rewrite_batch
from reloads.tables.catalog import Catalog
from tests.support.clone import copy_tables

TABLES = Path(__file__).resolve().parents[3] / "tables"
# In this order each table can be made of those before it.
TABLES_OF_2013 = ("flights", "weather", "daily_delays", "delays_by_weather", "carrier_week", "departures")

Database = duckdb.DuckDBPyConnection
Rows = list[tuple[Any, ...]]

# Every column but the day is the text in the file.
RAW_LINES = """
create table {name}_lines as
select *, make_date(cast(year as int), cast(month as int), cast(day as int)) as of_day
from read_csv('{source}/{name}/*/{name}.csv', all_varchar = true, header = true, hive_partitioning = false)
"""


def query_of(table: str) -> str:
    return (TABLES / table / "query.sql").read_text(encoding="utf-8")


def order_of(table: str) -> str:
    """The columns that name a row of the table."""
    settings = tomllib.loads((TABLES / table / "table.toml").read_text(encoding="utf-8"))
    return ", ".join([settings["day_column"], *settings.get("keys", []), *settings["order_by"]])


def make_tables(db: Database, source: Path) -> None:
    """Every table of 2013, as a whole."""
    db.execute("set variable flight_files = $1", [[f"{source}/flights/*/flights.csv"]])
    db.execute("set variable weather_files = $1", [[f"{source}/weather/*/weather.csv"]])
    db.execute((TABLES / "sources.sql").read_text(encoding="utf-8"))
    for table in TABLES_OF_2013:
        db.execute(f"create table {table} as {query_of(table)}")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("source")
    make_source(target)
    return target


@pytest.fixture(scope="module")
def year(source: Path) -> Iterator[Database]:
    """The tables, and beside them ``flights_lines`` and ``weather_lines``; nobody changes them."""
    with duckdb.connect() as db:
        make_tables(db, source)
        for name in ("flights", "weather"):
            db.execute(RAW_LINES.format(source=source, name=name))
        yield db


def rows(db: Database, query: str, *values: object) -> Rows:
    return db.execute(query, values).fetchall()


def assert_same(db: Database, query: str, plain: str) -> None:
    missing = rows(db, f"({plain}) except all ({query}) limit 3")
    surplus = rows(db, f"({query}) except all ({plain}) limit 3")
    assert (missing, surplus) == ([], [])


# all of them


@pytest.mark.parametrize("table", TABLES_OF_2013)
def test_order_by_leaves_no_two_rows_of_a_partition_equal(year: Database, table: str) -> None:
    assert rows(year, f"select {order_of(table)} from {table} group by all having count(*) > 1") == []


def test_the_same_input_gives_the_same_rows_on_any_number_of_threads(source: Path, year: Database) -> None:
    with duckdb.connect(config={"threads": 1}) as alone:
        make_tables(alone, source)
        for table in TABLES_OF_2013:
            assert rows(alone, f"from {table} order by all") == rows(year, f"from {table} order by all"), table


@pytest.mark.parametrize(
    ("table", "total"),
    [
        ("flights", "count(*)"),
        ("departures", "count(*)"),
        ("delays_by_weather", "sum(flights)"),
    ],
)
def test_every_flight_of_an_airport_is_in_the_table_once(year: Database, table: str, total: str) -> None:
    by_origin = f"select origin, {total} from {table} group by origin order by origin"
    assert rows(year, by_origin) == [("EWR", 120_835), ("JFK", 111_279), ("LGA", 104_662)]


def test_no_mean_hides_behind_a_float_of_its_own(year: Database) -> None:
    double_columns = []
    for table in TABLES_OF_2013:
        for name, sql_type, *_ in rows(year, f"describe {table}"):
            if sql_type == "DOUBLE":
                double_columns.append((table, name))
    assert double_columns
    for table, name in double_columns:
        assert rows(year, f"select {name} from {table} where {name} <> round({name}, 2) limit 3") == [], name


# daily_delays


def test_daily_delays_are_those_of_the_lines(year: Database) -> None:
    plain = """
        select
            of_day, carrier, count(*), count(*) filter (dep_time = 'NA'), count(*) filter (dep_time <> 'NA'),
            count(*) filter (try_cast(dep_delay as int) >= 15), count(*) filter (try_cast(arr_delay as int) >= 15),
            round(avg(try_cast(dep_delay as int)), 2), quantile_cont(try_cast(dep_delay as int), 0.5),
            count(*) filter (arr_delay <> 'NA'),
            round(avg(try_cast(arr_delay as int)), 2), quantile_cont(try_cast(arr_delay as int), 0.5)
        from flights_lines
        group by of_day, carrier
    """
    assert_same(year, "from daily_delays", plain)


def test_daily_delays_count_each_flight_once(year: Database) -> None:
    totals = "select sum(flights), sum(cancelled), sum(departed), count(distinct flight_date) from daily_delays"
    assert rows(year, totals) == [(336_776, 8_255, 328_521, 365)]


def test_an_airline_that_only_cancelled_has_no_delays(year: Database) -> None:
    null = "mean_departure_delay_minutes is null and median_departure_delay_minutes is null"
    [(count, null_count)] = rows(
        year, f"select count(*), count(*) filter ({null}) from daily_delays where departed = 0"
    )
    assert count == null_count > 0
    assert rows(year, f"select count(*) from daily_delays where departed > 0 and ({null})") == [(0,)]


# weather


def test_every_observation_is_in_the_weather_once(year: Database) -> None:
    by_origin = "select origin, count(*) from weather group by origin order by origin"
    assert rows(year, by_origin) == [("EWR", 8_703), ("JFK", 8_706), ("LGA", 8_706)]


def test_the_weather_is_that_of_the_lines(year: Database) -> None:
    plain = """
        select
            of_day, origin, cast(replace(rtrim(time_hour, 'Z'), 'T', ' ') as timestamp), cast(hour as int),
            try_cast(temp as decimal(18, 2)), try_cast(dewp as decimal(18, 2)), try_cast(humid as decimal(18, 2)),
            try_cast(wind_dir as int),
            try_cast(wind_speed as decimal(18, 2)), try_cast(wind_gust as decimal(18, 2)),
            try_cast(precip as decimal(18, 2)), try_cast(pressure as decimal(18, 1)), try_cast(visib as decimal(18, 2))
        from weather_lines
    """
    assert_same(year, "from weather", plain)


def test_the_local_hour_that_came_twice_is_two_hours(year: Database) -> None:
    twice = """
        select origin, list(cast(observation_hour_utc as varchar) order by observation_hour_utc)
        from weather
        group by observation_date, origin, observation_hour_local
        having count(*) > 1
        order by origin
    """
    hours = ["2013-11-03 05:00:00", "2013-11-03 06:00:00"]
    assert rows(year, twice) == [("EWR", hours), ("JFK", hours), ("LGA", hours)]


def test_the_weather_ends_before_the_year(year: Database) -> None:
    ends = "select min(observation_date), max(observation_date), count(distinct observation_date) from weather"
    assert rows(year, ends) == [(date(2013, 1, 1), date(2013, 12, 30), 364)]


# delays_by_weather


def test_delays_by_weather_are_those_of_the_lines(year: Database) -> None:
    plain = """
        with classes as (
            select
                origin, time_hour,
                if(cast(visib as float) < 3, 'low visibility',
                    if(cast(precip as float) > 0, 'rain or snow',
                        if(try_cast(wind_speed as float) >= 20, 'wind', 'fair'))) as class
            from weather_lines
        )
        select
            of_day, origin, coalesce(class, 'unknown') as class, count(*), count(*) filter (dep_time = 'NA'),
            round(avg(try_cast(dep_delay as int)), 2)
        from flights_lines left join classes using (origin, time_hour)
        group by all
    """
    assert_same(year, "from delays_by_weather", plain)


def test_each_kind_of_weather_occurs(year: Database) -> None:
    kinds = "select weather_class, sum(flights) from delays_by_weather group by weather_class order by weather_class"
    assert rows(year, kinds) == [
        ("fair", 287_417),
        ("low visibility", 13_138),
        ("rain or snow", 16_755),
        ("unknown", 1_556),
        ("wind", 17_910),
    ]


def test_a_day_without_weather_keeps_its_flights(year: Database) -> None:
    last_day = """
        select weather_class, sum(flights) from delays_by_weather
        where flight_date = date '2013-12-31'
        group by weather_class
    """
    assert rows(year, last_day) == [("unknown", 776)]


def test_no_flight_needs_the_weather_of_another_day(year: Database) -> None:
    # The table reads the same day's weather only.
    weather_of_another_day = """
        select * from flights_lines as f join weather_lines as w using (origin, time_hour) where f.of_day <> w.of_day
    """
    assert rows(year, weather_of_another_day) == []


# carrier_week


def test_weeks_are_those_of_the_lines(year: Database) -> None:
    plain = """
        select
            of_day + later as week_ending, carrier, count(distinct of_day), count(*),
            count(*) filter (dep_time = 'NA'),
            round(avg(try_cast(dep_delay as int)), 2), round(avg(try_cast(arr_delay as int)), 2)
        from flights_lines cross join (select cast(range as int) as later from range(7))
        where of_day + later <= date '2013-12-31'
        group by all
    """
    assert_same(year, "from carrier_week", plain)


@pytest.mark.parametrize(
    ("day", "first_of_window"),
    [
        (date(2013, 1, 1), date(2013, 1, 1)),
        (date(2013, 1, 6), date(2013, 1, 1)),
        (date(2013, 1, 7), date(2013, 1, 1)),
        (date(2013, 1, 8), date(2013, 1, 2)),
        (date(2013, 12, 31), date(2013, 12, 25)),
    ],
    ids=str,
)
def test_a_week_is_the_day_and_the_six_before_it(year: Database, day: date, first_of_window: date) -> None:
    [(in_window,)] = rows(
        year, "select count(*) from flights_lines where of_day between $1 and $2", first_of_window, day
    )
    week = "select sum(flights), max(days_with_flights) from carrier_week where week_ending = $1"
    assert rows(year, week, day) == [(in_window, (day - first_of_window).days + 1)]


def test_an_airline_stays_in_the_table_for_six_days_after_its_last_flight(year: Database) -> None:
    last_flights = """
        select week_ending, days_with_flights, flights from carrier_week
        where carrier = 'OO' and week_ending > date '2013-11-20'
        order by week_ending
    """
    last_week = rows(year, last_flights)[-1]
    assert last_week == (date(2013, 12, 6), 1, 1)  # its last flight was on 2013-11-30


def weeks_of(year: Database, days: Days, *, days_with_flights: Days) -> Rows:
    """The weeks of these days, made where only the flights of some days are loaded."""
    with year.cursor() as db:
        is_loaded = within("flight_date", days_with_flights)
        db.execute(f"create temp view flights as from memory.main.flights where {is_loaded}")
        query = f"select * from ({query_of('carrier_week')}) where {within('week_ending', days)} order by all"
        return rows(db, query)


def within(column: str, days: Days) -> str:
    return " or ".join(f"{column} between date '{part.first}' and date '{part.last}'" for part in days.ranges)


@pytest.mark.parametrize(
    ("day_texts", "flight_day_texts"),
    [
        (["2013-01-01"], ["2013-01-01"]),
        (["2013-03-10"], ["2013-03-04..2013-03-10"]),
        (["2013-03-10", "2013-03-13"], ["2013-03-04..2013-03-13"]),
        (["2013-03-10", "2013-06-10"], ["2013-03-04..2013-03-10", "2013-06-04..2013-06-10"]),
        (["2013-12-25..2013-12-31"], ["2013-12-19..2013-12-31"]),
    ],
    ids=str,
)
def test_a_week_is_the_same_whatever_days_are_rewritten_with_it(
    year: Database, day_texts: list[str], flight_day_texts: list[str]
) -> None:
    days = Days.parse(day_texts)
    weeks = weeks_of(year, days, days_with_flights=Days.parse(flight_day_texts))
    query = "select * from carrier_week where list_contains($1, week_ending) order by all"
    assert weeks == rows(year, query, list(days))


def test_a_day_without_flights_has_no_week(year: Database) -> None:
    day = Days.parse(["2013-03-10"])
    assert weeks_of(year, day, days_with_flights=Days.parse(["2013-03-04..2013-03-09"])) == []


# departures


def test_departures_are_those_of_the_lines(year: Database) -> None:
    plain = """
        select
            of_day, origin, cast(sched_dep_time as int), carrier, cast(flight as int), dest,
            nullif(tailnum, 'NA'), try_cast(dep_time as int), try_cast(dep_delay as int)
        from flights_lines
    """
    assert_same(year, "from departures", plain)


# checks


def violations(year: Database, table: str, *, new: str, old: str = "") -> dict[str, Rows]:
    """What each check of the table finds in these rows."""
    with year.cursor() as db:
        db.execute(f"create temp view new as {new}")
        db.execute(f"create temp view old as {old or f'from memory.main.{table} limit 0'}")
        checks = (TABLES / table / "checks.sql").read_text(encoding="utf-8")
        db.execute(checks.replace("create view", "create temp view"))
        views = rows(db, "select view_name from duckdb_views() where temporary and not internal order by view_name")
        rows_by_check = {name: rows(db, f"from {name} order by all") for (name,) in views if name not in ("new", "old")}
    return {name: broken_rows for name, broken_rows in rows_by_check.items() if broken_rows}


@pytest.mark.parametrize("table", ["flights", "departures"])
def test_the_real_rows_break_no_check(year: Database, table: str) -> None:
    whole = f"from memory.main.{table}"
    assert violations(year, table, new=whole, old=whole) == {}


def test_the_weather_breaks_one_check_on_one_day(year: Database) -> None:
    [(day, wind, _)] = violations(year, "weather", new="from memory.main.weather")["wind_is_possible"]
    assert (day, str(wind)) == (date(2013, 2, 12), "1048.36")


DAY = "where flight_date = date '2013-05-05'"


@pytest.mark.parametrize(
    ("table", "new", "check"),
    [
        ("flights", f"from memory.main.flights {DAY} union all from memory.main.flights {DAY}", "flights_are_unique"),
        ("flights", f"select * replace ('ewr' as origin) from memory.main.flights {DAY} limit 1", "origins_are_known"),
        ("flights", f"select * replace (null as origin) from memory.main.flights {DAY} limit 1", "origins_are_known"),
        ("departures", f"select * replace ('' as origin) from memory.main.departures {DAY}", "origins_are_known"),
        (
            "departures",
            f"select * replace (-61 as departure_delay_minutes) from memory.main.departures {DAY} limit 1",
            "delays_are_possible",
        ),
        (
            "departures",
            f"select * replace (null as departure_hhmm) from memory.main.departures {DAY} limit 1",
            "delays_belong_to_departures",
        ),
        ("weather", "from memory.main.weather union all (from memory.main.weather limit 1)", "hours_are_unique"),
    ],
)
def test_a_check_finds_what_it_is_meant_for(year: Database, table: str, new: str, check: str) -> None:
    assert check in violations(year, table, new=new)


@pytest.mark.parametrize(("kept", "halved"), [(0, True), (0.49, True), (0.51, False)])
def test_a_day_that_lost_half_of_its_flights_is_noticed(year: Database, kept: float, *, halved: bool) -> None:
    whole = f"from memory.main.flights {DAY}"
    number = int(kept * rows(year, f"select count(*) from flights {DAY}")[0][0])
    rows_by_check = violations(year, "flights", new=f"{whole} order by all limit {number}", old=whole)
    violating_rows = rows_by_check.get("rows_are_not_halved", [])
    assert [row[:2] for row in violating_rows] == [(date(2013, 5, 5), number)] * halved


# as the pipeline knows and rewrites them


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    home = tmp_path_factory.mktemp("catalog")
    copy_tables(home)
    return Catalog.load(home / "tables")


def test_no_table_is_broken(catalog: Catalog) -> None:
    assert catalog.broken == {}
    assert set(catalog.tables) == {*TABLES_OF_2013, "events"}


def test_the_inputs_of_the_tables(catalog: Catalog) -> None:
    assert {name: dict(table.inputs) for name, table in catalog.tables.items() if table.inputs} == {
        "daily_delays": {"flights": 1},
        "delays_by_weather": {"flights": 1, "weather": 1},
        "carrier_week": {"flights": 7},
    }


def rewrite(
    table: str, days: Days, *, catalog: Catalog, home: Path, source: Path, run: str = "run", **fields: Any
) -> Outcome:
    return rewrite_batch(
        Batch(days, requests={"r1": days}, **fields),
        table=catalog[table],
        place=Locations(home / "warehouse", source, catalog.tables),
        share=Share(threads=2, memory_mb=512),
        provenance=Provenance(run=run, written_at=datetime(2014, 1, 1, tzinfo=UTC)),
    )


def published(home: Path, table: str) -> str:
    files = home / "warehouse" / table / "**" / "data.parquet"
    return f"read_parquet('{files}', hive_partitioning = true, hive_types_autocast = true)"


def test_the_pipeline_publishes_what_the_queries_say(
    tmp_path: Path, source: Path, catalog: Catalog, year: Database
) -> None:
    week, last = Days.parse(["2013-12-24..2013-12-31"]), Days.parse(["2013-12-30", "2013-12-31"])
    for table in TABLES_OF_2013:
        days = week if table == "flights" else last
        outcome = rewrite(table, days, catalog=catalog, home=tmp_path, source=source)
        assert (outcome.published, outcome.failed, outcome.checks) == (days, (), ()), table
        columns = ", ".join(name for name, *_ in rows(year, f"describe {table}"))
        day_column = catalog[table].settings.day_column
        expected = rows(
            year, f"select {columns} from {table} where list_contains($1, {day_column}) order by all", list(days)
        )
        assert rows(year, f"select {columns} from {published(tmp_path, table)} order by all") == expected, table


def test_the_same_days_once_more_change_nothing(tmp_path: Path, source: Path, catalog: Catalog) -> None:
    days = Days.parse(["2013-11-02..2013-11-04"])
    for table in TABLES_OF_2013:
        outcome = rewrite(table, days, catalog=catalog, home=tmp_path, source=source, run="first")
        assert outcome.published == days, table
    for table in TABLES_OF_2013:
        outcome = rewrite(table, days, catalog=catalog, home=tmp_path, source=source, run="second")
        assert outcome.unchanged == days, table


def test_slices_of_an_airport_s_departures_are_together_the_day(tmp_path: Path, source: Path, catalog: Catalog) -> None:
    day = Days.parse(["2013-05-05"])
    for number in range(2):
        half = PartitionFilter(slice_number=number, slice_count=2)
        outcome = rewrite("departures", day, catalog=catalog, home=tmp_path, source=source, partition_filter=half)
        assert outcome.published == day
    folder = tmp_path / "warehouse" / "departures" / "flight_date=2013-05-05"
    assert sorted(path.name for path in folder.iterdir()) == ["origin=EWR", "origin=JFK", "origin=LGA"]


def test_a_storm_that_cannot_be_is_published_with_a_warning(tmp_path: Path, source: Path, catalog: Catalog) -> None:
    day = Days.parse(["2013-02-12"])
    outcome = rewrite("weather", day, catalog=catalog, home=tmp_path, source=source)
    assert outcome.published == day
    assert [(result.check, result.severity) for result in outcome.checks] == [("wind_is_possible", "warn")]


def test_a_file_delivered_twice_into_one_day_is_refused(tmp_path: Path, source: Path, catalog: Catalog) -> None:
    folder = tmp_path / "source" / "flights" / "flight_date=2013-05-05"
    folder.mkdir(parents=True)
    header, _, lines = (source / "flights" / folder.name / "flights.csv").read_text().partition("\n")
    (folder / "flights.csv").write_text(f"{header}\n{lines}{lines}")
    day = Days.parse(["2013-05-05"])
    outcome = rewrite("flights", day, catalog=catalog, home=tmp_path, source=tmp_path / "source")
    assert outcome.published == Days()
    assert "the check flights_are_unique of 2013-05-05 says" in outcome.failed[0].error


def test_a_request_says_how_many_events_a_day_has(tmp_path: Path, source: Path, catalog: Catalog) -> None:
    day = Days.parse(["2025-03-30"])
    for parameters, number in (({"events_per_partition": 7}, 7), ({}, 1_000)):
        outcome = rewrite("events", day, catalog=catalog, home=tmp_path, source=source, parameters=parameters)
        assert outcome.rows == {"2025-03-30": number}
