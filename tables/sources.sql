-- Views over the raw sources; the queries of the tables read these and never a path.
-- The variables hold the files of the days that are rewritten, as sources.toml says where they lie.

-- One CSV file a day. flight_date is the name of the day's folder; nothing is detected, since that could guess other
-- types on other days.
create or replace view raw_flights as
select *
from read_csv(
    getvariable('flight_files'),
    header = true,
    auto_detect = false,
    delim = ',',
    quote = '"',
    escape = '"',
    nullstr = 'NA',
    columns = {
        'year': 'smallint',
        'month': 'smallint',
        'day': 'smallint',
        'dep_time': 'smallint',
        'sched_dep_time': 'smallint',
        'dep_delay': 'smallint',
        'arr_time': 'smallint',
        'sched_arr_time': 'smallint',
        'arr_delay': 'smallint',
        'carrier': 'varchar',
        'flight': 'smallint',
        'tailnum': 'varchar',
        'origin': 'varchar',
        'dest': 'varchar',
        'air_time': 'smallint',
        'distance': 'smallint',
        'hour': 'smallint',
        'minute': 'smallint',
        'time_hour': 'timestamp'
    },
    hive_partitioning = true,
    hive_types = {'flight_date': date}
);

-- One CSV file a day, too; observation_date is the local day. There is no file of a day that nobody observed, and the
-- view then has no rows of it. A number is delivered as the original's program wrote it: 1e3 for a thousand millibars,
-- 10.357019999999999 miles per hour for nine knots.
create or replace view raw_weather as
select *
from read_csv(
    getvariable('weather_files'),
    header = true,
    auto_detect = false,
    delim = ',',
    quote = '"',
    escape = '"',
    nullstr = 'NA',
    columns = {
        'origin': 'varchar',
        'year': 'smallint',
        'month': 'smallint',
        'day': 'smallint',
        'hour': 'smallint',
        'temp': 'double',
        'dewp': 'double',
        'humid': 'double',
        'wind_dir': 'smallint',
        'wind_speed': 'double',
        'wind_gust': 'double',
        'precip': 'double',
        'pressure': 'double',
        'visib': 'double',
        'time_hour': 'timestamp'
    },
    hive_partitioning = true,
    hive_types = {'observation_date': date}
);
