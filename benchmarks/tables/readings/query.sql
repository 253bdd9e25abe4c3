-- Exists for the benchmark only: 100,000 readings a day.
select reading_date, sensor_id, reading_at, value + shift as value, status from raw_readings cross join raw_shift
