-- What every peer writes of its days: the readings, each value moved by the one number of a raw file.
select reading_date, sensor_id, reading_at, value + shift as value, status
from read_parquet($readings), read_csv($shift)
where reading_date between $first and $last
