-- Exists for the benchmark only: 5,000 readings a day at each of 20 sites.
select reading_date, 'site-' || (sensor_id % 20) as site, sensor_id, reading_at, value + shift as value, status
from raw_readings cross join raw_shift
