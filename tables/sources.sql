-- Views over the raw sources; the queries of the tables read these and never a path.
-- The variable source holds the source folder.

-- One CSV file a day. flight_date is the name of the day's folder, so a filter on it leaves the other days' files
-- unopened; nothing is detected, since that opens all of them and could guess other types on other days.
create or replace view raw_flights as
select *
from read_csv(
    getvariable('source') || '/flights/*/flights.csv',
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
