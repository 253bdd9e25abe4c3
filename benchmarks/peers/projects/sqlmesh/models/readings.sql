MODEL (
  name bench.readings,
  kind INCREMENTAL_BY_TIME_RANGE (
    time_column reading_date
  ),
  cron '@daily',
  end @last_day,
  columns (reading_date date, sensor_id int, reading_at timestamp, value double, status text)
);

select reading_date, sensor_id, reading_at, value + shift as value, status
from read_parquet(@readings), read_csv(@shift_file)
where reading_date between @start_date and @end_date
